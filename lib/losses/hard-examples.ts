/**
 * Hard example mining inside a step, as masks: tensor operations on fixed shapes, no value read in JavaScript. On plain arrays the
 * same is `hardNegatives` and `hardExamples`.
 */
import type { HardNegativeOptions } from '../boxes/sampling';
import { tf } from '../tensor/tf';

/**
 * Hard negatives as a tensor, 1 or 0, `[B, A]`: in each image the `ratio * positives` background anchors with the highest loss,
 * equal losses in the order of the anchors (SSD: Liu et al., ECCV 2016, section 2.2). The caller disposes it. It has no gradient and
 * must not be differentiated through.
 * @param losses `[B, A]`, 0 or more
 * @param classTargets `[B, A]` int32: 0 background, above 0 positive, -1 ignored
 */
export function hardNegativeMask(
  losses: tf.Tensor2D,
  classTargets: tf.Tensor2D,
  options: HardNegativeOptions = {},
): tf.Tensor2D {
  const { ratio = 3, minNegatives = 0 } = options;
  return tf.tidy(() => {
    const positives = tf.sum(tf.cast(tf.greater(classTargets, 0), 'float32'), 1, true);
    const wanted = tf.maximum(tf.floor(tf.mul(positives, ratio)), minNegatives);
    return highest(losses, tf.equal(classTargets, 0), wanted);
  });
}

/**
 * The `count` examples with the highest loss of each image, positive and background alike, as a tensor of 1 or 0, `[B, N]` (OHEM:
 * Shrivastava et al., CVPR 2016, section 4.1, without its suppression of overlapping examples, which `hardExamples` has). Equal
 * losses in the order of the examples. The caller disposes it. It has no gradient and must not be differentiated through.
 * @param losses `[B, N]`, 0 or more
 * @param classTargets `[B, N]` int32: below 0 is ignored
 */
export function hardExampleMask(losses: tf.Tensor2D, classTargets: tf.Tensor2D, count: number): tf.Tensor2D {
  if (!(Number.isInteger(count) && count >= 0)) {
    throw new RangeError(`hardExampleMask: count must be a whole number from 0, got ${count}`);
  }
  return tf.tidy(() =>
    highest(losses, tf.greaterEqual(classTargets, 0), tf.fill([losses.shape[0], 1], count)),
  );
}

/**
 * Sorting gives only the value of the last loss that counts; which of several equal ones do is decided by counting them. So the
 * result does not depend on how a backend's sort treats ties, and one sort is enough.
 * @param candidates `[B, A]` bool
 * @param wanted `[B, 1]`, how many of each row; fewer where there are fewer candidates
 */
function highest(losses: tf.Tensor2D, candidates: tf.Tensor, wanted: tf.Tensor): tf.Tensor2D {
  const anchors = losses.shape[1];
  if (losses.size === 0) return tf.zeros(losses.shape);
  const candidate = tf.cast(candidates, 'float32');
  const taken = tf.minimum(wanted, tf.sum(candidate, 1, true));
  // Others get -1, below every candidate, as losses are not negative. Multiplying by 1 and adding 0 rounds nothing.
  const ranked = tf.add(tf.mul(losses, candidate), tf.sub(candidate, 1));
  const sorted = tf.topk(ranked, anchors).values;
  // The loss at position taken - 1, picked with a one-hot row: a gather would not run on every backend.
  const position = tf.range(0, anchors, 1, 'float32');
  const last = tf.cast(tf.equal(position, tf.sub(taken, 1)), 'float32');
  const limit = tf.sum(tf.mul(sorted, last), 1, true);
  const above = tf.mul(tf.cast(tf.greater(ranked, limit), 'float32'), candidate);
  const equal = tf.mul(tf.cast(tf.equal(ranked, limit), 'float32'), candidate);
  const rankAmongEqual = tf.cumsum(equal, 1);
  const room = tf.sub(taken, tf.sum(above, 1, true));
  const tied = tf.mul(equal, tf.cast(tf.lessEqual(rankAmongEqual, room), 'float32'));
  // Nothing taken: the limit is 0, and every loss may lie above it.
  const some = tf.cast(tf.greater(taken, 0), 'float32');
  return tf.mul(tf.add(above, tied), some) as tf.Tensor2D;
}
