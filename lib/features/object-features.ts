/** What a trunk makes of objects: a feature vector each, from the map's cells under its box. */
import type { Box, GroundTruth } from '../boxes/types';
import { createLoader, type LoaderOptions } from '../data/loader';
import type { DetectionDataset, Example } from '../data/types';
import type { Backbone } from '../models/backbones/backbone';
import { inference } from '../nn/module';
import { tf } from '../tensor/tf';
import { batchTensor } from '../train/batch-tensor';

/** Options of `objectFeatures`: how images are brought to the trunk (as `createLoader` does it), and which objects are wanted. */
export interface ObjectFeaturesOptions extends Omit<
  LoaderOptions,
  'shuffle' | 'augment' | 'repeat' | 'dropLast' | 'onProblem'
> {
  /** Index into the trunk's maps. Default: the last, coarsest one. */
  readonly stage?: number;
  /** Most objects. Default: all. */
  readonly limit?: number;
  /** Most objects of each class. Default: all. */
  readonly perClass?: number;
}

/** An object whose features were taken. */
export interface FeatureObject {
  readonly imageId: string;
  readonly label: number;
  /** xyxy in pixels of the data set's image. */
  readonly box: Box;
}

/** Features of objects. */
export interface ObjectFeatures {
  /** `[N, dimensions]`, row by row. */
  readonly features: Float32Array;
  /** Channels of the stage's map. */
  readonly dimensions: number;
  /** The N objects. */
  readonly objects: readonly FeatureObject[];
}

/**
 * The mean of a stage's map over each object's box: a cell counts by how much of it the box covers, so that objects smaller than a
 * cell have its features. Objects come in the order of the data set, the first `perClass` of each class until there are `limit`;
 * only their images are read. Crowds, and boxes that have no area within their image, are passed over.
 *
 * The trunk runs as in inference. Give `mean` and `std` (`normalizations`) as it was trained.
 * @throws RangeError on a stage that the trunk lacks, or a limit that is not a whole number above 0; and what the loader throws.
 */
export async function objectFeatures(
  backbone: Backbone,
  dataset: DetectionDataset,
  options: ObjectFeaturesOptions,
): Promise<ObjectFeatures> {
  const { stage = backbone.channels.length - 1, limit = Infinity, perClass = Infinity, ...pixels } = options;
  if (!(stage in backbone.channels)) {
    throw new RangeError(
      `objectFeatures: stage is ${stage}; the trunk has stages 0 to ${backbone.channels.length - 1}`,
    );
  }
  for (const [name, value] of Object.entries({ limit, perClass })) {
    if (!(value === Infinity || (Number.isInteger(value) && value > 0)))
      throw new RangeError(`objectFeatures: ${name} is ${value}; it must be a whole number above 0`);
  }
  const dimensions = backbone.channels[stage];
  const examples = chosenExamples(dataset, limit, perClass);
  const objects = examples.flatMap(({ id, objects: chosen }) =>
    chosen.map(({ box, label }) => ({ imageId: id, label, box })),
  );
  const features = new Float32Array(objects.length * dimensions);
  let written = 0;
  const loader = createLoader({ ...dataset, examples }, pixels);
  try {
    for await (const batch of loader.epoch(0)) {
      const pooled = tf.tidy(() => {
        const map = backbone.forward(batchTensor(batch), inference)[stage];
        return poolBoxes(map, batch.groundTruth, batch.shape);
      });
      try {
        features.set(await pooled.data<'float32'>(), written);
        written += pooled.size;
      } finally {
        pooled.dispose();
      }
    }
  } finally {
    await loader.close();
  }
  return { features, dimensions, objects };
}

/** The examples that have wanted objects, with those alone. */
function chosenExamples(dataset: DetectionDataset, limit: number, perClass: number): Example[] {
  const counts = new Map<number, number>();
  let left = limit;
  const wanted = (
    { box: [x1, y1, x2, y2], label, crowd }: GroundTruth,
    { width, height }: Example,
  ): boolean => {
    const seen = counts.get(label) ?? 0;
    const inside = Math.min(x2, width) > Math.max(x1, 0) && Math.min(y2, height) > Math.max(y1, 0);
    if (left === 0 || seen === perClass || crowd || !inside) return false;
    counts.set(label, seen + 1);
    left--;
    return true;
  };
  return dataset.examples.flatMap((example) => {
    const objects = example.objects.filter((object) => wanted(object, example));
    return objects.length > 0 ? [{ ...example, objects }] : [];
  });
}

/** `[R, C]`: the mean of the map over each box, the boxes of an image one after another. */
function poolBoxes(
  map: tf.Tensor4D,
  groundTruth: readonly (readonly GroundTruth[])[],
  [, height, width]: readonly [number, number, number, number],
): tf.Tensor2D {
  const [, rows, cols, channels] = map.shape;
  const pooled = groundTruth.map((objects, b) => {
    const weights = objects.flatMap(({ box: [x1, y1, x2, y2] }) => {
      const down = coverage((y1 * rows) / height, (y2 * rows) / height, rows);
      const across = coverage((x1 * cols) / width, (x2 * cols) / width, cols);
      return down.flatMap((y) => across.map((x) => y * x));
    });
    const cells = map.slice([b, 0, 0, 0], [1, rows, cols, channels]).reshape([rows * cols, channels]);
    return tf.matMul(tf.tensor2d(weights, [objects.length, rows * cols]), cells) as tf.Tensor2D;
  });
  return tf.concat2d(pooled, 0);
}

/** How much of each of `cells` cells lies between two places, as shares of all that does. */
function coverage(from: number, to: number, cells: number): number[] {
  const covered = Array.from({ length: cells }, (_, cell) =>
    Math.max(0, Math.min(to, cell + 1) - Math.max(from, cell)),
  );
  const total = covered.reduce((sum, value) => sum + value, 0);
  return covered.map((value) => value / total);
}
