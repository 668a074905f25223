/**
 * Faster R-CNN on a feature pyramid (Ren et al., NeurIPS 2015; Lin et al., CVPR 2017), and Cascade R-CNN (Cai and Vasconcelos, CVPR 2018):
 * a first stage proposes regions, a second one classifies and refines them. Layers, their names and the numbers are torchvision's
 * `fasterrcnn_resnet50_fpn`'s, unless set.
 */
import type { AnchorSet } from '../../boxes/anchors';
import { type ProposalOptions, type Proposals, selectProposals } from '../../boxes/proposals';
import { rpnAnchors } from '../../boxes/pyramid-anchors';
import { type ForwardContext, Module } from '../../nn/module';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import { BackboneWithFpn, type BackboneWithFpnOptions } from '../necks/backbone-with-fpn';
import { CascadeHeads, type CascadeOptions } from './cascade-heads';
import type { RegionPoolingOptions } from './region-pooling';
import { RoiHeads } from './roi-heads';
import { RegionProposalNetwork, type RpnPredictions } from './rpn';
import type { RegionFeatures, SecondStage, TwoStagePredictions } from './second-stage';

/** What a two-stage detector is made of. */
export interface FasterRcnnConfig extends BackboneWithFpnOptions {
  /** Classes without the background. */
  readonly classes: number;
  /** Levels on top of the pyramid's coarsest, which regions are proposed on but not read from. Default `max-pool`. */
  readonly extraLevels?: BackboneWithFpnOptions['extraLevels'];
  /** For each level the square roots of its anchors' areas, pixels. Default: one a level, 8 times its stride (32 to 512). */
  readonly anchorSizes?: readonly (readonly number[])[];
  /** Heights by widths of the anchors. Default 1/2, 1, 2. */
  readonly anchorRatios?: readonly number[];
  /** 3x3 convolutions of the region proposal network. Default 1. */
  readonly rpnDepth?: number;
  /** How many regions are proposed. Defaults: 2000 a level and 2000 in all for training, else 1000 and 1000. */
  readonly proposals?: Readonly<Partial<Record<'training' | 'inference', Omit<ProposalOptions, 'coder'>>>>;
  readonly pooling?: RegionPoolingOptions;
  /** Outputs of the second stage's fully connected layers. Default 1024. */
  readonly features?: number;
  /** Makes the second stage a cascade; `{}` is the paper's. */
  readonly cascade?: CascadeOptions;
}

/** What a forward pass computes before the second stage. */
export interface FirstStage {
  readonly features: RegionFeatures;
  readonly rpn: RpnPredictions;
  readonly anchors: AnchorSet;
}

/** The network: trunk, pyramid, region proposals, second stage. */
export class FasterRcnn extends Module {
  readonly backbone: BackboneWithFpn;
  readonly rpn: RegionProposalNetwork;
  readonly roi_heads: SecondStage;
  readonly config: FasterRcnnConfig;

  constructor(config: FasterRcnnConfig, random: Random) {
    super();
    this.config = config;
    this.backbone = new BackboneWithFpn({ ...config, extraLevels: config.extraLevels ?? 'max-pool' }, random);
    const { outChannels: channels } = this.backbone.fpn;
    const { anchorSizes, anchorRatios, rpnDepth, cascade } = config;
    const anchorsPerCell = (anchorSizes?.[0].length ?? 1) * (anchorRatios?.length ?? 3);
    this.rpn = new RegionProposalNetwork({ channels, anchorsPerCell, depth: rpnDepth }, random);
    const { classes, features, pooling } = config;
    const options = { channels, classes, features, pooling };
    this.roi_heads = cascade
      ? new CascadeHeads({ ...options, ...cascade }, random)
      : new RoiHeads(options, random);
  }

  /** Anchors for an input of a size in pixels. @throws RangeError when levels differ in their anchors a cell, or in number. */
  anchors(size: { readonly width: number; readonly height: number }): AnchorSet {
    const maps = this.backbone.mapSizes(size);
    const { anchorRatios: ratios, anchorSizes } = this.config;
    const sizes = anchorSizes ?? maps.map(([rows]) => [8 * 2 ** Math.round(Math.log2(size.height / rows))]);
    if (sizes.length !== maps.length || sizes.some(({ length }) => length !== sizes[0].length)) {
      throw new RangeError(
        `FasterRcnn: anchorSizes has ${sizes.map(({ length }) => length).join(', ')} sizes a level for a pyramid of ${maps.length} levels; ` +
          'give every level the same number, as the head is shared',
      );
    }
    return rpnAnchors({ imageWidth: size.width, imageHeight: size.height, maps, sizes, ratios });
  }

  /** The first stage's raw predictions. @param x `[B, H, W, 3]`, normalised. The caller disposes the tensors. */
  firstStage(x: tf.Tensor4D, context: ForwardContext, anchors?: AnchorSet): FirstStage {
    const [, height, width] = x.shape;
    const { maps, rpn } = tf.tidy(() => {
      const pyramid = this.backbone.forward(x, context);
      return { maps: pyramid, rpn: this.rpn.head.forward(pyramid, context) };
    });
    // Only the pyramid's own levels are read from.
    const own = maps.slice(0, this.backbone.taps.length);
    return {
      features: { maps: own, width, height },
      rpn,
      anchors: anchors ?? this.anchors({ width, height }),
    };
  }

  /** The regions of a first stage: for training, or for inference. No gradient flows through. The caller disposes the result. */
  propose({ rpn, anchors }: FirstStage, purpose: 'training' | 'inference'): Proposals {
    const { proposals = {} } = this.config;
    const options =
      purpose === 'training'
        ? proposals.training
        : { preNmsTop: 1000, postNmsTop: 1000, ...proposals.inference };
    return selectProposals(rpn.logits, rpn.deltas, anchors, options);
  }

  /**
   * Both stages for inference.
   * @param x `[B, H, W, 3]`, normalised. The caller disposes the result.
   */
  forward(x: tf.Tensor4D, context: ForwardContext, anchors?: AnchorSet): TwoStagePredictions {
    return tf.tidy(() => {
      const first = this.firstStage(x, context, anchors);
      return this.roi_heads.predict(first.features, this.propose(first, 'inference'), context);
    });
  }
}
