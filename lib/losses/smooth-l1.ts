/** Smooth L1 (Girshick, Fast R-CNN, ICCV 2015, equation 3). */
import { tf } from '../tensor/tf';

/**
 * Element by element, `0.5 d^2 / beta` where `|d| < beta` and `|d| - 0.5 beta` elsewhere, with `d = predictions - targets`: the
 * shape of the inputs. Huber's loss is `beta` times this. `beta` 0 is plain L1, whose gradient at 0 is 0.
 *
 * Only `predictions` has a gradient, `clip(d, -beta, beta) / beta`. The caller disposes the result.
 * @param beta where the parabola meets the line. Default 1, Fast R-CNN's and SSD's.
 */
export function smoothL1<T extends tf.Tensor>(predictions: T, targets: tf.Tensor, beta: number = 1): T {
  if (!(beta >= 0 && beta < Infinity)) throw new RangeError(`smoothL1: beta must be 0 or more, got ${beta}`);
  const operation = tf.customGrad((x, save) => {
    const difference = tf.sub(x as tf.Tensor, targets);
    const size = tf.abs(difference);
    if (beta === 0) {
      (save as tf.GradSaveFunc)([tf.sign(difference)]);
      return { value: size, gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.mul(dy, saved[0]) };
    }
    // Both branches at once, without a comparison: q^2 / (2 beta) + (|d| - q) with q = min(|d|, beta).
    const inner = tf.minimum(size, beta);
    const value = tf.add(tf.mul(tf.square(inner), 0.5 / beta), tf.sub(size, inner));
    (save as tf.GradSaveFunc)([tf.div(tf.clipByValue(difference, -beta, beta), beta)]);
    return { value, gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.mul(dy, saved[0]) };
  });
  return operation(predictions) as T;
}

/**
 * Huber's loss (1964), element by element: `0.5 d^2` where `|d| <= delta` and `delta (|d| - 0.5 delta)` elsewhere, with
 * `d = predictions - targets`: the shape of the inputs. It is `delta` times `smoothL1` with `beta` delta; PyTorch's `huber_loss`.
 *
 * Only `predictions` has a gradient, `clip(d, -delta, delta)`. The caller disposes the result.
 * @param delta where the parabola meets the line, above 0. Default 1; EfficientDet's is 0.1.
 */
export function huberLoss<T extends tf.Tensor>(predictions: T, targets: tf.Tensor, delta: number = 1): T {
  if (!(delta > 0 && delta < Infinity)) {
    throw new RangeError(`huberLoss: delta must be a positive number, got ${delta}`);
  }
  return tf.tidy(() => tf.mul(smoothL1(predictions, targets, delta), delta)) as T;
}
