/**
 * RetinaNet (Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017): a feature pyramid, shared heads on all its levels, and
 * the focal loss in place of mined negatives. Names of layers and the rules of matching and loss are torchvision's.
 */
import type { AnchorSet } from '../boxes/anchors';
import { type BoxCoder, retinaNetCoder } from '../boxes/coders';
import { denseDetections, type DenseDetectionOptions } from '../boxes/dense-detections';
import { type MatchOptions, retinaNetMatching } from '../boxes/matching';
import { retinaNetAnchors } from '../boxes/pyramid-anchors';
import { denseLoss, type DenseLossOptions, retinaNetLoss } from '../losses/dense';
import { encodeTargets, type MultiboxTargets, targetTensors } from '../losses/multibox-targets';
import { type ForwardContext, inference, Module } from '../nn/module';
import type { Random } from '../tensor/random';
import { tf } from '../tensor/tf';
import { decodePredictions } from './decode-predictions';
import type { Detector } from './detector';
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
export interface RetinaNetDetector extends Detector<DenseDetectionOptions> {
  readonly model: RetinaNet;
  readonly anchors: AnchorSet;
  predict(images: tf.Tensor4D): RetinaNetPredictions;
}

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
  const predict = (images: tf.Tensor4D): RetinaNetPredictions => model.forward(images, inference);
  return {
    model,
    anchors,
    classes,
    inputSize,
    targets(groundTruth) {
      return targetTensors(encodeTargets(groundTruth, anchors, { classes, ...matching, coder }));
    },
    loss(images, targets, context) {
      const { total, classLoss, boxLoss, positives } = denseLoss(
        model.forward(images, context),
        targets as MultiboxTargets,
        options.loss ?? retinaNetLoss,
      );
      return { total, parts: { class: classLoss, box: boxLoss, positives } };
    },
    predict,
    async detect(images, detection, run = predict) {
      return decodePredictions(run(images) as RetinaNetPredictions, (logits, deltas) =>
        denseDetections(logits, deltas, anchors, { coder, ...detection }),
      );
    },
  };
}
