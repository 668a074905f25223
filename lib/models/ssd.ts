/**
 * SSD, the single shot detector (Liu et al., ECCV 2016), on a VGG trunk or any other, with batch normalisation switched
 * separately in the backbone and in the head, and with residual extra layers, as ScratchDet does (Zhu et al., CVPR 2019).
 *
 * One class builds SSD300, SSD512 and the small detectors of the notebooks: only the configuration differs.
 */
import { ConvBlock } from '../nn/conv-block';
import { L2Norm } from '../nn/l2-norm';
import { type ForwardContext, Module } from '../nn/module';
import { type Layer, runLayers } from '../nn/sequential';
import type { Random } from '../tensor/random';
import { tf } from '../tensor/tf';
import type { Backbone, BackboneBuilder } from './backbones/backbone';
import { trunkMaps } from './backbones/trunk-maps';
import { Vgg, type VggConfig } from './backbones/vgg';
import { SsdHead, type SsdPredictions } from './heads/ssd';
import { buildExtra, convolutionalExtras, extraMapSize, type SsdExtra } from './ssd-extras';

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
  /** Each adds one coarser detection map. They go on from the trunk's last stage, tapped or not. */
  readonly extras: readonly SsdExtra[];
  /** Anchors a cell on each detection map. */
  readonly anchorsPerCell: readonly number[];
  /** Classes without the background. */
  readonly classes: number;
  /**
   * Where batch normalisation stands. All between trunk and head counts as backbone, as the extra layers do in ScratchDet's released
   * code. A trunk that is built by a function decides for itself.
   */
  readonly batchNorm: { readonly backbone: boolean; readonly head: boolean };
  /**
   * First scale of the L2 normalisation of the first detection map. The original SSD300 has it with 20 (Liu et al., section 3.1);
   * ScratchDet removes it. Default: none.
   */
  readonly l2Norm?: number;
  /**
   * Channels that the head sees on each map, or on all: a map that has others goes through a 1x1 convolution with ReLU (and batch norm,
   * where the backbone has it). Default: as they come.
   */
  readonly sourceChannels?: number | readonly number[];
}

/** An SSD on VGG16. */
type VggSsdConfig = SsdConfig & { readonly backbone: VggTrunk };

/** VGG16 with fc6 and fc7 as convolutions: 20.48 million parameters. */
const vgg16: VggTrunk = {
  stages: [
    [64, 64],
    [128, 128],
    [256, 256, 256],
    [512, 512, 512],
    [512, 512, 512],
  ],
  atrous: { channels: 1024, dilation: 6 },
};

/** SSD300 on VGG16: maps of 38, 19, 10, 5, 3 and 1 cells a side, 8732 anchors. 26,284,974 parameters for 20 classes, no batch norm. */
export function ssd300Config(classes: number, batchNorm: SsdConfig['batchNorm']): VggSsdConfig {
  return {
    inputSize: 300,
    backbone: vgg16,
    taps: [3, 4],
    extras: convolutionalExtras(19, 512),
    anchorsPerCell: [4, 6, 6, 6, 4, 4],
    classes,
    batchNorm,
  };
}

/** SSD512 on VGG16: maps of 64, 32, 16, 8, 4, 2 and 1 cells a side, 24,564 anchors; its last extra layer has a window of 4x4. */
export function ssd512Config(classes: number, batchNorm: SsdConfig['batchNorm']): VggSsdConfig {
  return {
    ...ssd300Config(classes, batchNorm),
    inputSize: 512,
    extras: convolutionalExtras(32, 512),
    anchorsPerCell: [4, 6, 6, 6, 6, 4, 4],
  };
}

/** The single shot detector: backbone, extra layers, head. */
export class Ssd extends Module {
  readonly backbone: Backbone;
  readonly l2Norm?: L2Norm;
  readonly extras: Layer[][];
  /** Of each detection map the 1x1 convolution that `sourceChannels` asks for, or nothing. */
  readonly equalize?: Layer[][];
  readonly head: SsdHead;
  readonly config: SsdConfig;
  /** Stages of the trunk that are taken: those that are detection maps, and the last one, which the extra layers go on from. */
  readonly taps: readonly number[];

