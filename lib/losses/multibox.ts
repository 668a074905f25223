/**
 * SSD's loss (Liu et al., ECCV 2016, equations 1 to 3): softmax cross-entropy on the positive anchors and three times as many
 * hard negatives, smooth L1 on the positives' offsets, both divided by the number of positives.
 *
 * Everything is tensor operations on fixed shapes: no value is read in JavaScript, so that a step can be recorded as a graph.
 */
import type { HardNegativeOptions } from '../boxes/sampling';
import { withoutGradient } from '../tensor/stop-gradient';
import { tf } from '../tensor/tf';
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
  checkShapes(classLogits.shape, boxDeltas.shape, classTargets.shape, boxTargets.shape);
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

/**
 * Hard negatives as a tensor, 1 or 0, `[B, A]`: in each image the `ratio * positives` background anchors with the highest loss,
 * equal losses in the order of the anchors. The caller disposes it. It has no gradient and must not be differentiated through.
 *
 * Sorting gives only the value of the last loss that counts; which of several equal ones do is decided by counting them. So the
 * result does not depend on how a backend's sort treats ties, and one sort is enough.
 * @param losses `[B, A]`, 0 or more
 * @param classTargets `[B, A]` int32: 0 background, above 0 positive, -1 ignored
 */
export function hardNegativeMask(
  losses: tf.Tensor2D,
  classTargets: tf.Tensor2D,
  options: HardNegativeOptions = {},
): tf.Tensor2D {
  const { ratio = 3, minNegatives = 0 } = options;
  const anchors = losses.shape[1];
  if (losses.size === 0) return tf.zeros(losses.shape);
  return tf.tidy(() => {
    const candidate = tf.cast(tf.equal(classTargets, 0), 'float32');
    const positives = tf.sum(tf.cast(tf.greater(classTargets, 0), 'float32'), 1, true);
    const available = tf.sum(candidate, 1, true);
    // [B, 1]: how many to take, never more than there are.
    const wanted = tf.minimum(tf.maximum(tf.floor(tf.mul(positives, ratio)), minNegatives), available);
    // Others get -1, below every candidate, as losses are not negative. Multiplying by 1 and adding 0 rounds nothing.
    const ranked = tf.add(tf.mul(losses, candidate), tf.sub(candidate, 1));
    const sorted = tf.topk(ranked, anchors).values;
    // The loss at position wanted - 1, picked with a one-hot row: a gather would not run on every backend.
    const position = tf.range(0, anchors, 1, 'float32');
    const last = tf.cast(tf.equal(position, tf.sub(wanted, 1)), 'float32');
    const limit = tf.sum(tf.mul(sorted, last), 1, true);
    const above = tf.mul(tf.cast(tf.greater(ranked, limit), 'float32'), candidate);
    const equal = tf.mul(tf.cast(tf.equal(ranked, limit), 'float32'), candidate);
    const rankAmongEqual = tf.cumsum(equal, 1);
    const room = tf.sub(wanted, tf.sum(above, 1, true));
    const tied = tf.mul(equal, tf.cast(tf.lessEqual(rankAmongEqual, room), 'float32'));
    // Nothing wanted: the limit is 0, and every loss may lie above it.
    const some = tf.cast(tf.greater(wanted, 0), 'float32');
    return tf.mul(tf.add(above, tied), some) as tf.Tensor2D;
  });
}

function checkShapes(logits: number[], deltas: number[], classes: number[], boxes: number[]): void {
  const [b, a] = logits;
  const fits =
    logits.length === 3 &&
    String(deltas) === String([b, a, 4]) &&
    String(classes) === String([b, a]) &&
    String(boxes) === String([b, a, 4]);
  if (fits) return;
  throw new RangeError(
    `multiboxLoss: shapes do not go together: classLogits [${logits}], boxDeltas [${deltas}], classTargets [${classes}], ` +
      `boxTargets [${boxes}]; wanted [B, A, C + 1], [B, A, 4], [B, A], [B, A, 4]`,
  );
}
