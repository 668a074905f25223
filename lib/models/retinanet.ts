/**
 * RetinaNet (Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017): a feature pyramid, shared heads on all its levels, and
 * the focal loss in place of mined negatives. Names of layers and the rules of matching and loss are torchvision's.
 */
import { type BoxCoder, retinaNetCoder } from '../boxes/coders';
import { type MatchOptions, retinaNetMatching } from '../boxes/matching';
import { retinaNetAnchors } from '../boxes/pyramid-anchors';
import { type DenseLossOptions, retinaNetLoss } from '../losses/dense';
import { type ForwardContext, Module } from '../nn/module';
import type { Random } from '../tensor/random';
import { tf } from '../tensor/tf';
import { createDenseDetector, type DenseDetector } from './dense-detector';
import { RetinaNetHead, type RetinaNetHeadOptions, type RetinaNetPredictions } from './heads/retinanet';
import { BackboneWithFpn, type BackboneWithFpnOptions } from './necks/backbone-with-fpn';

/** What a RetinaNet is made of. */
export interface RetinaNetConfig
  extends BackboneWithFpnOptions, Pick<RetinaNetHeadOptions, 'classes' | 'depth' | 'groupNorm' | 'prior'> {
  /** Anchors a cell. Default 9: three sizes an octave, three ratios. */
  readonly anchorsPerCell?: number;
}

/** The network: trunk, pyramid, heads. */
export class RetinaNet extends Module {
  readonly backbone: BackboneWithFpn;
  readonly head: RetinaNetHead;
  readonly config: RetinaNetConfig;

  constructor(config: RetinaNetConfig, random: Random) {
    super();
    this.config = config;
    this.backbone = new BackboneWithFpn({ extraLevels: 'p6p7', ...config }, random);
    this.head = new RetinaNetHead(
      { ...config, channels: this.backbone.fpn.outChannels, anchorsPerCell: config.anchorsPerCell ?? 9 },
      random,
    );
  }

  /** @param x `[B, H, W, 3]`, normalised. Returns raw predictions for every anchor; the caller disposes them. */
  forward(x: tf.Tensor4D, context: ForwardContext): RetinaNetPredictions {
    return tf.tidy(() => this.head.forward(this.backbone.forward(x, context), context));
  }
}

/** Options of `createRetinaNetDetector`. */
export interface RetinaNetDetectorOptions {
  /** Of the network's input, pixels. */
  readonly inputSize: { readonly width: number; readonly height: number };
  /** For each level the square roots of its anchors' areas, pixels. Default: the paper's, 32 to 512 and three an octave. */
  readonly sizes?: readonly (readonly number[])[];
  /** Heights by widths of the anchors. Default 1/2, 1, 2. */
  readonly ratios?: readonly number[];
  /** Default: IoU 0.5 and 0.4 and low-quality matches, as the paper has it. */
  readonly matching?: MatchOptions;
  /** Default: `retinaNetLoss`. */
  readonly loss?: DenseLossOptions;
  /** Default: offsets without weights. */
  readonly coder?: BoxCoder;
}

/** A RetinaNet with the anchors its predictions refer to. */
export type RetinaNetDetector = DenseDetector<RetinaNet, RetinaNetPredictions>;

/**
 * Gives a RetinaNet its anchors, its targets and its loss. The log's parts are `class`, `box` and `positives`.
 * @throws RangeError when the anchors a cell are not those of the network.
 */
export function createRetinaNetDetector(
  model: RetinaNet,
  options: RetinaNetDetectorOptions,
): RetinaNetDetector {
  const { inputSize, matching = retinaNetMatching, coder = retinaNetCoder } = options;
  const { classes, anchorsPerCell = 9 } = model.config;
  const maps = model.backbone.mapSizes(inputSize);
  const anchors = retinaNetAnchors({
    imageWidth: inputSize.width,
    imageHeight: inputSize.height,
    maps,
    sizes: options.sizes,
    ratios: options.ratios,
  });
  const wrong = anchors.levels.findIndex(({ shapes }) => shapes.length !== anchorsPerCell);
  if (wrong >= 0) {
    throw new RangeError(
      `createRetinaNetDetector: level ${wrong} has ${anchors.levels[wrong].shapes.length} anchors a cell (sizes by ratios), ` +
        `the network predicts ${anchorsPerCell}; give RetinaNet that many anchorsPerCell`,
    );
  }
  return createDenseDetector(model, {
    anchors,
    classes,
    inputSize,
    matching,
    loss: options.loss ?? retinaNetLoss,
    coder,
  });
}