  /**
   * @throws RangeError for a tap that is no stage, numbers of anchors or channels that are not one a map, an input too small for an extra
   *   layer, and residual extra layers without batch norm.
   */
  constructor(config: SsdConfig, random: Random) {
    super();
    this.config = config;
    const batchNorm = config.batchNorm.backbone;
    this.backbone =
      typeof config.backbone === 'function'
        ? config.backbone(random)
        : new Vgg({ ...config.backbone, batchNorm }, random);
    const stageWidths = this.backbone.channels;
    this.taps = [...config.taps, stageWidths.length - 1];
    for (const tap of config.taps) {
      if (!(tap in stageWidths)) {
        throw new RangeError(
          `Ssd: tap ${tap} is not a stage; the backbone has stages 0 to ${stageWidths.length - 1}`,
        );
      }
    }
    const maps = this.mapSizes().length;
    const { anchorsPerCell, sourceChannels } = config;
    const one = (what: string, values: readonly number[]): void => {
      if (values.length === maps) return;
      throw new RangeError(
        `Ssd: ${values.length} ${what} [${values.join(', ')}], but ${maps} detection maps (${config.taps.length} taps and ` +
          `${config.extras.length} extra layers); give one a map`,
      );
    };
    one('anchorsPerCell', anchorsPerCell);
    if (typeof sourceChannels === 'object') one('sourceChannels', sourceChannels);
    if (config.l2Norm !== undefined) {
      this.l2Norm = new L2Norm({ channels: stageWidths[config.taps[0]], scale: config.l2Norm });
    }
    let inChannels = stageWidths[stageWidths.length - 1];
    this.extras = config.extras.map((extra) => {
      const layers = buildExtra(extra, { inChannels, batchNorm }, random);
      inChannels = extra.channels;
      return layers;
    });
    const sources = [
      ...config.taps.map((tap) => stageWidths[tap]),
      ...config.extras.map(({ channels }) => channels),
    ];
    const wanted =
      typeof sourceChannels === 'number' ? sources.map(() => sourceChannels) : (sourceChannels ?? sources);
    if (sources.some((channels, map) => channels !== wanted[map])) {
      this.equalize = sources.map((channels, map) =>
        channels === wanted[map]
          ? []
          : [new ConvBlock({ inChannels: channels, outChannels: wanted[map], kernel: 1, batchNorm }, random)],
      );
    }
    this.head = new SsdHead(
      {
        inChannels: wanted,
        anchorsPerCell,
        classes: config.classes,
        batchNorm: config.batchNorm.head,
      },
      random,
    );
  }

  /** The detection maps, finest first: `[B, H_i, W_i, C_i]`. The caller disposes them. */
  features(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    return tf.tidy(() => {
      const stages = trunkMaps(this.backbone, x, context, this.taps);
      const maps = stages.slice(0, -1);
      if (this.l2Norm) maps[0] = this.l2Norm.forward(maps[0], context);
      let y = stages[stages.length - 1];
      for (const layers of this.extras) maps.push((y = runLayers(layers, y, context)));
      return maps.map((map, level) => runLayers(this.equalize?.[level] ?? [], map, context));
    });
  }

  /** @param x `[B, S, S, 3]`, normalised. Returns raw predictions for every anchor; the caller disposes them. */
  forward(x: tf.Tensor4D, context: ForwardContext): SsdPredictions {
    return tf.tidy(() => this.head.forward(this.features(x, context), context));
  }

  /**
   * Cells a side of each detection map, finest first, by the layers' own arithmetic.
   * @throws RangeError where a map is too small for the next extra layer.
   */
  mapSizes(): number[] {
    const stageSizes = this.backbone.mapSizes(this.config.inputSize);
    const sizes = this.config.taps.map((tap) => stageSizes[tap]);
    let size = stageSizes[stageSizes.length - 1];
    this.config.extras.forEach((extra, index) => {
      const next = extraMapSize(extra, size);
      if (next < 1) {
        throw new RangeError(
          `Ssd: at ${this.config.inputSize} pixels extra layer ${index} gets a map of ${size}x${size}, smaller than its window; ` +
            'take a larger input or fewer extra layers',
        );
      }
      sizes.push((size = next));
    });
    return sizes;
  }
}
