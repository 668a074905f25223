/** The upstream classification set: things that are no VOC class, one a picture, to pretrain a backbone on. */
import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { cacheDirectory } from '../../tensor/cache';
import { createRandom, type Random } from '../../tensor/random';
import { writeWhole } from '../voc-write';
import { backgroundsOf, groupDesigns, upstreamClasses, type Design } from './cast';
import type { Placement, Scene } from './describe';
import { loadPack, packFolder, type PackBackground, type PackManifest } from './pack';
import { renderScene } from './render';

/** The art family that only the validation set shows: it asks for the class, not the drawing. */
export const upstreamValidationFamily = 'twemoji';

/** What to render. */
export interface UpstreamOptions {
  /** `train`: all families but one; `val`: that one, on other backgrounds. */
  readonly split: 'train' | 'val';
  /** Width and height in pixels. Default 64. */
  readonly size?: number;
  /** Class names, or how many of the best drawn classes. Default 200. */
  readonly classes?: number | readonly string[];
  /** Images of each class, or, for a long tail, of the first and of the last class (geometric between). Default 64; val 8. */
  readonly perClass?: number | readonly [first: number, last: number];
  /** Default 0. */
  readonly seed?: number | string;
  readonly onProgress?: (progress: { done: number; total: number; secondsLeft: number }) => void;
  readonly signal?: AbortSignal;
  /** The folder to keep sets in. Default: `upstream` in the cache directory. */
  readonly cache?: string;
  /** The art pack. Default: the shipped one. */
  readonly pack?: string;
}

/** Pictures with one label each, all in memory. */
export interface ClassificationDataset {
  readonly name: string;
  /** `classes[label]` is the name of class `label`. */
  readonly classes: readonly string[];
  readonly size: number;
  /** RGB, `[N, size, size, 3]`, class by class. */
  readonly images: Uint8Array;
  /** `[N]`. */
  readonly labels: Int32Array;
}

/** Part of the cache key: raise it when rendering changes. */
const generatorVersion = 1;

/**
 * Renders the set, or takes it from the cache. Image j of a class depends on seed, split, class and j alone.
 * @throws when the pack lacks art for a class, naming it.
 */
export async function loadUpstream(options: UpstreamOptions): Promise<ClassificationDataset> {
  const { split, size = 64, seed = 0, perClass = split === 'train' ? 64 : 8 } = options;
  if (!Number.isInteger(size) || size < 16 || size > 512)
    throw new RangeError(`Upstream: size is ${size}; it must be a whole number from 16 to 512.`);
  const pack = await loadPack(options.pack ?? packFolder());
  const { manifest } = pack;
  const wanted = options.classes ?? 200;
  const classes = typeof wanted === 'number' ? upstreamClasses(drawnForBoth(manifest), wanted) : wanted;
  const counts = classes.map((_, k) => imagesOf(perClass, k, classes.length));
  const designs = classes.map((name) => designsOf(manifest, name, split));
  const backgrounds = backgroundsOf(manifest, split);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const labels = Int32Array.from(counts.flatMap((count, label) => new Array<number>(count).fill(label)));
  const bytes = size * size * 3;
  const dataset = { name: `upstream/${split}`, classes, size, labels };

  const identity = JSON.stringify({
    generatorVersion,
    pack: pack.fingerprint,
    split,
    size,
    classes,
    counts,
    seed,
  });
  const key = createHash('sha256').update(identity).digest('hex').slice(0, 12);
  const folder = options.cache ?? path.join(cacheDirectory(), 'upstream');
  const file = path.join(folder, `${split}-${size}-${key}.rgb`);
  const kept = await readKept(file, total * bytes);
  if (kept) return { ...dataset, images: kept };

  const images = new Uint8Array(total * bytes);
  const started = performance.now();
  let told = started;
  let done = 0;
  for (let label = 0; label < classes.length; label++) {
    for (let j = 0; j < counts[label]; j++, done++) {
      const random = createRandom(`${seed}/${split}/${classes[label]}/${j}`);
      const scene = describePatch(random.pick(designs[label]), random.pick(backgrounds), random);
      images.set(renderScene(scene, pack, size).image.data, done * bytes);
      const now = performance.now();
      if (now - told < 200) continue;
      told = now;
      options.onProgress?.({
        done,
        total,
        secondsLeft: ((now - started) / 1000 / (done + 1)) * (total - done),
      });
      await new Promise((resolve) => setImmediate(resolve)); // lets an interrupt through
      options.signal?.throwIfAborted();
    }
  }
  await fs.mkdir(folder, { recursive: true });
  await writeWhole(file, images);
  return { ...dataset, images };
}

