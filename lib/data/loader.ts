/** Turns a data set into batches of pixels and boxes at the network's input size. */
import type { Box, GroundTruth } from '../boxes/types';
import { createRandom } from '../tensor/random';
import { resizeImage } from './resize';
import { letterbox, letterboxFit, resize, type Fit } from './transforms/geometric';
import type { Sample, Transform } from './transforms/transform';
import type { DetectionDataset, Example, RgbImage } from './types';

/** Options of `createLoader`. */
export interface LoaderOptions {
  /** Height and width of the network's input in pixels; one number for both. */
  readonly size: number | readonly [height: number, width: number];
  readonly batchSize: number;
  /** `stretch` (default) fills the input; `letterbox` keeps proportions. */
  readonly fit?: 'stretch' | 'letterbox';
  /** Seed of order and augmentation. Default: no shuffling; augmentation draws from seed 0. */
  readonly shuffle?: number | string;
  readonly augment?: Transform;
  /** Leaves out a last batch that is not full. Default false. */
  readonly dropLast?: boolean;
  /** Keeps decoded images in memory (1 byte a value). Default true. */
  readonly cacheImages?: boolean;
  /** Output is `(value - mean) / std`, RGB in 0 to 255. Default mean 0, std 1: values from 0 to 255. */
  readonly mean?: readonly [number, number, number];
  readonly std?: readonly [number, number, number];
}

/** One batch. Plain arrays: a caller makes the tensor (and disposes it). */
export interface Batch {
  /** RGB, `[B, H, W, 3]`, row by row. */
  readonly images: Float32Array;
  readonly shape: readonly [batch: number, height: number, width: number, channels: 3];
  /** Boxes in pixels of the network's input, `groundTruth[b]` for image b; may be empty. */
  readonly groundTruth: readonly (readonly GroundTruth[])[];
  readonly ids: readonly string[];
  /** From the pixels of the image (after augmentation) to those of the input; `unfitBox` goes back. */
  readonly fits: readonly Fit[];
}

/** Batches of a data set, epoch by epoch. */
export interface Loader {
  readonly batches: number;
  /**
   * The batches of an epoch (from 0): the same seed and epoch give the same batches. An empty data set gives none.
   * @param from leaves out the batches before this one, without reading their images.
   */
  epoch(epoch: number, from?: number): AsyncGenerator<Batch, void, undefined>;
  /** Decodes everything into memory now; says how many are done. */
  preload(onProgress?: (done: number, total: number) => void): Promise<void>;
}

/**
 * A loader of batches. Images are decoded once, shrunk to the input's size unless the augmentation zooms, and kept.
 * @throws RangeError on a size or batch size that is not a positive integer, and, while it runs, what decoding throws.
 */
export function createLoader(dataset: DetectionDataset, options: LoaderOptions): Loader {
  const { batchSize, fit = 'stretch', shuffle, augment, dropLast = false, cacheImages = true } = options;
  const [height, width] = typeof options.size === 'number' ? [options.size, options.size] : options.size;
  for (const [name, value] of Object.entries({ height, width, batchSize })) {
    if (!Number.isInteger(value) || value < 1)
      throw new RangeError(`createLoader: ${name} is ${value}; it must be a whole number above 0`);
  }
  const { examples } = dataset;
  const toInput = fit === 'letterbox' ? letterbox(width, height) : resize(width, height);
  const shrinkFirst = augment?.changesSize !== true;
  const cache = new Map<number, Sample>();

  /** The example as augmentation takes it. */
  const load = async (index: number): Promise<Sample> => {
    const known = cache.get(index);
    if (known) return known;
    const example = examples[index];
    const image = await example.image();
    checkSize(image, example, dataset.name);
    const sample: Sample = { image, objects: example.objects };
    const ready = shrinkFirst ? toInput(sample, createRandom(0)) : sample;
    if (cacheImages) cache.set(index, ready);
    return ready;
  };
  const fitOf = (from: { width: number; height: number }): Fit =>
    fit === 'letterbox'
      ? letterboxFit(from, width, height)
      : { scaleX: width / from.width, scaleY: height / from.height, offsetX: 0, offsetY: 0 };
  const normalise = normaliser(options.mean ?? [0, 0, 0], options.std ?? [1, 1, 1]);
  const batches = dropLast ? Math.floor(examples.length / batchSize) : Math.ceil(examples.length / batchSize);

  return {
    batches,
    async *epoch(epoch, from = 0) {
      const random = createRandom(`${shuffle ?? 0}/epoch-${epoch}`);
      const indices = examples.map((_, i) => i);
      const order = shuffle === undefined ? indices : random.fork('order').shuffle(indices);
      for (let b = from; b < batches; b++) {
        const chosen = order.slice(b * batchSize, (b + 1) * batchSize);
        const images = new Float32Array(chosen.length * height * width * 3);
        const groundTruth: GroundTruth[][] = [];
        const fits: Fit[] = [];
        // Reading and decoding overlap; the rest is arithmetic.
        const samples = await Promise.all(chosen.map(load));
        samples.forEach((loaded, i) => {
          const example = examples[chosen[i]];
          // By id, so that an image's augmentation does not depend on its place in the batch.
          let sample = augment ? augment(loaded, random.fork(example.id)) : loaded;
          fits.push(fitOf(shrinkFirst ? example : sample.image));
          if (!shrinkFirst) sample = toInput(sample, random);
          normalise(sample.image.data, images, i * height * width * 3);
          groundTruth.push(sample.objects.filter((object) => hasArea(object.box)));
        });
        const ids = chosen.map((index) => examples[index].id);
        yield { images, shape: [chosen.length, height, width, 3], groundTruth, ids, fits };
      }
    },
    async preload(onProgress) {
      if (!cacheImages) return;
      for (let from = 0; from < examples.length; from += 32) {
        const part = examples.slice(from, from + 32).map((_, i) => from + i);
        await Promise.all(part.map(load));
        onProgress?.(from + part.length, examples.length);
      }
    },
  };
}

/** Writes `(value - mean) / std` by a table a channel. */
function normaliser(
  mean: readonly [number, number, number],
  std: readonly [number, number, number],
): (source: Uint8Array, target: Float32Array, offset: number) => void {
  const tables = mean.map((m, c) => Float32Array.from({ length: 256 }, (_, value) => (value - m) / std[c]));
  const [r, g, b] = tables;
  return (source, target, offset) => {
    for (let i = 0, t = offset; i < source.length; i += 3, t += 3) {
      target[t] = r[source[i]];
      target[t + 1] = g[source[i + 1]];
      target[t + 2] = b[source[i + 2]];
    }
  };
}

/** Boxes are in the annotation's pixels: an image of another size would silently misplace them. */
function checkSize(image: RgbImage, example: Example, name: string): void {
  if (image.width === example.width && image.height === example.height) return;
  throw new Error(
    `${name}, image ${example.id}: it is ${image.width} x ${image.height}, its annotation says ` +
      `${example.width} x ${example.height}. Mend the annotation's size, or the image.`,
  );
}

function hasArea([x1, y1, x2, y2]: Box): boolean {
  return x2 > x1 && y2 > y1;
}

/**
 * One image as a batch of one, for showing and for trying things out: pixels stretched to `size`, RGB 0 to 255.
 * @returns `[1, size, size, 3]` values.
 */
export function imageToInput(image: RgbImage, size: number): Float32Array {
  return Float32Array.from(resizeImage(image, size, size).data);
}
