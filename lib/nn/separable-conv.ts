/** Depthwise separable convolution: a window of its own for every channel, then a 1x1 convolution that mixes them. */
import type { Random } from '../tensor/random';
import { tf } from '../tensor/tf';
import { BatchNorm2d, type BatchNorm2dOptions } from './batch-norm';
import { Conv2d } from './conv';
import { DepthwiseConv2d } from './depthwise-conv';
import { type Initializer, kaimingUniformLinear, xavierUniform } from './initializers';
import { type ForwardContext, Module } from './module';

/** Options of `SeparableConv2d`. */
export interface SeparableConv2dOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Side of the depthwise windows. Default 3. */
  readonly kernel?: number;
  /** Learned offsets after the 1x1 convolution; before batch norm they are redundant. Default true without `norm`, else false. */
  readonly bias?: boolean;
  /** Batch norm at the end. Default: none. */
  readonly norm?: Omit<BatchNorm2dOptions, 'channels'>;
  /**
   * First values of both weights. Default Xavier's by the connections that there are: a depthwise window's fan-in and fan-out are both its
   * area. (EfficientDet's feature network; its heads have `lecunNormal`.)
   */
  readonly initializer?: Initializer;
}

/** depthwise -> 1x1 -> [batch norm], stride 1, `[B, H, W, in] -> [B, H, W, out]`. No activation between. The names are timm's. */
export class SeparableConv2d extends Module {
  readonly conv_dw: DepthwiseConv2d;
  readonly conv_pw: Conv2d;
  readonly bn?: BatchNorm2d;

  constructor(options: SeparableConv2dOptions, random: Random) {
    super();
    const { inChannels, outChannels, kernel = 3, norm, bias = !norm, initializer } = options;
    this.conv_dw = new DepthwiseConv2d(
      // with equal fans Xavier's bound, sqrt(6 / (fanIn + fanOut)), is this one's sqrt(3 / fanIn)
      { channels: inChannels, kernel, bias: false, initializer: initializer ?? kaimingUniformLinear },
      random,
    );
    this.conv_pw = new Conv2d(
      { inChannels, outChannels, kernel: 1, bias, initializer: initializer ?? xavierUniform },
      random,
    );
    if (norm) this.bn = new BatchNorm2d({ channels: outChannels, ...norm });
  }

  /** @param x `[B, H, W, in]`. Returns `[B, H, W, out]`; the caller disposes it. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => {
      const y = this.conv_pw.forward(this.conv_dw.forward(x, context), context);
      return this.bn ? this.bn.forward(y, context) : y;
    });
  }
}
