/** Seeded random numbers that are drawn inside a step: by tensor operations alone, so that a recorded step draws anew at each run. */
import { registerKernels } from './kernels/register';
import { runKernel } from './kernels/registry';
import { statelessUniformKernel } from './kernels/stateless-uniform';
import { tf } from './tf';

/** Runs `body`; what it draws is drawn again by whoever draws next. Without a stream it is just run. */
export function drawnAgain<T>(random: RandomStream | undefined, body: () => T): T {
  return random ? random.withState(random.state, body) : body();
}

/**
 * A stream of random tensors. Its whole state is one variable, so that it is saved, restored and advanced like a weight. The same
 * seed gives the same numbers on every backend: uniform ones to the bit (TensorFlow's StatelessRandomUniform, Philox 4x32-10),
 * normal ones to float32 rounding.
 */
export class RandomStream {
  /** `[seed, draws so far]`, int32, not trainable. Two streams of one seed repeat each other. */
  readonly state: tf.Variable<tf.Rank.R1>;

  /** @param seed a whole number from -2^31 to 2^31 - 1; a RangeError otherwise. */
  constructor(seed: number) {
    if ((seed | 0) !== seed) {
      throw new RangeError(
        `RandomStream: the seed must be a whole number from -2147483648 to 2147483647, got ${seed}`,
      );
    }
    this.state = tf.tidy(() => tf.variable(tf.tensor1d([seed, 0], 'int32'), false));
  }

  /** Uniform in [0, 1), multiples of 2^-23. Each call is one draw. The caller disposes the result. */
  uniform(shape: readonly number[]): tf.Tensor {
    registerKernels();
    return tf.tidy(() => {
      const values = runKernel(statelessUniformKernel, { seed: this.state }, { shape: [...shape] });
      this.state.assign(tf.add<tf.Tensor1D>(this.state, tf.tensor1d([0, 1], 'int32')));
      return values;
    });
  }

  /** Standard normal, by Box and Muller's transform (1958), within ±5.7. Each call is one draw. The caller disposes the result. */
  normal(shape: readonly number[]): tf.Tensor {
    return tf.tidy(() => {
      const size = tf.util.sizeFromShape([...shape]);
      if (size === 0) return this.uniform(shape);
      const half = Math.ceil(size / 2);
      const [first, second] = tf.unstack(this.uniform([2, half]));
      // 1 - u lies in (0, 1]: its logarithm is finite.
      const radius = tf.sqrt(tf.mul(tf.log(tf.sub(1, first)), -2));
      const angle = tf.mul(second, 2 * Math.PI);
      const pairs = tf.concat([tf.mul(radius, tf.cos(angle)), tf.mul(radius, tf.sin(angle))]);
      return pairs.slice([0], [size]).reshape([...shape]);
    });
  }

  /** 1 with probability p, 0 otherwise, float32. Each call is one draw. The caller disposes the result. */
  bernoulli(shape: readonly number[], p: number): tf.Tensor {
    if (!(p >= 0 && p <= 1)) throw new RangeError(`RandomStream: a probability lies in [0, 1], got ${p}`);
    return tf.tidy(() => tf.cast(tf.less(this.uniform(shape), p), 'float32'));
  }

  /**
   * Runs `body` with the stream at another state, then puts the stream back to where it was, also when `body` throws. A clone of
   * `state` taken before a computation makes the computation's draws repeat, as gradient checkpointing needs. May be nested.
   * @param state `[seed, draws]`, int32; it stays the caller's.
   */
  withState<T>(state: tf.Tensor, body: () => T): T {
    const before = tf.keep(this.state.clone());
    try {
      if (state !== this.state) this.state.assign(state as tf.Tensor1D);
      return body();
    } finally {
      this.state.assign(before);
      before.dispose();
    }
  }

  /** Releases the state. The stream can't be used afterwards. */
  dispose(): void {
    this.state.dispose();
  }
}
