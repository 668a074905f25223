/** A fully connected layer. */
import type { Random } from '../tensor/random';
import { tf } from '../tensor/tf';
import { type Initializer, xavierUniform, zeros } from './initializers';
import { type ForwardContext, Module, parameter } from './module';

/** Options of `Linear`. */
export interface LinearOptions {
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Add a learned offset. Default true. */
  readonly bias?: boolean;
  /** First value of the weight. Default Xavier. */
  readonly initializer?: Initializer;
}

/** `[B, in] -> [B, out]`: x weight + bias. */
export class Linear extends Module {
  /** `[in, out]`; PyTorch stores `[out, in]`. */
  readonly weight: tf.Variable<tf.Rank.R2>;
  /** `[out]`. */
  readonly bias?: tf.Variable<tf.Rank.R1>;

  constructor(options: LinearOptions, random: Random) {
    super();
    const { inFeatures, outFeatures, bias = true, initializer = xavierUniform } = options;
    this.weight = parameter(initializer([inFeatures, outFeatures], random) as tf.Tensor2D);
    if (bias) this.bias = parameter(zeros([outFeatures], random) as tf.Tensor1D);
  }

  /** @param x `[B, in]`. Returns `[B, out]`; the caller disposes it. */
  forward(x: tf.Tensor2D, context: ForwardContext): tf.Tensor2D {
    const output = tf.tidy(() => {
      const y = tf.matMul<tf.Tensor2D>(x, this.weight as tf.Tensor2D);
      return this.bias ? y.add<tf.Tensor2D>(this.bias) : y;
    });
    if (context.trace) {
      const multiplyAdds = output.size * this.weight.shape[0];
      context.trace({ module: this, inputShape: x.shape, outputShape: output.shape, output, multiplyAdds });
    }
    return output;
  }
}
