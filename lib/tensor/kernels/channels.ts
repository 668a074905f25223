/** Sums over batch, height and width, a channel at a time. */
import { tf } from '../tf';

/**
 * The sum of each channel.
 * @param x [N, H, W, C] (or [..., C]), not empty.
 * @returns [C]. Not meant to be differentiated through: callers are gradients themselves.
 */
export function channelSums(x: tf.Tensor): tf.Tensor1D {
  const channels = x.shape[x.rank - 1];
  return tf
    .sum(
      x,
      Array.from({ length: x.rank - 1 }, (_, axis) => axis),
    )
    .reshape([channels]);
}
