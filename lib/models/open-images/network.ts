/**
 * SSD on MobileNetV2 as TensorFlow's Object Detection API builds it (Liu et al., ECCV 2016; Sandler et al., CVPR 2018, section 6.2): the
 * first detection map is the expansion inside the block that goes from stride 16 to 32, the second the trunk's last, four extra layers
 * follow; 1x1 predictors; TensorFlow's SAME padding and ReLU6 everywhere.
 */
import { Conv2d } from '../../nn/conv';
import { normal } from '../../nn/initializers';
import { mobileConv } from '../../nn/inverted-residual';
import { type ForwardContext, Module } from '../../nn/module';
import { type Layer, runLayers } from '../../nn/sequential';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import { MobileNetV2, type MobileNetV2Config } from '../backbones/mobilenet-v2';
import { trunkMaps } from '../backbones/trunk-maps';
import { joinLevels } from '../heads/join-levels';
import type { SsdPredictions } from '../heads/ssd';

/** What a `MobileNetSsd` is made of. */
export interface MobileNetSsdConfig {
  /** Classes without the background. */
  readonly classes: number;
  /** Default true; false where batch norm was folded into the convolutions, as in files that are made for inference. */
  readonly batchNorm?: boolean;
}

/** Side of the network's input, pixels. */
export const mobileNetSsdSize = 300;

/** Channels of the extra layers: 1x1 to the first, then 3x3 of stride 2 to the second. */
export const mobileNetSsdExtras: readonly (readonly [squeeze: number, channels: number])[] = [
  [256, 512],
  [128, 256],
  [128, 256],
  [64, 128],
];

/** Anchors a cell on each detection map. */
export const mobileNetSsdAnchorsPerCell: readonly number[] = [3, 6, 6, 6, 6, 6];

/** The trunk as this detector has it: maps are expansions, of which the last two are detection maps. */
export const mobileNetSsdBackbone: MobileNetV2Config = { padding: 'same', taps: 'expansions' };

/** The network: 300x300 pixels in, 1,917 anchors out, on maps of 19, 10, 5, 3, 2 and 1 cells a side. */
export class MobileNetSsd extends Module {
  readonly backbone: MobileNetV2;
  /** By extra layer: its 1x1 and its 3x3 convolution. */
  readonly extras: Layer[][][];
  readonly classification: Conv2d[];
  readonly regression: Conv2d[];
  readonly config: MobileNetSsdConfig;
  /** Stages of the trunk that are detection maps: the last two. */
  readonly taps: readonly number[];

  constructor(config: MobileNetSsdConfig, random: Random) {
    super();
    this.config = config;
    const { classes, batchNorm = true } = config;
    const options = { ...mobileNetSsdBackbone, batchNorm };
    this.backbone = new MobileNetV2(options, random);
    const channels = this.backbone.channels.slice(-2);
    this.taps = [...this.backbone.channels.keys()].slice(-2);
    this.extras = mobileNetSsdExtras.map(([squeeze, outChannels]) => {
      const inChannels = channels[channels.length - 1];
      channels.push(outChannels);
      return [
        mobileConv({ inChannels, outChannels: squeeze, kernel: 1 }, options, random),
        mobileConv({ inChannels: squeeze, outChannels, kernel: 3, stride: 2 }, options, random),
      ];
    });
    const predictors = (width: number): Conv2d[] =>
      channels.map((inChannels, level) => {
        const outChannels = mobileNetSsdAnchorsPerCell[level] * width;
        return new Conv2d({ inChannels, outChannels, kernel: 1, initializer: normal(0.03) }, random);
      });
    this.classification = predictors(classes + 1);
    this.regression = predictors(4);
  }

  /** The detection maps, finest first: `[B, H_i, W_i, C_i]` with 576, 1280, 512, 256, 256 and 128 channels. The caller disposes them. */
  features(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    return tf.tidy(() => {
      const maps = trunkMaps(this.backbone, x, context, this.taps);
      for (const layers of this.extras) maps.push(runLayers(layers.flat(), maps[maps.length - 1], context));
      return maps;
    });
  }

  /**
   * @param x `[B, 300, 300, 3]`, from -1 to 1.
   * @returns `classLogits` `[B, 1917, classes + 1]` before the sigmoid, the background at 0, and `boxDeltas` `[B, 1917, 4]` as ty, tx, th,
   *   tw; the caller disposes them.
   */
  forward(x: tf.Tensor4D, context: ForwardContext): SsdPredictions {
    return tf.tidy(() => {
      const maps = this.features(x, context);
      const flat = (layers: readonly Conv2d[], width: number): tf.Tensor3D =>
        joinLevels(
          maps.map((map, level) => layers[level].forward(map, context)),
          width,
        );
      return {
        classLogits: flat(this.classification, this.config.classes + 1),
        boxDeltas: flat(this.regression, 4),
      };
    });
  }
}
