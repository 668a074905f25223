/** 2-D convolution with explicit padding. */
import { conv2d } from '../tensor/kernels/conv';
import type { Random } from '../tensor/random';
import type { tf } from '../tensor/tf';
import { type Initializer, xavierUniform, zeros } from './initializers';
import { type ForwardContext, Module, parameter } from './module';
import { type Padding, paddingAround } from './padding';

/** Options of `Conv2d`. */
export interface Conv2dOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Side of the square window. */
  readonly kernel: number;
  /** Default 1. */
  readonly stride?: number;
  /** Pixels of zeros on every side, or `same`. Default `dilation * (kernel - 1) / 2`, which keeps the size at stride 1. */
  readonly padding?: Padding;
  /** Spacing of the window's taps. Default 1. */
  readonly dilation?: number;
  /** Add a learned offset a channel. Default true; off before batch normalisation, which has its own. */
  readonly bias?: boolean;
  /** First value of the weight. Default Xavier, as SSD and ScratchDet use. */
  readonly initializer?: Initializer;
}

/** Convolution `[B, H, W, in] -> [B, H', W', out]`, H' = floor((H + 2 padding - dilation (kernel - 1) - 1) / stride) + 1. */
export class Conv2d extends Module {
  /** `[kernel, kernel, in, out]`. */
  readonly weight: tf.Variable<tf.Rank.R4>;
  /** `[out]`. */
  readonly bias?: tf.Variable<tf.Rank.R1>;
  readonly stride: number;
  readonly padding: Padding;
  readonly dilation: number;

  constructor(options: Conv2dOptions, random: Random) {
    super();
    const {
      inChannels,
      outChannels,
      kernel,
      stride = 1,
      dilation = 1,
      bias = true,
      initializer = xavierUniform,
    } = options;
    this.stride = stride;
    this.dilation = dilation;
    this.padding = options.padding ?? (dilation * (kernel - 1)) / 2;
    this.weight = parameter(initializer([kernel, kernel, inChannels, outChannels], random) as tf.Tensor4D);
    if (bias) this.bias = parameter(zeros([outChannels], random) as tf.Tensor1D);
  }

  /** @param x `[B, H, W, in]`. Returns `[B, H', W', out]`; the caller disposes it. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    const { stride, dilation, bias } = this;
    const [, height, width] = x.shape;
    const padding = paddingAround(this.padding, [height, width], {
      kernel: this.weight.shape[0],
      stride,
      dilation,
    });
    const output = conv2d(x, this.weight as tf.Tensor4D, { stride, padding, dilation, bias });
    if (context.trace) {
      const [kernelH, kernelW, inChannels] = this.weight.shape;
      const multiplyAdds = output.size * kernelH * kernelW * inChannels;
      context.trace({ module: this, inputShape: x.shape, outputShape: output.shape, output, multiplyAdds });
    }
    return output;
  }
}
