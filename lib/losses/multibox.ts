/**
 * SSD's loss (Liu et al., ECCV 2016, equations 1 to 3): softmax cross-entropy on the positive anchors and three times as many
 * hard negatives, smooth L1 on the positives' offsets, both divided by the number of positives.
 *
 * Everything is tensor operations on fixed shapes: no value is read in JavaScript, so that a step can be recorded as a graph.
 */
import type { HardNegativeOptions } from '../boxes/sampling';
import { withoutGradient } from '../tensor/stop-gradient';
import { tf } from '../tensor/tf';
import { checkAnchorShapes } from './anchor-shapes';
import { hardNegativeMask } from './hard-examples';
import type { MultiboxTargets } from './multibox-targets';
import { smoothL1 } from './smooth-l1';
import { softmaxCrossEntropy } from './softmax-cross-entropy';

/** What the head predicts for B images and A anchors. */
export interface MultiboxPredictions {
  /** `[B, A, C + 1]` before the softmax; background at index 0. */
  readonly classLogits: tf.Tensor3D;
  /** `[B, A, 4]` encoded offsets. */
  readonly boxDeltas: tf.Tensor3D;
}

/** Options of `multiboxLoss`. */
export interface MultiboxLossOptions extends HardNegativeOptions {
  /** Weight of the box loss. Default 1, SSD's alpha. */
  readonly boxWeight?: number;
  /** Of smooth L1. Default 1. */
  readonly beta?: number;
  /** Default 0. */
  readonly labelSmoothing?: number;
}

/** The loss and its parts, all scalars. */
export interface MultiboxLoss {
  /** `classLoss + boxWeight * boxLoss`. */
  readonly total: tf.Scalar;
  readonly classLoss: tf.Scalar;
  readonly boxLoss: tf.Scalar;
  /** Positive anchors in the batch; the losses are divided by it, or by 1 when there are none. */
  readonly positives: tf.Scalar;
}

/**
 * The multibox loss of a batch, differentiable in both predictions. Negatives are mined an image at a time. A batch without
 * objects gives 0 and zero gradients (unless `minNegatives` is set), not NaN.
 *
 * The caller disposes the four scalars; inside `tf.tidy` or `tf.variableGrads` that happens by itself, so `tf.keep` what must
 * outlive it.
 */
export function multiboxLoss(
  predictions: MultiboxPredictions,
  targets: MultiboxTargets,
  options: MultiboxLossOptions = {},
): MultiboxLoss {
  const { boxWeight = 1, beta = 1, labelSmoothing } = options;
  const { classLogits, boxDeltas } = predictions;
  const { classTargets, boxTargets } = targets;
  checkAnchorShapes('multiboxLoss', predictions, targets, 'C + 1');
  return tf.tidy(() => {
    const positive = tf.cast(tf.greater(classTargets, 0), 'float32');
    const positives = tf.sum(positive) as tf.Scalar;
    const normalizer = tf.maximum(positives, 1);
    const perAnchor = softmaxCrossEntropy<tf.Tensor2D>(classLogits, classTargets, { labelSmoothing });
    const negative = withoutGradient(
      (losses) => hardNegativeMask(losses as tf.Tensor2D, classTargets, options),
      perAnchor,
    );
    const classLoss = tf.div(tf.sum(tf.mul(perAnchor, tf.add(positive, negative))), normalizer) as tf.Scalar;
    const perBox = tf.sum(smoothL1(boxDeltas, boxTargets, beta), -1);
    const boxLoss = tf.div(tf.sum(tf.mul(perBox, positive)), normalizer) as tf.Scalar;
    const total = tf.add(classLoss, tf.mul(boxLoss, boxWeight)) as tf.Scalar;
    return { total, classLoss, boxLoss, positives };
  });
}
