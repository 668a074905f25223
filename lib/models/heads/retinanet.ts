/**
 * RetinaNet's heads (Lin et al., ICCV 2017, section 4, figure 3): two small towers of convolutions, one for classes, one for boxes,
 * shared by all levels of the pyramid. The layers' names are torchvision's.
 */
import { Conv2d } from '../../nn/conv';
import { GroupNorm } from '../../nn/group-norm';
import { normal } from '../../nn/initializers';
import { type ForwardContext, Module } from '../../nn/module';
import { relu } from '../../tensor/kernels/activations';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import { joinLevels } from './join-levels';
import { priorLogit } from './prior';

/** Raw predictions for every anchor, levels one after another, in the anchors' order. (A type, so that `tf.tidy` takes it.) */
export type RetinaNetPredictions = {
  /** `[B, A, C]` before the sigmoid; no background. */
  readonly classLogits: tf.Tensor3D;
  /** `[B, A, 4]` encoded offsets from the anchor. */
  readonly boxDeltas: tf.Tensor3D;
};

/** Options of `RetinaNetHead`. */
export interface RetinaNetHeadOptions {
  /** Channels of the pyramid's maps, and of the towers. */
  readonly channels: number;
  /** Anchors a cell, on every level. */
  readonly anchorsPerCell: number;
  readonly classes: number;
  /** Convolutions of each tower. Default 4. */
  readonly depth?: number;
  /**
   * Group normalisation after each of them, as in torchvision's `retinanet_resnet50_fpn_v2`: in 32 groups, which suits its 256 channels.
   * Narrow towers want fewer: groups of two channels leave nothing of a map of one cell but signs. Default false, the paper's.
   */
  readonly groupNorm?: boolean | { readonly groups: number };
  /**
   * The score that every anchor begins with (the paper's pi, section 3.3): so small that the many background anchors do not swamp
   * the first steps. Default 0.01.
   */
  readonly prior?: number;
}

type Layer = [Conv2d] | [Conv2d, GroupNorm];

/** Convolutions, each followed by a ReLU, of weights from N(0, 0.01), as in the paper. */
function tower(options: RetinaNetHeadOptions, random: Random): Layer[] {
  const { channels, depth = 4, groupNorm = false } = options;
  const groups = typeof groupNorm === 'object' ? groupNorm.groups : undefined;
  return Array.from({ length: depth }, () => {
    const conv = new Conv2d(
      {
        inChannels: channels,
        outChannels: channels,
        kernel: 3,
        bias: !groupNorm,
        initializer: groupNorm ? undefined : normal(0.01),
      },
      random,
    );
    return groupNorm ? [conv, new GroupNorm({ channels, groups })] : [conv];
  });
}

function runTower(layers: readonly Layer[], x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
  return layers.reduce(
    (y, layer) => relu((layer as (Conv2d | GroupNorm)[]).reduce((z, part) => part.forward(z, context), y)),
    x,
  );
}

/** What class is at each anchor. */
export class RetinaNetClassificationHead extends Module {
  readonly conv: Layer[];
  readonly cls_logits: Conv2d;

  constructor(options: RetinaNetHeadOptions, random: Random) {
    super();
    const { channels, anchorsPerCell, classes, prior = 0.01 } = options;
    const bias = priorLogit('RetinaNetHead', prior);
    this.conv = tower(options, random);
    this.cls_logits = new Conv2d(
      { inChannels: channels, outChannels: anchorsPerCell * classes, kernel: 3, initializer: normal(0.01) },
      random,
    );
    const start = tf.fill<tf.Rank.R1>([anchorsPerCell * classes], bias);
    this.cls_logits.bias!.assign(start);
    start.dispose();
  }

  /** `[B, H, W, channels]` to `[B, H, W, anchorsPerCell * classes]`; the caller disposes it. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => this.cls_logits.forward(runTower(this.conv, x, context), context));
  }
}

/** Where the object of each anchor is. */
export class RetinaNetRegressionHead extends Module {
  readonly conv: Layer[];
  readonly bbox_reg: Conv2d;

  constructor(options: RetinaNetHeadOptions, random: Random) {
    super();
    const { channels, anchorsPerCell } = options;
    this.conv = tower(options, random);
    this.bbox_reg = new Conv2d(
      { inChannels: channels, outChannels: anchorsPerCell * 4, kernel: 3, initializer: normal(0.01) },
      random,
    );
  }

  /** `[B, H, W, channels]` to `[B, H, W, anchorsPerCell * 4]`; the caller disposes it. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => this.bbox_reg.forward(runTower(this.conv, x, context), context));
  }
}

/** Both heads on all levels. */
export class RetinaNetHead extends Module {
  readonly classification_head: RetinaNetClassificationHead;
  readonly regression_head: RetinaNetRegressionHead;
  private readonly classes: number;

  constructor(options: RetinaNetHeadOptions, random: Random) {
    super();
    this.classes = options.classes;
    this.classification_head = new RetinaNetClassificationHead(options, random);
    this.regression_head = new RetinaNetRegressionHead(options, random);
  }

  /** @param maps `[B, H_i, W_i, channels]` a level. Returns predictions for all anchors; the caller disposes them. */
  forward(maps: readonly tf.Tensor4D[], context: ForwardContext): RetinaNetPredictions {
    return tf.tidy(() => {
      const flat = (head: RetinaNetClassificationHead | RetinaNetRegressionHead, columns: number) =>
        joinLevels(
          maps.map((map) => head.forward(map, context)),
          columns,
        );
      return {
        classLogits: flat(this.classification_head, this.classes),
        boxDeltas: flat(this.regression_head, 4),
      };
    });
  }
}
