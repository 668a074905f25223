/** Encoding as tensor operations: for targets that are made inside a step, of boxes that the step itself proposed. */
import { tf } from '../tensor/tf';
import type { BoxCoder } from './coders';

/**
 * Deltas `[..., 4]` in the coder's order of each box relative to its anchor: what `coder.encode` computes. Empty in, empty out. The
 * caller disposes the result.
 *
 * No value is read, so boxes without area are not refused: their deltas are not finite. Replace them before.
 * @param boxes `[..., 4]` xyxy
 * @param anchors `[..., 4]` xyxy in the same unit, of the same shape or broadcast to it
 */
export function encodeTensor<T extends tf.Tensor>(boxes: T, anchors: tf.Tensor, coder: BoxCoder): T {
  if (boxes.shape.at(-1) !== 4 || anchors.shape.at(-1) !== 4) {
    throw new RangeError(
      `encodeTensor: boxes [${boxes.shape}] and anchors [${anchors.shape}] must both end in 4 numbers a box`,
    );
  }
  return tf.tidy(() => {
    const last = boxes.rank - 1;
    const [bx1, by1, bx2, by2] = tf.split(boxes as tf.Tensor, 4, last);
    const [ax1, ay1, ax2, ay2] = tf.split(anchors, 4, anchors.rank - 1);
    const [vx, vy, vw, vh] = coder.variances;
    const [aw, ah] = [tf.sub(ax2, ax1), tf.sub(ay2, ay1)];
    const centre = (
      low: tf.Tensor,
      high: tf.Tensor,
      aLow: tf.Tensor,
      aHigh: tf.Tensor,
      size: tf.Tensor,
      variance: number,
    ): tf.Tensor => tf.div(tf.mul(tf.sub(tf.add(low, high), tf.add(aLow, aHigh)), 0.5 / variance), size);
    const extent = (low: tf.Tensor, high: tf.Tensor, size: tf.Tensor, variance: number): tf.Tensor =>
      tf.div(tf.log(tf.div(tf.sub(high, low), size)), variance);
    const [tx, ty] = [centre(bx1, bx2, ax1, ax2, aw, vx), centre(by1, by2, ay1, ay2, ah, vy)];
    const [tw, th] = [extent(bx1, bx2, aw, vw), extent(by1, by2, ah, vh)];
    return tf.concat(coder.order === 'xywh' ? [tx, ty, tw, th] : [ty, tx, th, tw], last) as T;
  });
}
