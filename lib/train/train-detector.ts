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

/**
 * Trains a detector in place on batches whose boxes are in pixels of the network's input. The log's parts are those of its loss.
 * @throws what `train` does, and when the batches' images are not of the detector's input size.
 */
export function trainDetector(options: TrainDetectorOptions): Promise<TrainResult> {
  const { detector, ...rest } = options;
  const { width, height } = detector.inputSize;
  return train({
    ...rest,
    model: detector.model,
    prepare: (batch): DetectorInputs => {
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
  });
}
