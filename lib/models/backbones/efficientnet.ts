/**
 * EfficientNet trunks, B0 to B7 (Tan and Le, ICML 2019): B0's seven stages of MBConv, scaled together in width and depth (section 3.3).
 * Without the 1x1 convolution and the classifier behind the last stage, as EfficientDet takes them (Tan et al., CVPR 2020, section 4).
 */
import { BatchNorm2d, type BatchNorm2dOptions } from '../../nn/batch-norm';
import { Conv2d } from '../../nn/conv';
import { kaimingNormalFanOut } from '../../nn/initializers';
import {
  type EfficientNetActivation,
  efficientNetActivations,
  efficientNetNorm,
  MBConv,
} from '../../nn/mbconv';
import { type ForwardContext, Module } from '../../nn/module';
import type { MapLayer } from '../../nn/run-segments';
import { runLayers } from '../../nn/sequential';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import type { Backbone } from './backbone';

/** One stage: so many MBConv blocks, of which the first has the stride. */
export interface EfficientNetStage {
  readonly repeats: number;
  /** Side of the depthwise windows. */
  readonly kernel: number;
  readonly stride: 1 | 2;
  readonly expand: number;
  readonly channels: number;
}

/** The stages of B0 (Tan and Le, table 1), before scaling. */
export const efficientNetStages: readonly EfficientNetStage[] = [
  { repeats: 1, kernel: 3, stride: 1, expand: 1, channels: 16 },
  { repeats: 2, kernel: 3, stride: 2, expand: 6, channels: 24 },
  { repeats: 2, kernel: 5, stride: 2, expand: 6, channels: 40 },
  { repeats: 3, kernel: 3, stride: 2, expand: 6, channels: 80 },
  { repeats: 3, kernel: 5, stride: 1, expand: 6, channels: 112 },
  { repeats: 4, kernel: 5, stride: 2, expand: 6, channels: 192 },
  { repeats: 1, kernel: 3, stride: 1, expand: 6, channels: 320 },
];

/** What an EfficientNet is made of. */
export interface EfficientNetConfig {
  /** Multiplies every stage's channels; the product is rounded by `scaledChannels`. */
  readonly width: number;
  /** Multiplies every stage's repeats; the product is rounded up. */
  readonly depth: number;
  /** Default `efficientNetStages`. */
  readonly stages?: readonly EfficientNetStage[];
  /** Channels of the first convolution before scaling. Default 32. */
  readonly stem?: number;
  /**
   * Whether scaling leaves both ends as they are, as in EfficientNet-Lite: the first convolution's channels, and the repeats of the first
   * and the last stage. Default false.
   */
  readonly fixedEnds?: boolean;
  /** Behind every convolution but the blocks' last. Default `swish`. */
  readonly activation?: EfficientNetActivation;
  /** See `MBConvOptions`; 0 leaves squeeze and excitation out. Default 0.25. */
  readonly squeezeRatio?: number;
  /**
   * Of all windows: as published, or as the networks trained anew in PyTorch have it (torchvision's, timm's without `tf_`). See
   * `MBConvOptions`. Default `same`.
   */
  readonly padding?: 'same' | 'symmetric';
  /** Default as published, epsilon 1e-3; timm's networks without `tf_` and torchvision's up to B4 were trained with 1e-5. */
  readonly norm?: Omit<BatchNorm2dOptions, 'channels'>;
  /**
   * Probability of dropping the last block's branch in training; it grows linearly from 0 at the first. The classifiers were trained with
   * 0.2, the released EfficientDet has 0.2 too, but 0 with B0. Default 0.
   */
  readonly stochasticDepth?: number;
}

/** The published scales, by the pixels a side that they were trained at and the share that their classifier drops. */
export const efficientNets: Readonly<
  Record<
    'b0' | 'b1' | 'b2' | 'b3' | 'b4' | 'b5' | 'b6' | 'b7',
    EfficientNetConfig & { readonly resolution: number; readonly dropout: number }
  >
> = {
  b0: { width: 1.0, depth: 1.0, resolution: 224, dropout: 0.2 },
  b1: { width: 1.0, depth: 1.1, resolution: 240, dropout: 0.2 },
  b2: { width: 1.1, depth: 1.2, resolution: 260, dropout: 0.3 },
  b3: { width: 1.2, depth: 1.4, resolution: 300, dropout: 0.3 },
  b4: { width: 1.4, depth: 1.8, resolution: 380, dropout: 0.4 },
  b5: { width: 1.6, depth: 2.2, resolution: 456, dropout: 0.4 },
  b6: { width: 1.8, depth: 2.6, resolution: 528, dropout: 0.5 },
  b7: { width: 2.0, depth: 3.1, resolution: 600, dropout: 0.5 },
};

