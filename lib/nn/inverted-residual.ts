/** The inverted residual, the block of MobileNetV2 (Sandler et al., CVPR 2018, section 3.3): narrow ends, a wide depthwise middle. */
import type { Random } from '../tensor/random';
import { tf } from '../tensor/tf';
import { BatchNorm2d, type BatchNorm2dOptions } from './batch-norm';
import { Conv2d } from './conv';
import { DepthwiseConv2d } from './depthwise-conv';
import { kaimingNormalFanOut } from './initializers';
import { type ForwardContext, Module } from './module';
import type { Padding } from './padding';
import { type Layer, Relu6, runLayers } from './sequential';

/** What the convolutions of a MobileNetV2 have in common. */
export interface MobileConvOptions {
  /** Default true. False: convolutions have a bias instead, as where batch norm was folded into them. */
  readonly batchNorm?: boolean;
  readonly norm?: Omit<BatchNorm2dOptions, 'channels'>;
  /** Of 3x3 windows: one pixel on every side (torchvision; the default), or TensorFlow's `same`. They differ at stride 2 on an even size. */
  readonly padding?: 'symmetric' | 'same';
}

/** Options of `InvertedResidual`. */
export interface InvertedResidualOptions extends MobileConvOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly stride: 1 | 2;
  /** The depthwise convolution works on `expand * inChannels` channels; 1 leaves the expansion out. */
  readonly expand: number;
}

/** conv, batch norm where wanted, ReLU6 unless `linear`: layers of one array, numbered as torchvision's. */
export function mobileConv(
  shape: {
    readonly inChannels: number;
    readonly outChannels: number;
    readonly kernel: 1 | 3;
    readonly stride?: 1 | 2;
    /** Every channel by itself. */
    readonly depthwise?: boolean;
    readonly linear?: boolean;
  },
  options: MobileConvOptions,
  random: Random,
): Layer[] {
  const { inChannels, outChannels, kernel, stride = 1, depthwise = false, linear = false } = shape;
  const { batchNorm = true, norm } = options;
  const padding: Padding = options.padding === 'same' ? 'same' : (kernel - 1) / 2;
  const common = { kernel, stride, padding, bias: !batchNorm };
  const conv = depthwise
    ? new DepthwiseConv2d({ channels: inChannels, ...common }, random)
    : new Conv2d({ inChannels, outChannels, ...common, initializer: kaimingNormalFanOut }, random);
  const layers: Layer[] = [conv];
  if (batchNorm) layers.push(new BatchNorm2d({ channels: outChannels, ...norm }));
  if (!linear) layers.push(new Relu6());
  return layers;
}

/**
 * expand 1x1, depthwise 3x3, each with ReLU6, then project 1x1 without ("linear bottleneck"); plus the input where size and channels stay.
 * Names are torchvision's: `conv.0.0` expands, `conv.1.0` is the depthwise one, `conv.2` projects, `conv.3` is its batch norm.
 */
export class InvertedResidual extends Module implements Layer {
  readonly conv: (Layer | Layer[])[];
  /** Channels after the expansion. */
  readonly width: number;
  /** Whether the input is added. */
  readonly residual: boolean;

  constructor(options: InvertedResidualOptions, random: Random) {
    super();
    const { inChannels, outChannels, stride, expand } = options;
    this.width = inChannels * expand;
    this.residual = stride === 1 && inChannels === outChannels;
    const wide = { inChannels: this.width, outChannels: this.width } as const;
    this.conv = [
      ...(expand === 1
        ? []
        : [mobileConv({ inChannels, outChannels: this.width, kernel: 1 }, options, random)]),
      mobileConv({ ...wide, kernel: 3, stride, depthwise: true }, options, random),
      ...mobileConv({ inChannels: this.width, outChannels, kernel: 1, linear: true }, options, random),
    ];
  }

  /** @param x `[B, H, W, in]`. Returns `[B, ceil(H / stride), ceil(W / stride), out]`; the caller disposes it. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return this.forwardWide(x, context)[1];
  }

  /** `forward`, and before it what the expansion makes, `[B, H, W, width]` (x itself without one). The caller disposes both. */
  forwardWide(x: tf.Tensor4D, context: ForwardContext): [wide: tf.Tensor4D, output: tf.Tensor4D] {
    return tf.tidy(() => {
      const [expand, ...rest] = this.conv;
      const wide = this.width === x.shape[3] ? x : run(expand, x, context);
      const layers = wide === x ? this.conv : rest;
      const y = layers.reduce<tf.Tensor4D>((value, layer) => run(layer, value, context), wide);
      return [wide, this.residual ? y.add(x) : y];
    });
  }
}

function run(layer: Layer | readonly Layer[], x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
  return runLayers(Array.isArray(layer) ? (layer as readonly Layer[]) : [layer as Layer], x, context);
}
