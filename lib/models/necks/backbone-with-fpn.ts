/** A trunk with a feature pyramid, or another feature network, on it, under torchvision's names: `body` and `fpn`. */
import { type ForwardContext, Module } from '../../nn/module';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import type { Backbone, BackboneBuilder } from '../backbones/backbone';
import { trunkMaps } from '../backbones/trunk-maps';
import { FeaturePyramid, type FeaturePyramidOptions } from './fpn';
import { GraphNeck, type GraphNeckOptions } from './graph-neck';
import { levelSizes, tappedChannels } from './taps';

/** A feature network that takes the pyramid's place. */
export type GraphNeckConfig = Omit<GraphNeckOptions, 'inChannels' | 'channels'>;

/** Options of `BackboneWithFpn`. */
export interface BackboneWithFpnOptions extends Omit<FeaturePyramidOptions, 'inChannels'> {
  /** `(random) => new ResNet(resNet18, random)`. */
  readonly backbone: BackboneBuilder;
  /** Stages of the trunk that the pyramid is built on, from 0. Default: all of them. */
  readonly taps?: readonly number[];
  /**
   * Another feature network, such as BiFPN or NAS-FPN, of `outChannels` channels: the first tap is its graph's finest level, and it has the extra
   * levels that the graph has. `extraLevels`, `p6From` and `batchNorm` are the pyramid's and say nothing then. Default: a feature pyramid.
   */
  readonly neck?: GraphNeckConfig;
}

/** Images in, a pyramid of maps of equal channels out. */
export class BackboneWithFpn extends Module {
  readonly body: Backbone;
  readonly fpn: FeaturePyramid | GraphNeck;
  readonly taps: readonly number[];

  /** @throws RangeError when the trunk lacks a stage that is tapped. */
  constructor(options: BackboneWithFpnOptions, random: Random) {
    super();
    const { backbone, taps, neck, ...fpn } = options;
    this.body = backbone(random);
    this.taps = taps ?? this.body.channels.map((_, stage) => stage);
    const inChannels = tappedChannels('BackboneWithFpn', this.body, this.taps);
    this.fpn = neck
      ? new GraphNeck({ ...neck, inChannels, channels: fpn.outChannels ?? 256 }, random)
      : new FeaturePyramid({ ...fpn, inChannels }, random);
  }

  /** @param x `[B, H, W, 3]`, normalised. Returns `[B, H_i, W_i, outChannels]` a level; the caller disposes them. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    return tf.tidy(() => {
      return this.fpn.forward(trunkMaps(this.body, x, context, this.taps), context);
    });
  }

  /** `[rows, columns]` of every level's map for an input of a size in pixels. */
  mapSizes(size: { readonly width: number; readonly height: number }): [rows: number, columns: number][] {
    return levelSizes(size, this.body, this.taps, this.fpn);
  }
}
