/** Renders scenes into the cache, once, and opens them as data sets. */
import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { cacheDirectory } from '../../tensor/cache';
import { nearest } from '../../tensor/nearest';
import { readVoc, type VocDataset } from '../voc';
import { makeVocFolders, writeImageSet, writeWhole } from '../voc-write';
import { castScenes, sceneCounts, type SceneSplit } from './cast';
import { resolveDifficulty, type SceneDifficulty, type SceneDifficultyName } from './difficulty';
import { loadPack, packFolder } from './pack';
import { createSceneRenderer, sceneExists, sceneId, writeScene, type SceneJob } from './work';

/** What to prepare. */
export interface ScenesOptions {
  readonly split: SceneSplit;
  /** Width and height of the images in pixels. Default 128. */
  readonly size?: number;
  /** How many images: the split's first so many. Default: `sceneCounts[split]`. */
  readonly count?: number;
  /** Default `standard`. */
  readonly difficulty?: SceneDifficultyName | SceneDifficulty;
  /** Default 0, the published set. */
  readonly seed?: number | string;
  /** Told what is being made, at most a few times a second. Not called when everything is there already. */
  readonly onProgress?: (progress: ScenesProgress) => void;
  /** Stops the rendering; what is written stays and is not made again. */
  readonly signal?: AbortSignal;
  /** The folder to keep sets in. Default: `scenes` in the cache directory. */
  readonly cache?: string;
  /** Threads. Default: one a core, at most 8; 1 renders in this thread. */
  readonly threads?: number;
  /** The art pack. Default: the shipped one. */
  readonly pack?: string;
}

/** How far a preparation is. */
export interface ScenesProgress {
  readonly split: SceneSplit;
  /** Images there, of how many wanted. */
  readonly done: number;
  readonly total: number;
  readonly secondsLeft: number;
}

/** Part of the cache key: raise it when rendering changes. */
const generatorVersion = 1;

/** Images handed to a thread at a time. */
const batch = 16;

/**
 * Renders a split into the cache unless it is there, and returns the folder: VOC layout, with a list for each split made
 * so far. Image i of a split depends on seed, setting and i alone, so a smaller count is the beginning of a larger one:
 * asking for fewer reuses, asking for more adds. Interrupted, it goes on at the next call; two processes may run at once.
 */
export async function prepareScenes(options: ScenesOptions): Promise<string> {
  return (await prepare(options)).folder;
}

/** `prepareScenes`, opened as a data set. */
export async function loadScenes(options: ScenesOptions): Promise<VocDataset> {
  const { folder, job, count } = await prepare(options);
  const { manifest } = await loadPack(job.packFolder);
  const { classes } = castScenes(manifest, job.difficulty, job.split);
  const name = `scenes/${job.difficulty.name}/${job.split}`;
  return readVoc(folder, { split: job.split, classes, limit: count, name });
}

async function prepare(options: ScenesOptions): Promise<{ folder: string; job: SceneJob; count: number }> {
  const { size = 128, seed = 0, split, count = sceneCounts[split] } = options;
  const difficulty = resolveDifficulty(options.difficulty ?? 'standard');
  if (!Object.hasOwn(sceneCounts, split)) throw new Error(unknownSplit(split));
  if (!Number.isInteger(size) || size < 16 || size > 2048)
    throw new RangeError(`Scenes: size is ${size}; it must be a whole number from 16 to 2048.`);
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError(`Scenes: count is ${count}; it must be a whole number above 0.`);

  const pack = await loadPack(options.pack ?? packFolder());
  const identity = { generator: generatorVersion, pack: pack.fingerprint, difficulty, size, seed };
  const key = createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 12);
  const cache = options.cache ?? path.join(cacheDirectory(), 'scenes');
  const folder = path.join(cache, `${difficulty.name}-${size}-${key}`);
  const job: SceneJob = { packFolder: pack.folder, difficulty, split, size, seed, folder };
  const have = await listedCount(folder, split);
  if (have < count) {
    await makeVocFolders(folder);
    await writeWhole(path.join(folder, 'scenes.json'), `${JSON.stringify(identity, undefined, 2)}\n`);
    await renderMissing(job, have, count, options);
    // Another process may have listed more in the meantime; its images are there.
    const total = Math.max(count, await listedCount(folder, split));
    await writeImageSet(
      folder,
      split,
      Array.from({ length: total }, (_, i) => sceneId(split, i)),
    );
  }
  return { folder, job, count };
}

/** How many images of a split are finished: the length of its list, which is written after them. */
async function listedCount(folder: string, split: SceneSplit): Promise<number> {
  try {
    const text = await fs.readFile(path.join(folder, 'ImageSets', 'Main', `${split}.txt`), 'utf8');
    return text.split('\n').filter((line) => line !== '').length;
  } catch {
    return 0;
  }
}

async function renderMissing(
  job: SceneJob,
  have: number,
  count: number,
  options: ScenesOptions,
): Promise<void> {
  const missing: number[] = [];
  for (let i = have; i < count; i++) if (!sceneExists(job.folder, sceneId(job.split, i))) missing.push(i);
  if (missing.length === 0) return;
  const started = performance.now();
  const there = count - missing.length;
  let done = 0;
  let told = 0;
  const report = (more: number): void => {
    done += more;
    const now = performance.now();
    if (done < missing.length && now - told < 200) return;
    told = now;
    const secondsLeft = done === 0 ? Infinity : ((now - started) / 1000 / done) * (missing.length - done);
    options.onProgress?.({ split: job.split, done: there + done, total: count, secondsLeft });
  };
  report(0);

  // A thread decodes the art for itself: not worth it for a few images.
  const useful = Math.ceil(missing.length / 64);
  const threads = Math.min(options.threads ?? Math.min(8, os.availableParallelism()), useful);
  const script = path.join(__dirname, 'worker.js'); // absent when the sources run uncompiled (tests)
  if (threads > 1 && existsSync(script))
    await renderInThreads(job, missing, threads, script, report, options.signal);
  else await renderHere(job, missing, report, options.signal);
}

async function renderHere(
  job: SceneJob,
  indices: readonly number[],
  report: (more: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const renderer = await createSceneRenderer(job);
  for (const index of indices) {
    signal?.throwIfAborted();
    await writeScene(renderer, job, index);
    report(1);
  }
}

/** Threads take a batch at a time, so a slow one does not hold up the rest. */
async function renderInThreads(
  job: SceneJob,
  indices: readonly number[],
  threads: number,
  script: string,
  report: (more: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted();
  const workers: Worker[] = [];
  let next = 0;
  const runOne = (worker: Worker): Promise<void> =>
    new Promise((resolve, reject) => {
      const feed = (): void => {
        const part = indices.slice(next, next + batch);
        next += part.length;
        if (part.length === 0) resolve();
        else worker.postMessage(part);
      };
      worker.on('message', (message: { done?: number; failed?: string }) => {
        if (message.failed !== undefined) return reject(new Error(message.failed));
        report(message.done ?? 0);
        feed();
      });
      worker.on('error', reject);
      worker.on('exit', (code) => reject(new Error(`A rendering thread ended early (exit code ${code}).`)));
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      feed();
    });
  try {
    for (let i = 0; i < threads; i++) workers.push(new Worker(script, { workerData: job }));
    await Promise.all(workers.map(runOne));
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function unknownSplit(split: string): string {
  const names = Object.keys(sceneCounts);
  const hint = nearest(split, names);
  return `There is no split "${split}". ${hint ? `Did you mean "${hint}"? ` : ''}The splits are ${names.join(', ')}.`;
}
