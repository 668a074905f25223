/** A frozen trunk's maps, computed once for each image and its mirror image: training needs the trunk no more (arXiv 2204.00484 freezes it). */
import { type Batch, createLoader, type LoaderOptions } from '../data/loader';
import { imageRandom, planEpoch } from '../data/loader/plan';
import { defaultCacheBytes } from '../data/loader/image-cache';
import { flipHorizontal } from '../data/transforms/geometric';
import type { DetectionDataset } from '../data/types';
import type { GroundTruth } from '../boxes/types';
import { trunkMaps } from '../models/backbones/trunk-maps';
import type { Detector } from '../models/detector';
import { detectorTaps, detectorTrunk } from '../models/trunk-reuse';
import { isFrozen } from '../nn/freeze';
import { inference } from '../nn/module';
import { interruptSignal } from '../tensor/interrupt';
import { tf } from '../tensor/tf';
import { batchTensor } from './batch-tensor';

/** Options of `cacheFeatures`. */
export interface FeatureCacheOptions extends Pick<
  LoaderOptions,
  'batchSize' | 'mean' | 'std' | 'channels' | 'method'
> {
  /** Whether the mirror images are kept, too: the one augmentation that features allow at twice the memory. Default true. */
  readonly mirrored?: boolean;
  /** Most bytes of maps, 4 a value. Default: a quarter of the memory, at most 2 GiB. */
  readonly maxBytes?: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** A batch of maps in the images' place. Plain arrays. */
export interface FeatureBatch {
  readonly ids: readonly string[];
  /** Values by stage, and `[B, H_i, W_i, C_i]`. */
  readonly maps: ReadonlyMap<
    number,
    { readonly values: Float32Array; readonly shape: readonly [number, number, number, number] }
  >;
  /** Boxes in pixels of the network's input. */
  readonly groundTruth: readonly (readonly GroundTruth[])[];
}

/** The maps of a data set. */
export interface FeatureCache {
  /** The trunk's stages that are kept. */
  readonly stages: readonly number[];
  readonly images: number;
  /** Of all maps. */
  readonly bytes: number;
  /** What computing them took. */
  readonly seconds: number;
  /**
   * Batches to train on, shuffled and mirrored by the seed: the same images, mirrored alike, as those of a loader of this seed with
   * `flipHorizontal()` and `dropLast`.
   * @throws RangeError for a batch size that is none, or larger than the number of images.
   */
  batches(options: { readonly batchSize: number; readonly shuffle: number | string }): FeatureBatches;
}

/** Epochs without end, for `train`. */
export interface FeatureBatches {
  readonly batches: number;
  epoch(epoch: number, from?: number): AsyncGenerator<FeatureBatch, void, undefined>;
}

interface KeptImage {
  readonly maps: ReadonlyMap<number, Float32Array>;
  readonly groundTruth: readonly GroundTruth[];
}

/**
 * Computes the maps that a detector takes of its frozen trunk, for every image of a data set.
 * @param options as the loader's, of the detector's input.
 * @throws RangeError where the trunk is not frozen, or the maps need more than `maxBytes`, saying how much; what reading the images throws.
 */
export async function cacheFeatures(
  detector: Pick<Detector, 'model' | 'inputSize'>,
  images: DetectionDataset,
  options: FeatureCacheOptions,
): Promise<FeatureCache> {
  const { mirrored = true, maxBytes = defaultCacheBytes(), onProgress, ...loading } = options;
  const trunk = detectorTrunk(detector.model);
  if (!isFrozen(trunk)) {
    throw new RangeError(
      'cacheFeatures: the trunk is trained, and its maps change with it; freeze it first (reuseTrunk, freezeModule)',
    );
  }
  const stages = detectorTaps(detector.model);
  const { width, height } = detector.inputSize;
  const { examples } = images;
  const versions = mirrored ? [0, 1] : [0];
  const rows = trunk.mapSizes(height);
  const columns = trunk.mapSizes(width);
  const shapes = new Map(
    stages.map((stage) => [stage, [rows[stage], columns[stage], trunk.channels[stage]] as const]),
  );
  const values = [...shapes.values()].reduce((sum, [h, w, c]) => sum + h * w * c, 0);
  const bytes = 4 * values * versions.length * examples.length;
  if (bytes > maxBytes) {
    throw new RangeError(
      `cacheFeatures: the maps of ${examples.length} images${mirrored ? ' and their mirror images' : ''} take ${megabytes(bytes)}, more than ` +
        `${megabytes(maxBytes)}; give fewer images, mirrored: false, or maxBytes`,
    );
  }
  const started = performance.now();
  const kept: KeptImage[][] = [];
  for (const version of versions) {
    const own: KeptImage[] = [];
    kept.push(own);
    const loader = createLoader(images, {
      ...loading,
      size: [height, width],
      augment: flipHorizontal(version),
    });
    try {
      for await (const batch of loader.epoch(0)) {
        interruptSignal()?.throwIfAborted();
        const { maps } = await batchFeatures(detector, batch);
        batch.groundTruth.forEach((groundTruth, i) => {
          const one = [...maps].map(([stage, { values: all }]) => {
            const size = all.length / batch.ids.length;
            return [stage, all.slice(i * size, (i + 1) * size)] as const;
          });
          own.push({ maps: new Map(one), groundTruth });
        });
        onProgress?.(version * examples.length + own.length, versions.length * examples.length);
      }
    } finally {
      await loader.close();
    }
  }
  const ids = examples.map(({ id }) => id);
  return {
    stages,
    images: examples.length,
    bytes,
    seconds: (performance.now() - started) / 1000,
    batches({ batchSize, shuffle }) {
      if (!(Number.isInteger(batchSize) && batchSize > 0 && batchSize <= ids.length)) {
        throw new RangeError(
          `FeatureCache: batchSize is ${batchSize}; give a whole number from 1 to ${ids.length}, the number of images`,
        );
      }
      const batches = Math.floor(ids.length / batchSize);
      return {
        batches,
        async *epoch(epoch, from = 0) {
          const { seed, batch } = planEpoch({ ids, batchSize, shuffle, partners: 0 }, epoch);
          for (let number = from; number < batches; number++) {
            const chosen = batch(number).map(({ index, copy }) => {
              // As `flipHorizontal` draws.
              const flipped = mirrored && imageRandom(seed, ids[index], copy).next() < 0.5;
              return { id: ids[index], ...kept[flipped ? 1 : 0][index] };
            });
            yield await Promise.resolve(joined(chosen, shapes));
          }
        },
      };
    },
  };
}

/** The maps that a detector takes of its trunk, which runs as in inference, for one batch. */
export async function batchFeatures({ model }: Pick<Detector, 'model'>, batch: Batch): Promise<FeatureBatch> {
  const stages = detectorTaps(model);
  const maps = tf.tidy(() => trunkMaps(detectorTrunk(model), batchTensor(batch), inference, stages));
  try {
    const values = await Promise.all(maps.map((map) => map.data<'float32'>()));
    const { ids, groundTruth } = batch;
    return {
      ids,
      groundTruth,
      maps: new Map(stages.map((stage, i) => [stage, { values: values[i], shape: maps[i].shape }])),
    };
  } finally {
    tf.dispose(maps);
  }
}

function joined(
  images: readonly (KeptImage & { readonly id: string })[],
  shapes: ReadonlyMap<number, readonly [number, number, number]>,
): FeatureBatch {
  const maps = [...shapes].map(([stage, shape]) => {
    const size = shape[0] * shape[1] * shape[2];
    const values = new Float32Array(images.length * size);
    images.forEach((image, i) => values.set(image.maps.get(stage)!, i * size));
    return [stage, { values, shape: [images.length, ...shape] as const }] as const;
  });
  return {
    ids: images.map(({ id }) => id),
    maps: new Map(maps),
    groundTruth: images.map(({ groundTruth }) => groundTruth),
  };
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
