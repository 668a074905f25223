/** The unit of work that threads share: compose, draw and write single scenes. */
import fs from 'node:fs';
import path from 'node:path';
import { encodeJpeg } from '../jpeg-encode';
import { vocAnnotation, writeWhole } from '../voc-write';
import { castScenes, type SceneCast, type SceneSplit } from './cast';
import { describeScene } from './describe';
import type { SceneDifficulty } from './difficulty';
import { loadPack, type ScenePack } from './pack';
import { renderScene, type RenderedScene } from './render';

/** What fixes a set of scenes, apart from how many there are. Plain data: it is sent to threads. */
export interface SceneJob {
  readonly packFolder: string;
  readonly difficulty: SceneDifficulty;
  readonly split: SceneSplit;
  readonly size: number;
  readonly seed: number | string;
  /** The VOC folder to write to. */
  readonly folder: string;
}

/** Draws scenes of one split. */
export interface SceneRenderer {
  readonly cast: SceneCast;
  readonly pack: ScenePack;
  render(index: number): RenderedScene & { readonly quality: number };
}

/** Opens the pack and casts the split. */
export async function createSceneRenderer(job: Omit<SceneJob, 'folder'>): Promise<SceneRenderer> {
  const pack = await loadPack(job.packFolder);
  const cast = castScenes(pack.manifest, job.difficulty, job.split);
  return {
    cast,
    pack,
    render(index) {
      const scene = describeScene(cast, job.difficulty, `${job.seed}/${job.split}`, index);
      return { ...renderScene(scene, pack, job.size), quality: scene.quality };
    },
  };
}

/** Name of the image at an index: sorts in order, says its split. */
export function sceneId(split: SceneSplit, index: number): string {
  return `${split}-${String(index).padStart(6, '0')}`;
}

/** Whether an image and its annotation are there. The annotation is written last, so it vouches for both. */
export function sceneExists(folder: string, id: string): boolean {
  const stat = fs.statSync(path.join(folder, 'Annotations', `${id}.xml`), { throwIfNoEntry: false });
  return stat !== undefined && stat.size > 0 && fs.existsSync(path.join(folder, 'JPEGImages', `${id}.jpg`));
}

/** Draws one scene and writes its two files, each of them whole or not at all. */
export async function writeScene(renderer: SceneRenderer, job: SceneJob, index: number): Promise<void> {
  const id = sceneId(job.split, index);
  if (sceneExists(job.folder, id)) return;
  const { image, objects, quality } = renderer.render(index);
  await writeWhole(path.join(job.folder, 'JPEGImages', `${id}.jpg`), encodeJpeg(image, quality));
  const xml = vocAnnotation({ id, width: job.size, height: job.size, objects }, renderer.cast.classes);
  await writeWhole(path.join(job.folder, 'Annotations', `${id}.xml`), xml);
}
