/** Training any detector: its targets and its loss in `train`'s terms. */
import type { Batch } from '../data/loader';
import type { Detector } from '../models/detector';
import { type tf } from '../tensor/tf';
import { batchTensor } from './batch-tensor';
import { train, type TrainOptions, type TrainResult } from './train';

/** A batch as tensors: the images, and the detector's targets under their own names. */
export type DetectorInputs = { readonly images: tf.Tensor4D } & Record<string, tf.Tensor>;

/** `train`'s options, less what a detector knows itself. */
export interface TrainDetectorOptions extends Omit<
  TrainOptions<Batch, DetectorInputs>,
  'model' | 'prepare' | 'loss'
> {
  readonly detector: Detector;
}

/** A detector's network, targets and loss, as a training run takes them. */
export type DetectorTraining = Pick<TrainOptions<Batch, DetectorInputs>, 'model' | 'prepare' | 'loss'>;

/** What a training run needs of a detector. Its `prepare` throws when the batches' images are not of the detector's input size. */
export function detectorTraining(detector: Detector): DetectorTraining {
  const { width, height } = detector.inputSize;
  return {
    model: detector.model,
    prepare: (batch) => {
      const [, rows, columns] = batch.shape;
      if (rows !== height || columns !== width) {
        throw new RangeError(
          `trainDetector: the loader gives images of ${columns} x ${rows} pixels, the detector takes ${width} x ${height}; ` +
            `give the loader size: [${height}, ${width}]`,
        );
      }
      return { ...detector.targets(batch.groundTruth), images: batchTensor(batch) };
    },
    loss: ({ images, ...targets }, context) => detector.loss(images as tf.Tensor4D, targets, context),
  };
}

/**
 * Trains a detector in place on batches whose boxes are in pixels of the network's input. The log's parts are those of its loss.
 * @throws what `train` does, and when the batches' images are not of the detector's input size.
 */
export function trainDetector({ detector, ...rest }: TrainDetectorOptions): Promise<TrainResult> {
  return train({ ...rest, ...detectorTraining(detector) });
}