/**
 * EfficientNet-Lite0 (released in 2020 in TensorFlow's repository `tpu`, beside EfficientNet): B0 for phones and for 8-bit numbers, without
 * squeeze and excitation, with ReLU6 instead of swish.
 */
export const efficientNetLite0: EfficientNetConfig & {
  readonly resolution: number;
  readonly dropout: number;
} = {
  width: 1.0,
  depth: 1.0,
  fixedEnds: true,
  activation: 'relu6',
  squeezeRatio: 0,
  resolution: 224,
  dropout: 0.2,
};

/** `channels * width`, rounded to the nearest multiple of 8, up where that would lose more than a tenth (the released code's rule). */
export function scaledChannels(channels: number, width: number): number {
  const wanted = channels * width;
  const rounded = Math.max(8, Math.floor((wanted + 4) / 8) * 8);
  return rounded < 0.9 * wanted ? rounded + 8 : rounded;
}

/**
 * An EfficientNet without its classifier. Its maps are the last ones of each size, at strides 2, 4, 8, 16 and 32: for B0 16, 24, 40, 112
 * and 320 channels, of which EfficientDet takes the last three. Blocks are called as timm calls them, `blocks.1.0`; see `MBConv` for the
 * names in them.
 */
export class EfficientNet extends Module implements Backbone {
  readonly conv_stem: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly blocks: MBConv[][];
  readonly channels: readonly number[];
  readonly config: EfficientNetConfig;

  constructor(config: EfficientNetConfig, random: Random) {
    super();
    this.config = config;
    const { width, depth, stages = efficientNetStages, stem = 32, padding = 'same' } = config;
    const { norm = efficientNetNorm, stochasticDepth = 0, fixedEnds = false } = config;
    const { activation, squeezeRatio } = config;
    let inChannels = fixedEnds ? stem : scaledChannels(stem, width);
    this.conv_stem = new Conv2d(
      {
        inChannels: 3,
        outChannels: inChannels,
        kernel: 3,
        stride: 2,
        padding: padding === 'same' ? 'same' : 1,
        bias: false,
        initializer: kaimingNormalFanOut,
      },
      random,
    );
    this.bn1 = new BatchNorm2d({ channels: inChannels, ...norm });
    const repeats = stages.map((stage, index) => {
      const end = index === 0 || index === stages.length - 1;
      return fixedEnds && end ? stage.repeats : Math.ceil(stage.repeats * depth);
    });
    const total = repeats.reduce((sum, count) => sum + count, 0);
    let number = 0;
    this.blocks = stages.map(({ kernel, stride, expand, channels }, index) =>
      Array.from({ length: repeats[index] }, (_, block) => {
        const outChannels = scaledChannels(channels, width);
        const dropRate = (stochasticDepth * number++) / total;
        const made = new MBConv(
          {
            inChannels,
            outChannels,
            kernel,
            stride: block === 0 ? stride : 1,
            expand,
            squeezeRatio,
            activation,
            padding,
            norm,
            dropRate,
          },
          random,
        );
        inChannels = outChannels;
        return made;
      }),
    );
    this.channels = lastOfEachSize(stages).map((index) => scaledChannels(stages[index].channels, width));
  }

  /** The layers in their order, a chain a map: its blocks, before those of the first map the stem. */
  chains(): MapLayer[][] {
    const stem: MapLayer = {
      forward: (x, context) =>
        tf.tidy(() =>
          efficientNetActivations[this.config.activation ?? 'swish'](
            this.bn1.forward(this.conv_stem.forward(x, context), context),
          ),
        ),
      parameters: () => [this.conv_stem, this.bn1].flatMap((layer) => layer.parameters()),
    };
    let from = 0;
    return lastOfEachSize(this.config.stages ?? efficientNetStages).map((last) => {
      const blocks: MapLayer[] = this.blocks.slice(from, last + 1).flat();
      if (from === 0) blocks.unshift(stem);
      from = last + 1;
      return blocks;
    });
  }

  /** @param x `[B, H, W, 3]`. Returns one `[B, H_i, W_i, channels[i]]` a size; the caller disposes them. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    return tf.tidy(() => {
      let y = x;
      return this.chains().map((chain) => (y = runLayers(chain, y, context)));
    });
  }

  /** Cells a side of each map; an odd size is halved upwards. */
  mapSizes(inputSize: number): number[] {
    const stages = this.config.stages ?? efficientNetStages;
    let size = Math.ceil(inputSize / 2);
    const sizes = stages.map(({ stride }) => (size = Math.ceil(size / stride)));
    return lastOfEachSize(stages).map((index) => sizes[index]);
  }
}

/** The stages after which the map gets smaller, and the last one. */
function lastOfEachSize(stages: readonly EfficientNetStage[]): number[] {
  return [...stages.keys()].filter((index) => index === stages.length - 1 || stages[index + 1].stride === 2);
}
