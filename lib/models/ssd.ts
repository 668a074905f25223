/**
 * SSD, the single shot detector (Liu et al., ECCV 2016), on a VGG trunk or any other, with batch normalisation switched
 * separately in the backbone and in the head as ScratchDet does (Zhu et al., CVPR 2019, section 3.2).
 *
 * One class builds SSD300 and the small detectors of the notebooks: only the configuration differs.
 *
 * Departure: no batch norm after the max-pools, which ScratchDet's released Caffe model has.
 */
import { ConvBlock } from '../nn/conv-block';
import { L2Norm } from '../nn/l2-norm';
import { type ForwardContext, Module } from '../nn/module';
import type { Random } from '../tensor/random';
import { tf } from '../tensor/tf';
import type { Backbone, BackboneBuilder } from './backbones/backbone';
import { Vgg, type VggConfig } from './backbones/vgg';
import { SsdHead, type SsdPredictions } from './heads/ssd';

/** One of SSD's extra layers: 1x1 to `squeeze` channels, then 3x3 to `channels`. */
export interface ExtraLayer {
  readonly squeeze: number;
  readonly channels: number;
  readonly stride: 1 | 2;
  readonly padding: 0 | 1;
}

/** A VGG trunk, less its normalisation, which the detector switches. */
export type VggTrunk = Omit<VggConfig, 'batchNorm'>;

/** What an SSD is made of. */
export interface SsdConfig {
  /** Side of the square input, pixels. */
  readonly inputSize: number;
  /** A VGG trunk, or a function that builds any other: `(random) => new ResNet(resNet18, random)`. */
  readonly backbone: VggTrunk | BackboneBuilder;
  /** Backbone stages whose output is a detection map, from 0. */
  readonly taps: readonly number[];
  /** Each adds one coarser detection map. */
  readonly extras: readonly ExtraLayer[];
  /** Anchors a cell on each detection map. */
  readonly anchorsPerCell: readonly number[];
  /** Classes without the background. */
  readonly classes: number;
  /**
   * Where batch normalisation stands. The extra layers count as backbone, as in ScratchDet's released code. A trunk that is
   * built by a function decides for itself.
   */
  readonly batchNorm: { readonly backbone: boolean; readonly head: boolean };
  /**
   * First scale of the L2 normalisation of the first detection map. The original SSD300 has it with 20 (Liu et al., section 3.1);
   * ScratchDet removes it. Default: none.
   */
  readonly l2Norm?: number;
}

/** SSD300 on VGG16: maps of 38, 19, 10, 5, 3 and 1 cells a side, 8732 anchors. */
export function ssd300Config(
  classes: number,
  batchNorm: SsdConfig['batchNorm'],
): SsdConfig & { readonly backbone: VggTrunk } {
  return {
    inputSize: 300,
    backbone: {
      stages: [
        [64, 64],
        [128, 128],
        [256, 256, 256],
        [512, 512, 512],
        [512, 512, 512],
      ],
      atrous: { channels: 1024, dilation: 6 },
    },
    taps: [3, 4],
    extras: [
      { squeeze: 256, channels: 512, stride: 2, padding: 1 },
      { squeeze: 128, channels: 256, stride: 2, padding: 1 },
      { squeeze: 128, channels: 256, stride: 1, padding: 0 },
      { squeeze: 128, channels: 256, stride: 1, padding: 0 },
    ],
    anchorsPerCell: [4, 6, 6, 6, 4, 4],
    classes,
    batchNorm,
  };
}

/** The single shot detector: backbone, extra layers, head. */
export class Ssd extends Module {
  readonly backbone: Backbone;
  readonly l2Norm?: L2Norm;
  readonly extras: ConvBlock[][];
  readonly head: SsdHead;
  readonly config: SsdConfig;

  constructor(config: SsdConfig, random: Random) {
    super();
    this.config = config;
    const batchNorm = config.batchNorm.backbone;
    this.backbone =
      typeof config.backbone === 'function'
        ? config.backbone(random)
        : new Vgg({ ...config.backbone, batchNorm }, random);
    const stageWidths = this.backbone.channels;
    for (const tap of config.taps) {
      if (!(tap in stageWidths)) {
        throw new RangeError(
          `Ssd: tap ${tap} is not a stage; the backbone has stages 0 to ${stageWidths.length - 1}`,
        );
      }
    }
    if (config.l2Norm !== undefined) {
      this.l2Norm = new L2Norm({ channels: stageWidths[config.taps[0]], scale: config.l2Norm });
    }
    let inChannels = stageWidths[stageWidths.length - 1];
    this.extras = config.extras.map(({ squeeze, channels, stride, padding }) => {
      const blocks = [
        new ConvBlock({ inChannels, outChannels: squeeze, kernel: 1, batchNorm }, random),
        new ConvBlock(
          { inChannels: squeeze, outChannels: channels, kernel: 3, stride, padding, batchNorm },
          random,
        ),
      ];
      inChannels = channels;
      return blocks;
    });
    this.head = new SsdHead(
      {
        inChannels: [
          ...config.taps.map((tap) => stageWidths[tap]),
          ...config.extras.map(({ channels }) => channels),
        ],
        anchorsPerCell: config.anchorsPerCell,
        classes: config.classes,
        batchNorm: config.batchNorm.head,
      },
      random,
    );
  }

  /** The detection maps, finest first: `[B, H_i, W_i, C_i]`. The caller disposes them. */
  features(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    return tf.tidy(() => {
      const stages = this.backbone.forward(x, context);
      const maps = this.config.taps.map((tap) => stages[tap]);
      if (this.l2Norm) maps[0] = this.l2Norm.forward(maps[0], context);
      let y = stages[stages.length - 1];
      for (const blocks of this.extras) {
        for (const block of blocks) y = block.forward(y, context);
        maps.push(y);
      }
      return maps;
    });
  }

  /** @param x `[B, S, S, 3]`, normalised. Returns raw predictions for every anchor; the caller disposes them. */
  forward(x: tf.Tensor4D, context: ForwardContext): SsdPredictions {
    return tf.tidy(() => this.head.forward(this.features(x, context), context));
  }

  /** Cells a side of each detection map, finest first, by the layers' own arithmetic. */
  mapSizes(): number[] {
    const stageSizes = this.backbone.mapSizes(this.config.inputSize);
    const sizes = this.config.taps.map((tap) => stageSizes[tap]);
    let size = stageSizes[stageSizes.length - 1];
    for (const { stride, padding } of this.config.extras) {
      size = Math.floor((size + 2 * padding - 3) / stride) + 1;
      sizes.push(size);
    }
    return sizes;
  }
}