/** The manifest with only those upstream drawings whose class is drawn both by the held-out family and by others. */
function drawnForBoth(manifest: PackManifest): PackManifest {
  const held = new Set<string>();
  const others = new Set<string>();
  for (const sprite of manifest.sprites) {
    if (sprite.role === 'upstream')
      (sprite.family === upstreamValidationFamily ? held : others).add(sprite.class);
  }
  return { ...manifest, sprites: manifest.sprites.filter((s) => held.has(s.class) && others.has(s.class)) };
}

function designsOf(manifest: PackManifest, name: string, split: 'train' | 'val'): Design[] {
  const held = split === 'val';
  const sprites = manifest.sprites.filter(
    (s) => s.role === 'upstream' && s.class === name && (s.family === upstreamValidationFamily) === held,
  );
  if (sprites.length === 0)
    throw new Error(`The art pack has no upstream drawing of "${name}" for the split ${split}.`);
  return groupDesigns(sprites);
}

/** Images of class k of K: constant, or falling geometrically from the first class to the last. */
function imagesOf(perClass: number | readonly [number, number], k: number, classes: number): number {
  if (typeof perClass === 'number') return perClass;
  const [first, last] = perClass;
  return Math.max(1, Math.round(first * (last / first) ** (k / Math.max(1, classes - 1))));
}

/** One thing, large, on a part of a background. */
function describePatch(design: Design, background: PackBackground, random: Random): Scene {
  const sprite = random.pick(design);
  const side = Math.round(Math.min(background.width, background.height) * random.uniform(0.3, 0.8));
  const x = random.integer(background.width - side + 1);
  const y = random.integer(background.height - side + 1);
  const aspect = (sprite.w / sprite.h) * random.uniform(0.87, 1.15);
  const longest = random.uniform(0.6, 0.95);
  const width = aspect >= 1 ? longest : longest * aspect;
  const height = width / aspect;
  const placement: Placement = {
    sprite,
    label: 0,
    x: 0.5 + random.uniform(-0.5, 0.5) * (1 - 0.8 * width),
    y: 0.5 + random.uniform(-0.5, 0.5) * (1 - 0.8 * height),
    width,
    height,
    rotation: random.uniform(-15, 15),
    flip: random.next() < 0.5,
    hue: random.uniform(-18, 18),
    saturation: random.uniform(0.65, 1.25),
    brightness: random.uniform(0.85, 1.15),
    lighting: random.uniform(0.3, 0.7),
    shadow: 0,
  };
  return {
    view: {
      background,
      flip: random.next() < 0.5,
      yaw: random.integer(3600) / 10,
      pitch: -30 + random.integer(500) / 10,
      fieldOfView: 30 + random.integer(501) / 10,
      crop: { x, y, side },
    },
    placements: [placement],
    exposure: random.uniform(0.9, 1.1),
    noise: random.uniform(0.5, 4),
    blur: 0,
    quality: 90,
    noiseSeed: random.integer(2 ** 31),
  };
}

async function readKept(file: string, bytes: number): Promise<Uint8Array | undefined> {
  try {
    const content = await fs.readFile(file);
    return content.length === bytes ? new Uint8Array(content.buffer, content.byteOffset, bytes) : undefined;
  } catch {
    return undefined;
  }
}
