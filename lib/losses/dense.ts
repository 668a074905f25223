/**
 * The loss of dense detectors that mine no negatives: sigmoid focal loss on every anchor and class, and a box loss on the positive
 * ones (RetinaNet: Lin et al., ICCV 2017, section 4; EfficientDet: Tan et al., CVPR 2020).
 *
 * Everything is tensor operations on fixed shapes: no value is read in JavaScript, so that a step can be recorded as a graph.
 */
import { tf } from '../tensor/tf';
import { checkAnchorShapes } from './anchor-shapes';
import { type FocalLossOptions, sigmoidFocalLoss } from './focal';
import type { MultiboxLoss } from './multibox';
import type { MultiboxTargets } from './multibox-targets';
import { huberLoss, smoothL1 } from './smooth-l1';

/** What the head predicts for B images and A anchors. */
export interface DensePredictions {
  /** `[B, A, C]` before the sigmoid; no background. */
  readonly classLogits: tf.Tensor3D;
  /** `[B, A, 4]` encoded offsets. */
  readonly boxDeltas: tf.Tensor3D;
}

/** Options of `denseLoss`; the defaults are torchvision's RetinaNet's. */
export interface DenseLossOptions extends FocalLossOptions {
  /** `smooth-l1` (default) or `huber`, which is `beta` times that. */
  readonly boxForm?: 'smooth-l1' | 'huber';
  /** Where the box loss' parabola meets the line. Default 0: plain L1. */
  readonly beta?: number;
  /** Weight of the box loss. Default 1. */
  readonly boxWeight?: number;
  /**
   * What both losses are divided by:
   * - `image-positives` (default; torchvision's RetinaNet): each image's sums by its own positive anchors, at least 1, and the
   *   images' losses averaged;
   * - `positives` (SSD): the batch's sums by its positive anchors, at least 1;
   * - `positives-plus-one` (EfficientDet): the batch's sums by its positive anchors and one more; the box loss besides by 4;
   * - a scalar: the batch's sums by it (Detectron2 keeps a running mean of the positives).
   */
  readonly normalizer?: 'image-positives' | 'positives' | 'positives-plus-one' | tf.Scalar;
  /** Whether a target offset of exactly 0 has no box loss, as in the EfficientDet release. Default false. */
  readonly skipZeroOffsets?: boolean;
}

/** torchvision's RetinaNet: focal alpha 0.25 and gamma 2, L1, each image by its own positives. */
export const retinaNetLoss: DenseLossOptions = {
  alpha: 0.25,
  gamma: 2,
  beta: 0,
  normalizer: 'image-positives',
};

/**
 * The EfficientDet release: focal alpha 0.25 and gamma 1.5, Huber 0.1 with weight 50, the batch by its positives and one. The
 * release's box targets are in the order of `efficientDetCoder`.
 */
export const efficientDetLoss: DenseLossOptions = {
  alpha: 0.25,
  gamma: 1.5,
  boxForm: 'huber',
  beta: 0.1,
  boxWeight: 50,
  normalizer: 'positives-plus-one',
  skipZeroOffsets: true,
};

/**
 * The loss of a batch, differentiable in both predictions. Ignored anchors count in neither part. A batch without objects has the
 * background's class loss and a box loss of 0, not NaN.
 *
 * The caller disposes the four scalars; inside `tf.tidy` or `tf.variableGrads` that happens by itself, so `tf.keep` what must
 * outlive it.
 */
export function denseLoss(
  predictions: DensePredictions,
  targets: MultiboxTargets,
  options: DenseLossOptions = {},
): MultiboxLoss {
  const { boxForm = 'smooth-l1', beta = 0, boxWeight = 1, skipZeroOffsets = false } = options;
  const { normalizer = 'image-positives' } = options;
  const { classLogits, boxDeltas } = predictions;
  const { classTargets, boxTargets } = targets;
  checkAnchorShapes('denseLoss', predictions, targets, 'C');
  const [batch, , classes] = classLogits.shape;
  return tf.tidy(() => {
    const positive = tf.cast(tf.greater(classTargets, 0), 'float32');
    const counted = tf.cast(tf.greaterEqual(classTargets, 0), 'float32');
    // Background and ignored anchors have rows of zeros.
    const oneHot = tf.cast(tf.oneHot(tf.sub(classTargets, tf.scalar(1, 'int32')), classes), 'float32');
    const perAnchor = tf.sum(sigmoidFocalLoss(classLogits, oneHot, options), -1);
    const perOffset =
      boxForm === 'huber' ? huberLoss(boxDeltas, boxTargets, beta) : smoothL1(boxDeltas, boxTargets, beta);
    const masked = skipZeroOffsets
      ? tf.mul(perOffset, tf.cast(tf.notEqual(boxTargets, 0), 'float32'))
      : perOffset;
    // [B]
    const classSums = tf.sum(tf.mul(perAnchor, counted), 1);
    const boxSums = tf.sum(tf.mul(tf.sum(masked, -1), positive), 1);
    const perImage = tf.sum(positive, 1);
    const positives = tf.sum(perImage) as tf.Scalar;
    const normalized = (sums: tf.Tensor, factor: number): tf.Scalar => {
      if (normalizer === 'image-positives') {
        return tf.div(tf.sum(tf.div(sums, tf.maximum(perImage, 1))), Math.max(batch, 1));
      }
      if (normalizer === 'positives') return tf.div(tf.sum(sums), tf.maximum(positives, 1));
      const divisor = normalizer === 'positives-plus-one' ? tf.mul(tf.add(positives, 1), factor) : normalizer;
      return tf.div(tf.sum(sums), divisor);
    };
    const classLoss = normalized(classSums, 1);
    const boxLoss = normalized(boxSums, 4);
    const total = tf.add(classLoss, tf.mul(boxLoss, boxWeight)) as tf.Scalar;
    return { total, classLoss, boxLoss, positives };
  });
}
