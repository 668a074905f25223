/** Depthwise convolution: every channel has filters of its own, and none sees another channel. */
import { depthwiseConv2d } from '../tensor/kernels/conv';
import type { Random } from '../tensor/random';
import { tf } from '../tensor/tf';
import { type Initializer, kaimingNormal, zeros } from './initializers';
import { type ForwardContext, Module, parameter } from './module';
import { type Padding, paddingAround } from './padding';

/** Options of `DepthwiseConv2d`. */
export interface DepthwiseConv2dOptions {
  readonly channels: number;
  /** Side of the square window. */
  readonly kernel: number;
  /** Output channels for each input channel. Default 1. */
  readonly multiplier?: number;
  /** Default 1. */
  readonly stride?: number;
  /** Pixels of zeros on every side, or `same`. Default `dilation * (kernel - 1) / 2`, which keeps the size at stride 1. */
  readonly padding?: Padding;
  /** Spacing of the window's taps; above 1 only with stride 1. Default 1. */
  readonly dilation?: number;
  /** Add a learned offset a channel. Default true; off before batch normalisation, which has its own. */
  readonly bias?: boolean;
  /**
   * First value of the weight, asked for as `[kernel, kernel, 1, channels * multiplier]`: each output is connected to one
   * channel's window only. Default Kaiming's, by that fan-in. (Xavier's would count a fan-out of all channels.)
   */
  readonly initializer?: Initializer;
}

/**
 * `[B, H, W, C] -> [B, H', W', C * multiplier]`, H' = floor((H + 2 padding - dilation (kernel - 1) - 1) / stride) + 1. Output
 * channel c * multiplier + m is input channel c under its filter m, the order of PyTorch's `groups=C`.
 */
export class DepthwiseConv2d extends Module {
  /** `[kernel, kernel, C, multiplier]`. */
  readonly weight: tf.Variable<tf.Rank.R4>;
  /** `[C * multiplier]`. */
  readonly bias?: tf.Variable<tf.Rank.R1>;
  readonly stride: number;
  readonly padding: Padding;
  readonly dilation: number;

  constructor(options: DepthwiseConv2dOptions, random: Random) {
    super();
    const { channels, kernel, multiplier = 1, stride = 1, dilation = 1, bias = true } = options;
    const { initializer = kaimingNormal } = options;
    this.stride = stride;
    this.dilation = dilation;
    this.padding = options.padding ?? (dilation * (kernel - 1)) / 2;
    const first = initializer([kernel, kernel, 1, channels * multiplier], random);
    this.weight = parameter(first.reshape([kernel, kernel, channels, multiplier]) as tf.Tensor4D);
    first.dispose();
    if (bias) this.bias = parameter(zeros([channels * multiplier], random) as tf.Tensor1D);
  }

  /** @param x `[B, H, W, C]`. Returns `[B, H', W', C * multiplier]`; the caller disposes it. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    const { stride, dilation } = this;
    const kernel = this.weight.shape[0];
    const output = tf.tidy(() => {
      const [, height, width] = x.shape;
      const padding = paddingAround(this.padding, [height, width], { kernel, stride, dilation });
      return depthwiseConv2d(x, this.weight as tf.Tensor4D, { stride, padding, dilation, bias: this.bias });
    });
    if (context.trace) {
      const multiplyAdds = output.size * kernel * kernel;
      context.trace({ module: this, inputShape: x.shape, outputShape: output.shape, output, multiplyAdds });
    }
    return output;
  }
}
