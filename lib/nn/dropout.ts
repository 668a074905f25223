/** Dropout of single values (Srivastava et al., JMLR 2014) and of whole residual branches (Huang et al., ECCV 2016). */
import type { RandomStream } from '../tensor/random-stream';
import { tf } from '../tensor/tf';
import { type ForwardContext, Module } from './module';

/** The share that is dropped, checked: a rate of 1 would leave nothing. */
function checkedRate(layer: string, rate: number): number {
  if (rate >= 0 && rate < 1) return rate;
  throw new RangeError(
    `${layer}: the rate is the share that is dropped, at least 0 and below 1, got ${rate}`,
  );
}

/** x times a random mask of `shape`, which keeps a share of 1 - rate and scales it up by as much. */
function dropped<T extends tf.Tensor>(
  layer: string,
  x: T,
  shape: readonly number[],
  rate: number,
  context: ForwardContext,
): T {
  if (!context.training || rate === 0) return x.clone();
  const random: RandomStream | undefined = context.random;
  if (!random) {
    throw new Error(
      `${layer}: training with a rate of ${rate} needs random numbers; ` +
        'give the context a stream: { training: true, random: new RandomStream(seed) }',
    );
  }
  return tf.tidy(() => {
    const mask = tf.mul(random.bernoulli(shape, 1 - rate), 1 / (1 - rate));
    return tf.mul<T>(x, mask);
  });
}

/**
 * Sets each value to 0 with probability `rate` and multiplies the others by 1 / (1 - rate), so that the expectation stays
 * ("inverted" dropout). Training draws from `context.random`; inference passes x on.
 */
export class Dropout extends Module {
  /** @param rate at least 0 and below 1; a RangeError otherwise. */
  constructor(readonly rate: number) {
    super();
    checkedRate('Dropout', rate);
  }

  /**
   * @param x any shape. Returns the same shape; the caller disposes it.
   * @throws in training with a rate above 0, without `context.random`.
   */
  forward<T extends tf.Tensor>(x: T, context: ForwardContext): T {
    return dropped('Dropout', x, x.shape, this.rate, context);
  }
}

/**
 * Drops the whole residual branch of a sample with probability `rate` (Huang et al., section 3). The survivors are multiplied
 * by 1 / (1 - rate) in training, as EfficientNet does, instead of all by 1 - rate in inference, which passes x on. Training draws
 * from `context.random`: one number a sample.
 */
export class StochasticDepth extends Module {
  /** @param rate at least 0 and below 1; a RangeError otherwise. Huang et al. and EfficientNet let it grow linearly with depth. */
  constructor(readonly rate: number) {
    super();
    checkedRate('StochasticDepth', rate);
  }

  /**
   * @param x the branch before it is added to the shortcut, `[B, ...]`. Returns the same shape; the caller disposes it.
   * @throws in training with a rate above 0, without `context.random`.
   */
  forward<T extends tf.Tensor>(x: T, context: ForwardContext): T {
    return dropped(
      'StochasticDepth',
      x,
      x.shape.map((size, axis) => (axis === 0 ? size : 1)),
      this.rate,
      context,
    );
  }
}
