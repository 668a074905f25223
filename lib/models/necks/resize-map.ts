/** From one level of a feature network to another. */
import { maxPool2d } from '../../tensor/kernels/pool';
import { tf } from '../../tensor/tf';

/** `same`, as released, or as many pixels on both sides, as networks trained anew in PyTorch have it. They differ on even sizes. */
export type PoolPadding = 'same' | 'symmetric';

/**
 * Brings a map to a size: to a smaller one by max-pooling with windows of stride + 1, to a larger one by nearest neighbours, cell
 * floor(i * from / to) for cell i (EfficientDet's release).
 * @param x `[B, H, W, C]`; not disposed.
 * @returns `[B, height, width, C]`, `x` itself where it has that size.
 */
export function resizeMap(
  x: tf.Tensor4D,
  [height, width]: readonly [height: number, width: number],
  padding: PoolPadding = 'same',
): tf.Tensor4D {
  const [, rows, columns] = x.shape;
  if (rows === height && columns === width) return x;
  if (rows < height || columns < width) return tf.image.resizeNearestNeighbor(x, [height, width]);
  const [down, across] = [Math.ceil(rows / height), Math.ceil(columns / width)];
  if (padding === 'symmetric' && down === across) {
    return maxPool2d(x, { kernel: down + 1, stride: down, padding: Math.floor((down + 1) / 2) });
  }
  return tf.maxPool(x, [down + 1, across + 1], [down, across], 'same');
}
