/** L2 normalisation across channels with a learned scale (Liu et al., ParseNet, 2015, section 3.3), as SSD has it on its first map. */
import { tf } from '../tensor/tf';
import { type ForwardContext, Module, parameter } from './module';

/** Keeps a cell whose channels are all zero from dividing by zero: added to the sum of squares, as Caffe's layer does. */
const epsilon = 1e-10;

/** Makes the channels of each cell a vector of length 1, then multiplies each channel by its scale. */
export class L2Norm extends Module {
  /** Scale of each channel, `[C]`. */
  readonly weight: tf.Variable<tf.Rank.R1>;

  /** @param scale the first value of every channel's scale; SSD's is 20. */
  constructor(options: { readonly channels: number; readonly scale: number }) {
    super();
    this.weight = parameter(tf.fill([options.channels], options.scale) as tf.Tensor1D);
  }

  /** @param x `[B, H, W, C]`. Returns the same shape; the caller disposes it. */
  forward(x: tf.Tensor4D, _context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => {
      const length = tf.sqrt(tf.add(tf.sum(tf.mul(x, x), 3, true), epsilon)); // [B, H, W, 1]
      return tf.mul<tf.Tensor4D>(tf.div(x, length), this.weight);
    });
  }
}
