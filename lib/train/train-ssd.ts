/** Training an SSD: what `train` needs to know of its targets and its loss. */
import type { Batch } from '../data/loader';
import { multiboxLoss, type MultiboxLossOptions } from '../losses/multibox';
import { encodeTargets, type EncodeOptions, targetTensors } from '../losses/multibox-targets';
import type { SsdDetector } from '../models/ssd-detector';
import { tf } from '../tensor/tf';
import { train, type TrainOptions, type TrainResult } from './train';

/** A batch as tensors. */
type SsdInputs = {
  readonly images: tf.Tensor4D;
  readonly classTargets: tf.Tensor2D;
  readonly boxTargets: tf.Tensor3D;
};

/** `train`'s options, less what an SSD knows itself. */
export interface TrainSsdOptions extends Pick<
  TrainOptions<Batch, SsdInputs>,
  | 'batches'
  | 'steps'
  | 'schedule'
  | 'optimizer'
  | 'clipNorm'
  | 'gradientChange'
  | 'nonFinite'
  | 'random'
  | 'compile'
  | 'onStep'
> {
  readonly detector: SsdDetector;
  /** How anchors are matched to objects. */
  readonly matching?: EncodeOptions;
  readonly loss?: MultiboxLossOptions;
}

/**
 * Trains an SSD in place on batches whose boxes are in pixels of the network's input. The log's parts are `class` and `box`
 * (the two losses) and `positives` (matched anchors of the batch).
 */
export function trainSsd(options: TrainSsdOptions): Promise<TrainResult> {
  const { detector, matching, loss: lossOptions, ...rest } = options;
  const { model, anchors } = detector;
  return train({
    ...rest,
    model,
    prepare: (batch): SsdInputs => ({
      images: batchTensor(batch),
      ...targetTensors(
        encodeTargets(batch.groundTruth, anchors, { classes: model.config.classes, ...matching }),
      ),
    }),
    loss: (inputs, context) => {
      const predictions = model.forward(inputs.images, context);
      const { total, classLoss, boxLoss, positives } = multiboxLoss(predictions, inputs, lossOptions);
      return { total, parts: { class: classLoss, box: boxLoss, positives } };
    },
  });
}

/** A batch's images as a tensor `[B, H, W, 3]`; the caller disposes it. */
export function batchTensor(batch: Batch): tf.Tensor4D {
  return tf.tensor4d(batch.images, [...batch.shape]);
}
