/** Training a detector whose trunk is frozen on the trunk's maps, which were computed once. */
import type { Detector } from '../models/detector';
import { tf } from '../tensor/tf';
import type { FeatureBatch } from './feature-cache';
import { train, type TrainOptions, type TrainResult } from './train';

/** `train`'s options, less what a detector knows itself. `batches` are a `FeatureCache`'s. */
export interface TrainOnFeaturesOptions extends Omit<
  TrainOptions<FeatureBatch, Record<string, tf.Tensor>>,
  'model' | 'prepare' | 'loss'
> {
  readonly detector: Detector;
}

/** Names of the maps among a step's tensors. */
const prefix = 'trunk stage ';

/** A detector's network, targets and loss, as a training run on kept features takes them. */
export type FeatureTraining = Pick<
  TrainOptions<FeatureBatch, Record<string, tf.Tensor>>,
  'model' | 'prepare' | 'loss'
>;

/**
 * `trainDetector` without running the trunk: the same losses, to rounding, as on images that are only mirrored.
 * @throws what `train` does, and RangeError where the maps are another trunk's.
 */
export function trainOnFeatures({ detector, ...rest }: TrainOnFeaturesOptions): Promise<TrainResult> {
  return train({ ...rest, ...featureTraining(detector) });
}

/** What a training run on kept features needs of a detector. */
export function featureTraining(detector: Detector): FeatureTraining {
  const { width, height } = detector.inputSize;
  return {
    model: detector.model,
    prepare: ({ maps, groundTruth }) => ({
      ...detector.targets(groundTruth),
      ...Object.fromEntries(
        [...maps].map(([stage, { values, shape }]) => [`${prefix}${stage}`, tf.tensor4d(values, [...shape])]),
      ),
    }),
    loss: (inputs, context) => {
      const maps = new Map<number, tf.Tensor4D>();
      const targets: Record<string, tf.Tensor> = {};
      for (const [name, tensor] of Object.entries(inputs)) {
        if (name.startsWith(prefix)) maps.set(Number(name.slice(prefix.length)), tensor as tf.Tensor4D);
        else targets[name] = tensor;
      }
      const [batch] = [...maps.values()][0].shape;
      // Only their shape is looked at.
      const images = tf.zeros<tf.Rank.R4>([batch, height, width, 3]);
      return detector.loss(images, targets, { ...context, trunkMaps: maps });
    },
  };
}
