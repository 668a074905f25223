/**
 * EfficientDet (Tan et al., "EfficientDet: Scalable and Efficient Object Detection", CVPR 2020): an EfficientNet, a feature network of
 * repeated weighted fusions, and heads shared by all levels. Details are those of the authors' release (google/automl); the names of the
 * layers are effdet's (rwightman/efficientdet-pytorch).
 */
import { type BoxCoder, efficientDetCoder } from '../boxes/coders';
import { efficientDetDetectionOptions } from '../boxes/dense-detections';
import { efficientDetMatching, type MatchOptions } from '../boxes/matching';
import { type EfficientDetAnchorOptions, efficientDetAnchors } from '../boxes/pyramid-anchors';
import { type DenseLossOptions, efficientDetLoss } from '../losses/dense';
import { type ForwardContext, Module } from '../nn/module';
import type { Random } from '../tensor/random';
import { tf } from '../tensor/tf';
import type { Backbone, BackboneBuilder } from './backbones/backbone';
import { trunkMaps } from './backbones/trunk-maps';
import { createDenseDetector, type DenseDetector } from './dense-detector';
import { EfficientDetHead, type EfficientDetHeadOptions } from './heads/efficientdet';
import { joinLevels } from './heads/join-levels';
import { priorLogit } from './heads/prior';
import { GraphNeck, type GraphNeckOptions } from './necks/graph-neck';
import { levelSizes, tappedChannels } from './necks/taps';

/** What an EfficientDet is made of. */
export interface EfficientDetConfig extends Omit<GraphNeckOptions, 'inChannels'> {
  /** `(random) => new EfficientNet(efficientNets.b0, random)`. */
  readonly backbone: BackboneBuilder;
  /** Stages of the trunk that the feature network takes, from 0; the first has the stride of the graph's finest level. Default: the last three. */
  readonly taps?: readonly number[];
  /** Convolutions of each head before the one that predicts. EfficientDet-D0: 3. */
  readonly headDepth: number;
  readonly classes: number;
  /** Default 9: three sizes an octave, three shapes. */
  readonly anchorsPerCell?: number;
  /** The score that every anchor begins with, as in RetinaNet. Default 0.01. */
  readonly prior?: number;
}

/** Raw predictions for every anchor, levels one after another, in the anchors' order. (A type, so that `tf.tidy` takes it.) */
export type EfficientDetPredictions = {
  /** `[B, A, C]` before the sigmoid; no background. */
  readonly classLogits: tf.Tensor3D;
  /** `[B, A, 4]`: ty, tx, th, tw of `efficientDetCoder`. */
  readonly boxDeltas: tf.Tensor3D;
};

/** The network: trunk, feature network, heads. */
export class EfficientDet extends Module {
  readonly backbone: Backbone;
  readonly fpn: GraphNeck;
  readonly class_net: EfficientDetHead;
  readonly box_net: EfficientDetHead;
  readonly config: EfficientDetConfig;
  readonly taps: readonly number[];

  /** @throws RangeError when the trunk lacks a stage that is tapped, or `prior` is no score. */
  constructor(config: EfficientDetConfig, random: Random) {
    super();
    const { classes, headDepth, anchorsPerCell = 9, prior = 0.01 } = config;
    const bias = priorLogit('EfficientDet', prior);
    this.config = config;
    this.backbone = config.backbone(random);
    this.taps = config.taps ?? this.backbone.channels.map((_, stage) => stage).slice(-3);
    const inChannels = tappedChannels('EfficientDet', this.backbone, this.taps);
    this.fpn = new GraphNeck({ ...config, inChannels }, random);
    const shared: Omit<EfficientDetHeadOptions, 'outputs'> = {
      channels: this.fpn.channels,
      levels: this.fpn.graph.outputs.length,
      depth: headDepth,
      norm: config.norm,
      redundantBias: config.redundantBias,
    };
    this.class_net = new EfficientDetHead({ ...shared, outputs: anchorsPerCell * classes, bias }, random);
    this.box_net = new EfficientDetHead({ ...shared, outputs: anchorsPerCell * 4 }, random);
  }

