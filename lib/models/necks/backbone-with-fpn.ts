/** A trunk with a feature pyramid on it, under torchvision's names: `body` and `fpn`. */
import { type ForwardContext, Module } from '../../nn/module';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import type { Backbone, BackboneBuilder } from '../backbones/backbone';
import { FeaturePyramid, type FeaturePyramidOptions } from './fpn';
import { levelSizes, tappedChannels } from './taps';

/** Options of `BackboneWithFpn`. */
export interface BackboneWithFpnOptions extends Omit<FeaturePyramidOptions, 'inChannels'> {
  /** `(random) => new ResNet(resNet18, random)`. */
  readonly backbone: BackboneBuilder;
  /** Stages of the trunk that the pyramid is built on, from 0. Default: all of them. */
  readonly taps?: readonly number[];
}

/** Images in, a pyramid of maps of equal channels out. */
export class BackboneWithFpn extends Module {
  readonly body: Backbone;
  readonly fpn: FeaturePyramid;
  readonly taps: readonly number[];

  /** @throws RangeError when the trunk lacks a stage that is tapped. */
  constructor(options: BackboneWithFpnOptions, random: Random) {
    super();
    const { backbone, taps, ...fpn } = options;
    this.body = backbone(random);
    this.taps = taps ?? this.body.channels.map((_, stage) => stage);
    const inChannels = tappedChannels('BackboneWithFpn', this.body, this.taps);
    this.fpn = new FeaturePyramid({ ...fpn, inChannels }, random);
  }

  /** @param x `[B, H, W, 3]`, normalised. Returns `[B, H_i, W_i, outChannels]` a level; the caller disposes them. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    return tf.tidy(() => {
      const stages = this.body.forward(x, context);
      return this.fpn.forward(
        this.taps.map((tap) => stages[tap]),
        context,
      );
    });
  }

  /** `[rows, columns]` of every level's map for an input of a size in pixels. */
  mapSizes(size: { readonly width: number; readonly height: number }): [rows: number, columns: number][] {
    return levelSizes(size, this.body, this.taps, this.fpn);
  }
}
