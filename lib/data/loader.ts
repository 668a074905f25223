/** Turns a data set into batches of pixels and boxes at the network's input size. */
import type { GroundTruth } from '../boxes/types';
import { interruptSignal } from '../tensor/interrupt';
import { BatchMaker, type BegunBatch } from './loader/batch-maker';
import { defaultCacheBytes, ImageCache } from './loader/image-cache';
import { planEpoch } from './loader/plan';
import { checkRepeats, repeatedLength } from './loader/repeat';
import { chooseWorkers } from './loader/workers';
import type { DatasetProblem } from './problems';
import { resizeImage, type ResizeMethod } from './resize';
import type { Fit, LetterboxOptions } from './transforms/geometric';
import type { Transform } from './transforms/transform';
import type { DetectionDataset, RgbImage } from './types';

/** Options of `createLoader`. */
export interface LoaderOptions {
  /** Height and width of the network's input in pixels; one number for both. */
  readonly size: number | readonly [height: number, width: number];
  readonly batchSize: number;
  /** `stretch` (default) fills the input; `letterbox` keeps proportions. */
  readonly fit?: 'stretch' | 'letterbox';
  /** Of `letterbox`: where the image lies (default `centre`), and the colour beside it (default: ImageNet's mean). */
  readonly position?: LetterboxOptions['position'];
  readonly fill?: LetterboxOptions['fill'];
  /** How pixels are resampled: as `resizeImage` does unless told. */
  readonly method?: ResizeMethod;
  /** Seed of order and augmentation. Default: no shuffling; augmentation draws from seed 0. */
  readonly shuffle?: number | string;
  /** Other samples that it takes (`partners`) are drawn from the data set by the seed, too, an image's own ones in each epoch. */
  readonly augment?: Transform;
  /**
   * How often an epoch shows each image on average, one number from 0 an image, such as `repeatFactors` gives. Every epoch is as long as
   * their sum, rounded up; which images are rounded up or down is drawn anew in each, by the seed. Copies of an image are augmented
   * differently, and may come in one batch. Partners are drawn from all images alike. For training: an evaluation wants each image once.
   */
  readonly repeat?: ArrayLike<number>;
  /** Leaves out a last batch that is not full. Default false. */
  readonly dropLast?: boolean;
  /** Keeps decoded images in memory (1 byte a value), as many as `cacheBytes` allows. Default true. */
  readonly cacheImages?: boolean;
  /** Most bytes of decoded images to keep; the rest is decoded each time. Default: a quarter of the memory, at most 2 GiB. */
  readonly cacheBytes?: number;
  /** Output is `(value - mean) / std`, RGB in 0 to 255. Default mean 0, std 1: values from 0 to 255. */
  readonly mean?: readonly [number, number, number];
  readonly std?: readonly [number, number, number];
  /** Order of the channels that the network takes; `mean` and `std` are for red, green, blue in any case. Default `rgb`. */
  readonly channels?: 'rgb' | 'bgr';
  /**
   * Threads that decode, augment and batch ahead of the consumer; 0 does it on this thread, when a batch is asked for. `auto`
   * (default) begins without and starts some, one less than `DETLAB_THREADS` or the processor's and at most 8, once making batches
   * has proved slow. Batches are the same to the bit whatever is chosen.
   */
  readonly workers?: number | 'auto';
  /** Batches that threads have begun or finished and nobody has asked for yet, at most. Default 2. */
  readonly prefetch?: number;
  /**
   * What to do with an image that can't be read or has another size than its annotation says: reject (the default) when its batch
   * is asked for, or leave it out, which makes its batch smaller by one, and list it in the loader's `problems`. In mosaics and the
   * like the image itself stands in for a partner that is left out.
   */
  readonly onProblem?: 'stop' | 'drop';
  /** Told once in a line what the user should know of the workers or of images left out. Default: `console.warn`. */
  readonly warn?: (line: string) => void;
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
  /** Decodes everything into memory now, as far as `cacheBytes` allows; says how many are done. */
  preload(onProgress?: (done: number, total: number) => void): Promise<void>;
  /** Images left out so far because of `onProblem: 'drop'`, each once. */
  readonly problems: readonly DatasetProblem[];
  /**
   * Ends the threads and forgets the decoded images now; a later epoch starts anew. Needed by nobody: threads end by themselves
   * after half a minute without work, and don't keep the process alive.
   */
  close(): Promise<void>;
}