  /** @param x `[B, H, W, 3]`, normalised. Returns the feature network's maps, `[B, H_i, W_i, channels]` a level; the caller disposes them. */
  features(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    return tf.tidy(() => {
      return this.fpn.forward(trunkMaps(this.backbone, x, context, this.taps), context);
    });
  }

  /** @param maps of `features`; not disposed. Returns raw predictions for every anchor; the caller disposes them. */
  predictions(maps: readonly tf.Tensor4D[], context: ForwardContext): EfficientDetPredictions {
    return tf.tidy(() => ({
      classLogits: joinLevels(this.class_net.forward(maps, context), this.config.classes),
      boxDeltas: joinLevels(this.box_net.forward(maps, context), 4),
    }));
  }

  /** @param x `[B, H, W, 3]`, normalised. Returns raw predictions for every anchor; the caller disposes them. */
  forward(x: tf.Tensor4D, context: ForwardContext): EfficientDetPredictions {
    return tf.tidy(() => this.predictions(this.features(x, context), context));
  }

  /** `[rows, columns]` of every level's map for an input of a size in pixels. */
  mapSizes(size: { readonly width: number; readonly height: number }): [rows: number, columns: number][] {
    return levelSizes(size, this.backbone, this.taps, this.fpn);
  }
}

/** Options of `createEfficientDetDetector`. */
export interface EfficientDetDetectorOptions extends Pick<
  EfficientDetAnchorOptions,
  'anchorScale' | 'scales' | 'aspects'
> {
  /** Of the network's input, pixels. */
  readonly inputSize: { readonly width: number; readonly height: number };
  /** Default `efficientDetMatching`. */
  readonly matching?: MatchOptions;
  /** Default `efficientDetLoss`. */
  readonly loss?: DenseLossOptions;
  /** Default `efficientDetCoder`. */
  readonly coder?: BoxCoder;
}

/** An EfficientDet with the anchors its predictions refer to. */
export type EfficientDetDetector = DenseDetector<EfficientDet, EfficientDetPredictions>;

/**
 * Gives an EfficientDet its anchors, its targets and its loss. The log's parts are `class`, `box` and `positives`; detections are made by
 * `efficientDetDetectionOptions`, soft-NMS of the best 5000.
 * @throws RangeError when the anchors are not those of the network: another number a cell, or other maps.
 */
export function createEfficientDetDetector(
  model: EfficientDet,
  options: EfficientDetDetectorOptions,
): EfficientDetDetector {
  const { inputSize, anchorScale, scales, aspects, matching = efficientDetMatching } = options;
  const { coder = efficientDetCoder } = options;
  const { classes, anchorsPerCell = 9 } = model.config;
  const { minLevel, maxLevel } = model.fpn.graph;
  const { width: imageWidth, height: imageHeight } = inputSize;
  const shape = { imageWidth, imageHeight, minLevel, maxLevel };
  const anchors = efficientDetAnchors({ ...shape, anchorScale, scales, aspects });
  model.mapSizes(inputSize).forEach(([rows, columns], i) => {
    const level = anchors.levels[i];
    if (level.rows !== rows || level.cols !== columns) {
      throw new RangeError(
        `createEfficientDetDetector: the map of level ${minLevel + i} has ${rows} x ${columns} cells, but ${imageHeight} x ${imageWidth} ` +
          `pixels / 2^${minLevel + i} are ${level.rows} x ${level.cols}; does the graph's finest level go with the first tap?`,
      );
    }
    if (level.shapes.length !== anchorsPerCell) {
      throw new RangeError(
        `createEfficientDetDetector: there are ${level.shapes.length} anchors a cell (scales by aspects), the network predicts ` +
          `${anchorsPerCell}; give EfficientDet that many anchorsPerCell`,
      );
    }
  });
  return createDenseDetector(model, {
    anchors,
    classes,
    inputSize,
    matching,
    loss: options.loss ?? efficientDetLoss,
    coder,
    detection: efficientDetDetectionOptions,
  });
}
