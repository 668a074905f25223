/**
 * MBConv, the block of EfficientNet (Tan and Le, ICML 2019): an inverted residual (Sandler et al., CVPR 2018) with squeeze and
 * excitation (Hu et al., CVPR 2018) and swish, as the released EfficientDet builds it; EfficientNet-Lite's has ReLU6 and no squeeze.
 */
import { relu6, sigmoid, swish } from '../tensor/kernels/activations';
import { globalAveragePool2d } from '../tensor/kernels/global-pool';
import type { Random } from '../tensor/random';
import { tf } from '../tensor/tf';
import { BatchNorm2d, type BatchNorm2dOptions } from './batch-norm';
import { Conv2d } from './conv';
import { DepthwiseConv2d } from './depthwise-conv';
import { StochasticDepth } from './dropout';
import { kaimingNormalFanOut } from './initializers';
import { type ForwardContext, Module } from './module';

/** Activations of the EfficientNets: `swish` as published, `relu6` in EfficientNet-Lite. */
export type EfficientNetActivation = 'swish' | 'relu6';

/** The function that an `EfficientNetActivation` names. */
export const efficientNetActivations: Readonly<
  Record<EfficientNetActivation, <T extends tf.Tensor>(x: T) => T>
> = { swish, relu6 };

/** Options of `MBConv`. */
export interface MBConvOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Side of the depthwise window: 3 or 5 in EfficientNet. */
  readonly kernel: number;
  /** Default 1. */
  readonly stride?: 1 | 2;
  /** The depthwise convolution works on `expand * inChannels` channels; 1 leaves the expansion out. Default 6. */
  readonly expand?: number;
  /** Width of the squeeze, as a share of the block's input channels (not of the expanded ones). 0: no squeeze. Default 0.25. */
  readonly squeezeRatio?: number;
  /** Behind the expansion, the depthwise convolution and the squeeze. Default `swish`. */
  readonly activation?: EfficientNetActivation;
  /**
   * Of the depthwise window: TensorFlow's `same`, as published, or the same number of pixels on every side, as the networks that
   * were trained anew in PyTorch have it. They differ at stride 2 on an even size only. Default `same`.
   */
  readonly padding?: 'same' | 'symmetric';
  /** Default EfficientNet's, `efficientNetNorm`. */
  readonly norm?: Omit<BatchNorm2dOptions, 'channels'>;
  /** Probability that training drops the branch beside the residual connection (see `StochasticDepth`). Default 0. */
  readonly dropRate?: number;
}

/** EfficientNet's batch normalisation. */
export const efficientNetNorm: Readonly<{ epsilon: number; momentum: number }> = {
  epsilon: 1e-3,
  momentum: 0.99,
};

/**
 * expand 1x1 -> depthwise -> squeeze and excite -> project 1x1, batch norm after each convolution, the activation after the first
 * two; plus the input where size and channels stay.
 */
export class MBConv extends Module {
  readonly expand_conv?: Conv2d;
  readonly bn0?: BatchNorm2d;
  readonly depthwise_conv: DepthwiseConv2d;
  readonly bn1: BatchNorm2d;
  readonly se_reduce?: Conv2d;
  readonly se_expand?: Conv2d;
  readonly project_conv: Conv2d;
  readonly bn2: BatchNorm2d;
  private readonly activation: <T extends tf.Tensor>(x: T) => T;
  private readonly residual: boolean;
  private readonly drop?: StochasticDepth;

  constructor(options: MBConvOptions, random: Random) {
    super();
    const { inChannels, outChannels, kernel, stride = 1, expand = 6, squeezeRatio = 0.25 } = options;
    const padding = options.padding === 'symmetric' ? (kernel - 1) / 2 : 'same';
    const width = inChannels * expand;
    const conv = (from: number, to: number, bias: boolean): Conv2d =>
      new Conv2d(
        { inChannels: from, outChannels: to, kernel: 1, bias, initializer: kaimingNormalFanOut },
        random,
      );
    const norm = (channels: number): BatchNorm2d =>
      new BatchNorm2d({ channels, ...(options.norm ?? efficientNetNorm) });
    this.activation = efficientNetActivations[options.activation ?? 'swish'];
    this.residual = stride === 1 && inChannels === outChannels;
    if (this.residual && options.dropRate) this.drop = new StochasticDepth(options.dropRate);
    if (expand !== 1) {
      this.expand_conv = conv(inChannels, width, false);
      this.bn0 = norm(width);
    }
    this.depthwise_conv = new DepthwiseConv2d(
      { channels: width, kernel, stride, padding, bias: false },
      random,
    );
    this.bn1 = norm(width);
    if (squeezeRatio > 0) {
      const squeezed = Math.max(1, Math.floor(inChannels * squeezeRatio));
      this.se_reduce = conv(width, squeezed, true);
      this.se_expand = conv(squeezed, width, true);
    }
    this.project_conv = conv(width, outChannels, false);
    this.bn2 = norm(outChannels);
  }

  /** @param x `[B, H, W, in]`. Returns `[B, ceil(H / stride), ceil(W / stride), out]`; the caller disposes it. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => {
      let y = x;
      if (this.expand_conv && this.bn0) {
        y = this.activation(this.bn0.forward(this.expand_conv.forward(y, context), context));
      }
      y = this.activation(this.bn1.forward(this.depthwise_conv.forward(y, context), context));
      if (this.se_reduce && this.se_expand) {
        const pooled = globalAveragePool2d(y); // [B, 1, 1, C]
        const squeezed = this.activation(this.se_reduce.forward(pooled, context));
        y = y.mul(sigmoid(this.se_expand.forward(squeezed, context)));
      }
      y = this.bn2.forward(this.project_conv.forward(y, context), context);
      if (!this.residual) return y;
      return (this.drop?.forward(y, context) ?? y).add(x);
    });
  }
}