/**
 * A loader of batches. Images are decoded once, shrunk to the input's size unless the augmentation zooms, and kept as far as
 * `cacheBytes` allows.
 *
 * With workers its memory is at most: `cacheBytes`, `2 * prefetch` batches, two decoded images (and what augmentation makes of
 * them) a thread, and the thread itself, 50 to 100 MB with its decoder. Threads make again what they are told: an augmentation with a `recipe`
 * (all of this library's; `withRecipe` gives one to your own) and images with a `file`. Otherwise that part stays on this thread.
 *
 * An iterator may be left at any time: what was begun ahead is given up. The notebook's stop button rejects while it waits.
 * @throws RangeError on an option that makes no sense, and, while it runs, what decoding and augmenting throw, at the place of
 *   their batch; an Error when a thread dies.
 */
export function createLoader(dataset: DetectionDataset, options: LoaderOptions): Loader {
  const { batchSize, fit = 'stretch', shuffle, augment, dropLast = false, cacheImages = true } = options;
  const { prefetch = 2, onProblem = 'stop', warn = (line) => console.warn(line) } = options;
  const [height, width] = typeof options.size === 'number' ? [options.size, options.size] : options.size;
  for (const [name, value] of Object.entries({ height, width, batchSize, prefetch })) {
    if (!Number.isInteger(value) || value < 1)
      throw new RangeError(`createLoader: ${name} is ${value}; it must be a whole number above 0`);
  }
  const cacheBytes = cacheImages ? (options.cacheBytes ?? defaultCacheBytes()) : 0;
  if (!(cacheBytes >= 0))
    throw new RangeError(`createLoader: cacheBytes is ${cacheBytes}; it must be a number from 0`);
  if (onProblem !== 'stop' && onProblem !== 'drop')
    throw new RangeError(`createLoader: onProblem is '${String(onProblem)}'; it must be 'stop' or 'drop'`);

  const { channels = 'rgb' } = options;
  if (channels !== 'rgb' && channels !== 'bgr')
    throw new RangeError(`createLoader: channels is '${String(channels)}'; it must be 'rgb' or 'bgr'`);

  const { examples } = dataset;
  const settings = {
    dataset: dataset.name,
    height,
    width,
    fit,
    position: options.position,
    fill: options.fill,
    method: options.method,
    mean: options.mean ?? ([0, 0, 0] as const),
    std: options.std ?? ([1, 1, 1] as const),
    channels,
    shrinkFirst: augment?.changesSize !== true,
  };
  const cache = new ImageCache(cacheBytes);
  const maker = new BatchMaker({ dataset, settings, augment, cache, onProblem, warn });
  const workers = chooseWorkers(options.workers ?? 'auto', { dataset, settings, augment, batchSize, warn });
  const repeat = options.repeat && Array.from(options.repeat);
  if (repeat) checkRepeats(repeat, examples.length);
  const length = repeat ? repeatedLength(repeat) : examples.length;
  const batches = dropLast ? Math.floor(length / batchSize) : Math.ceil(length / batchSize);
  const ids = examples.map(({ id }) => id);
  const plan = { ids, batchSize, shuffle, partners: augment?.partners ?? 0, repeat };

  return {
    batches,
    problems: maker.problems,
    async *epoch(epoch, from = 0) {
      const { seed, batch: planned } = planEpoch(plan, epoch);
      const ahead: BegunBatch[] = [];
      let next = from;
      const fill = (): void => {
        const threads = workers.threads();
        if (threads === undefined) return;
        while (next < batches && ahead.length < prefetch)
          ahead.push(maker.begin(threads, seed, planned(next++), workers.readOnly));
      };
      try {
        while (next < batches || ahead.length > 0) {
          const signal = interruptSignal();
          signal?.throwIfAborted();
          fill();
          let batch: Batch | undefined;
          if (ahead.length > 0) {
            batch = await untilAborted(ahead[0].batch(), signal);
            ahead.shift();
            fill(); // before the consumer is busy with this one
          } else {
            const started = performance.now();
            batch = await maker.make(seed, planned(next++));
            workers.spent(performance.now() - started);
          }
          if (batch) yield batch;
        }
      } finally {
        for (const begun of ahead) begun.cancel();
      }
    },
    async preload(onProgress) {
      for (let from = 0; from < examples.length && cache.open; from += 32) {
        interruptSignal()?.throwIfAborted();
        const part = examples.slice(from, from + 32).map((_, i) => from + i);
        await maker.read(part, workers.threads());
        onProgress?.(from + part.length, examples.length);
      }
    },
    async close() {
      cache.clear();
      await workers.close();
    },
  };
}

/** Settles as the promise does, or rejects when the user presses the stop button. */
async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop!);
  }
}

/**
 * One image as a batch of one, for showing and for trying things out: pixels stretched to `size`, RGB 0 to 255.
 * @returns `[1, size, size, 3]` values.
 */
export function imageToInput(image: RgbImage, size: number): Float32Array {
  return Float32Array.from(resizeImage(image, size, size).data);
}
