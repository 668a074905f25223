/** Group normalisation (Wu and He, ECCV 2018): no batch statistics, so that it is the same for any batch, in training and after. */
import { tf } from '../tensor/tf';
import { type ForwardContext, Module, parameter } from './module';

/** Options of `GroupNorm`. */
export interface GroupNormOptions {
  readonly channels: number;
  /** How many groups the channels are normalised in. Default 32, or as many as there are channels where those are fewer. */
  readonly groups?: number;
  /** Added to the variance. Default 1e-5. */
  readonly epsilon?: number;
}

/**
 * Normalises each group of channels of each image of `[B, H, W, C]` to zero mean and unit variance, then scales and shifts each
 * channel. What RetinaNet's heads use where all levels of a pyramid share them: the levels' statistics differ, so that batch
 * normalisation's one set of running ones would fit none.
 */
export class GroupNorm extends Module {
  /** Scale, `[C]`, from 1. */
  readonly weight: tf.Variable<tf.Rank.R1>;
  /** Shift, `[C]`, from 0. */
  readonly bias: tf.Variable<tf.Rank.R1>;
  readonly groups: number;
  readonly epsilon: number;

  /** @throws RangeError when the groups do not divide the channels. */
  constructor(options: GroupNormOptions) {
    super();
    const { channels, groups = Math.min(32, channels), epsilon = 1e-5 } = options;
    if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0) {
      throw new RangeError(
        `GroupNorm: ${groups} groups do not divide ${channels} channels; choose a divisor`,
      );
    }
    this.groups = groups;
    this.epsilon = epsilon;
    this.weight = parameter(tf.ones([channels]) as tf.Tensor1D);
    this.bias = parameter(tf.zeros([channels]) as tf.Tensor1D);
  }

  /** @param x `[B, H, W, C]`. Returns the same shape; the caller disposes it. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    const { groups, epsilon } = this;
    const [batch, height, width, channels] = x.shape;
    const output = tf.tidy(() => {
      const grouped = tf.reshape(x, [batch, height * width, groups, channels / groups]);
      const mean = tf.mean(grouped, [1, 3], true);
      const centered = tf.sub(grouped, mean);
      const variance = tf.mean(tf.square(centered), [1, 3], true);
      // One factor a channel and image: the image itself is read twice only.
      const scale = tf.mul(
        tf.rsqrt(tf.add(variance, epsilon)),
        tf.reshape(this.weight, [1, 1, groups, channels / groups]),
      );
      const shift = tf.reshape(this.bias, [1, 1, groups, channels / groups]);
      return tf.reshape<tf.Rank.R4>(tf.add(tf.mul(centered, scale), shift), x.shape);
    });
    context.trace?.({ module: this, inputShape: x.shape, outputShape: x.shape, output, multiplyAdds: 0 });
    return output;
  }
}
