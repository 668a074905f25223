/** Max pooling with padding and rounding as Caffe and PyTorch do it. */
import { tf } from '../tf';
import { padOrCrop } from './layout';

/** Options of `maxPool2d`. */
export interface MaxPoolOptions {
  /** Side of the square window. */
  readonly kernel: number;
  /** Default: the kernel's side. */
  readonly stride?: number;
  /** Pixels around the image that never win; at most half the kernel. Default 0. */
  readonly padding?: number;
  /** Let a window hang over the bottom or right edge rather than drop the pixels there (the original SSD does). Default false. */
  readonly ceil?: boolean;
}

/** The lowest finite float32: loses against every value, and unlike -Infinity never turns into NaN. */
const lowest = -3.4028234663852886e38;

/** One axis: how many windows, and how much padding after the image they need (negative: pixels that no window sees). */
function windows(size: number, options: Required<MaxPoolOptions>): { count: number; after: number } {
  const { kernel, stride, padding, ceil } = options;
  const steps = (size + 2 * padding - kernel) / stride;
  let count = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
  // PyTorch's and Caffe's rule: the last window must start inside the image or its leading padding.
  if (ceil && (count - 1) * stride >= size + padding) count--;
  return { count, after: (count - 1) * stride + kernel - size - padding };
}

/**
 * The maximum of each window, differentiable.
 * @param x [N, H, W, C].
 * @returns [N, H', W', C], H' = floor or ceil of (H + 2 padding - kernel) / stride, plus 1; the caller disposes it.
 * @throws RangeError when a window could lie wholly in the padding, or the image is smaller than a window.
 */
export function maxPool2d(x: tf.Tensor4D, options: MaxPoolOptions): tf.Tensor4D {
  const { kernel, stride = kernel, padding = 0, ceil = false } = options;
  if (padding * 2 > kernel) {
    throw new RangeError(
      `maxPool2d: padding ${padding} is more than half the kernel ${kernel}; some windows would see no pixel`,
    );
  }
  const [, height, width] = x.shape;
  const rows = windows(height, { kernel, stride, padding, ceil });
  const columns = windows(width, { kernel, stride, padding, ceil });
  if (rows.count < 1 || columns.count < 1) {
    throw new RangeError(
      `maxPool2d: an image of ${height}x${width} is smaller than a window of ${kernel} with padding ${padding}`,
    );
  }
  const same = (size: number, count: number, after: number): boolean => {
    const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + kernel - size);
    return (
      count === Math.ceil(size / stride) &&
      padding === Math.floor(total / 2) &&
      Math.max(0, after) === Math.ceil(total / 2)
    );
  };
  // A named padding spares a copy of the image, and tfjs's pooling knows no other on `tensorflow`.
  if (padding === 0 && rows.after <= 0 && columns.after <= 0) return tf.maxPool(x, kernel, stride, 'valid');
  if (same(height, rows.count, rows.after) && same(width, columns.count, columns.after)) {
    return tf.maxPool(x, kernel, stride, 'same');
  }
  return tf.tidy(() => {
    const after = [rows.after, columns.after].map((a) => Math.max(0, a));
    return tf.maxPool(padOrCrop(x, padding, after[0], padding, after[1], lowest), kernel, stride, 'valid');
  });
}
