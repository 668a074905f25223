/**
 * MobileNetV2 trunks (Sandler et al., CVPR 2018, table 2): a 3x3 convolution of stride 2, seventeen inverted residuals, and a 1x1
 * convolution to 1280 channels.
 */
import { InvertedResidual, mobileConv, type MobileConvOptions } from '../../nn/inverted-residual';
import { type ForwardContext, Module } from '../../nn/module';
import { type Layer, runLayers } from '../../nn/sequential';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import type { Backbone } from './backbone';
import { scaledChannels } from './efficientnet';

/** One row of the paper's table: so many blocks, of which the first has the stride. */
export interface MobileNetV2Stage {
  readonly expand: number;
  readonly channels: number;
  readonly repeats: number;
  readonly stride: 1 | 2;
}

/** The published rows (Sandler et al., table 2), before scaling. */
export const mobileNetV2Stages: readonly MobileNetV2Stage[] = [
  { expand: 1, channels: 16, repeats: 1, stride: 1 },
  { expand: 6, channels: 24, repeats: 2, stride: 2 },
  { expand: 6, channels: 32, repeats: 3, stride: 2 },
  { expand: 6, channels: 64, repeats: 4, stride: 2 },
  { expand: 6, channels: 96, repeats: 3, stride: 1 },
  { expand: 6, channels: 160, repeats: 3, stride: 2 },
  { expand: 6, channels: 320, repeats: 1, stride: 1 },
];

/** What a MobileNetV2 is made of. */
export interface MobileNetV2Config extends MobileConvOptions {
  /** Multiplies all channels but the last convolution's, which it only makes larger; rounded by `scaledChannels`. Default 1. */
  readonly width?: number;
  /** Default `mobileNetV2Stages`. */
  readonly stages?: readonly MobileNetV2Stage[];
  /** Channels of the first convolution before scaling. Default 32. */
  readonly stem?: number;
  /** Channels of the last 1x1 convolution; 0 leaves it out. Default 1280. */
  readonly last?: number;
  /**
   * What stands for each size: the output of its last block, or what the next block, which halves the size, makes of it by its expansion
   * (its depthwise convolution takes the stride). SSD's maps are such expansions (section 6.2 of the paper: "the expansion layer").
   * Default `outputs`.
   */
  readonly taps?: 'outputs' | 'expansions';
}

/**
 * A MobileNetV2 without its classifier. Its maps are at strides 2, 4, 8, 16 and 32: of width 1, 16, 24, 32, 96 and 1280 channels, as
 * `expansions` 96, 144, 192, 576 and 1280. Names are torchvision's: `features.0.0.weight`, `features.1.conv.0.0.weight`, …
 */
export class MobileNetV2 extends Module implements Backbone {
  readonly features: (InvertedResidual | Layer[])[];
  readonly channels: readonly number[];
  readonly config: MobileNetV2Config;
  /** By feature: the block's stride. */
  private readonly strides: readonly number[];

  constructor(config: MobileNetV2Config, random: Random) {
    super();
    this.config = config;
    const { width = 1, stages = mobileNetV2Stages, stem = 32, last = 1280 } = config;
    let inChannels = scaledChannels(stem, width);
    const features: (InvertedResidual | Layer[])[] = [
      mobileConv({ inChannels: 3, outChannels: inChannels, kernel: 3, stride: 2 }, config, random),
    ];
    const outputs = [inChannels];
    const strides = [2];
    for (const { expand, channels, repeats, stride } of stages) {
      const outChannels = scaledChannels(channels, width);
      for (let i = 0; i < repeats; i++) {
        strides.push(i === 0 ? stride : 1);
        features.push(
          new InvertedResidual(
            { ...config, inChannels, outChannels, stride: i === 0 ? stride : 1, expand },
            random,
          ),
        );
        outputs.push((inChannels = outChannels));
      }
    }
    if (last > 0) {
      const outChannels = scaledChannels(last, Math.max(1, width));
      features.push(mobileConv({ inChannels, outChannels, kernel: 1 }, config, random));
      outputs.push(outChannels);
      strides.push(1);
    }
    this.features = features;
    this.strides = strides;
    this.channels = this.lastOfEachSize().map((index) => {
      const next = features[index + 1];
      return config.taps === 'expansions' && next instanceof InvertedResidual ? next.width : outputs[index];
    });
  }

  /** @param x `[B, H, W, 3]`. Returns one `[B, H_i, W_i, channels[i]]` a size; the caller disposes them. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    return tf.tidy(() => {
      const wanted = new Set(this.lastOfEachSize());
      const expansions = this.config.taps === 'expansions';
      const maps: tf.Tensor4D[] = [];
      let y = x;
      this.features.forEach((feature, index) => {
        // The feature that halves the size stands for the size before it.
        const tapped = wanted.has(index - 1);
        if (tapped && expansions && feature instanceof InvertedResidual) {
          const [wide, output] = feature.forwardWide(y, context);
          maps.push(wide);
          y = output;
          return;
        }
        if (tapped) maps.push(y);
        y = runLayers(feature instanceof InvertedResidual ? [feature] : feature, y, context);
      });
      return [...maps, y];
    });
  }

  /** Cells a side of each map; an odd size is halved upwards. */
  mapSizes(inputSize: number): number[] {
    let size = inputSize;
    const sizes = this.strides.map((stride) => (size = Math.ceil(size / stride)));
    return this.lastOfEachSize().map((index) => sizes[index]);
  }

  /** The features after which the map gets smaller, and the last one. */
  private lastOfEachSize(): number[] {
    return [...this.strides.keys()].filter(
      (index) => index === this.strides.length - 1 || this.strides[index + 1] === 2,
    );
  }
}
