/** Decoding as tensor operations: for losses on boxes (GIoU and its like), and for detection inside a step. */
import { tf } from '../tensor/tf';
import type { BoxCoder } from './coders';

/**
 * Boxes `[..., 4]`, xyxy in the anchors' unit, of deltas `[..., 4]`: what `coder.decode` computes, differentiable in `deltas` (where
 * `maxLogScale` cuts, the gradient is 0, as of PyTorch's `clamp`). Empty in, empty out. The caller disposes the result.
 * @param deltas in the coder's order
 * @param anchors `[..., 4]` xyxy, of the same shape or broadcast to it: `[A, 4]` goes with `[B, A, 4]`
 */
export function decodeTensor<T extends tf.Tensor>(deltas: T, anchors: tf.Tensor, coder: BoxCoder): T {
  if (deltas.shape.at(-1) !== 4 || anchors.shape.at(-1) !== 4) {
    throw new RangeError(
      `decodeTensor: deltas [${deltas.shape}] and anchors [${anchors.shape}] must both end in 4 numbers a box`,
    );
  }
  return tf.tidy(() => {
    const last = deltas.rank - 1;
    const [first, second, third, fourth] = tf.split(deltas as tf.Tensor, 4, last);
    const [tx, ty, tw, th] =
      coder.order === 'xywh' ? [first, second, third, fourth] : [second, first, fourth, third];
    const [x1, y1, x2, y2] = tf.split(anchors, 4, anchors.rank - 1);
    const centre = (t: tf.Tensor, low: tf.Tensor, high: tf.Tensor, variance: number): tf.Tensor =>
      tf.add(tf.mul(scaled(t, variance), tf.sub(high, low)), tf.mul(tf.add(low, high), 0.5));
    const half = (t: tf.Tensor, low: tf.Tensor, high: tf.Tensor, variance: number): tf.Tensor => {
      const logarithm = scaled(t, variance);
      const limited =
        coder.maxLogScale === Infinity ? logarithm : tf.minimum(logarithm, tf.scalar(coder.maxLogScale));
      return tf.mul(tf.exp(limited), tf.mul(tf.sub(high, low), 0.5));
    };
    const [vx, vy, vw, vh] = coder.variances;
    const [cx, cy] = [centre(tx, x1, x2, vx), centre(ty, y1, y2, vy)];
    const [w, h] = [half(tw, x1, x2, vw), half(th, y1, y2, vh)];
    return tf.concat([tf.sub(cx, w), tf.sub(cy, h), tf.add(cx, w), tf.add(cy, h)], last) as T;
  });
}

function scaled(t: tf.Tensor, variance: number): tf.Tensor {
  return variance === 1 ? t : tf.mul(t, variance);
}
