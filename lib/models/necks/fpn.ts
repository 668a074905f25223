/**
 * Feature pyramid network (Lin et al., CVPR 2017, section 3): every map of the trunk gets the semantics of the coarser ones, by a
 * path from top to bottom that adds each map, enlarged, to the one below it.
 *
 * The names of the layers are torchvision's `FeaturePyramidNetwork`'s.
 */
import { BatchNorm2d } from '../../nn/batch-norm';
import { Conv2d } from '../../nn/conv';
import { kaimingUniformLinear } from '../../nn/initializers';
import { type ForwardContext, Module } from '../../nn/module';
import { relu } from '../../tensor/kernels/activations';
import { sumOf } from '../../tensor/kernels/linear';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';

/** Options of `FeaturePyramid`. */
export interface FeaturePyramidOptions {
  /** Channels of the trunk's maps that the pyramid is built on, from fine to coarse. */
  readonly inChannels: readonly number[];
  /** Channels of every map of the pyramid. Default 256, as in the paper. */
  readonly outChannels?: number;
  /**
   * Levels on top of the coarsest: none (default), one by subsampling it (`max-pool`, Faster R-CNN's P6), or two by convolutions of
   * stride 2 (`p6p7`, RetinaNet's; the second after a ReLU).
   */
  readonly extraLevels?: 'none' | 'max-pool' | 'p6p7';
  /** What P6 of `p6p7` is made of: the pyramid's coarsest map (default; torchvision's RetinaNet), or the trunk's (the paper's). */
  readonly p6From?: 'pyramid' | 'trunk';
  /** Normalise after every convolution but those of P6 and P7, which makes training from scratch easier. Default false. */
  readonly batchNorm?: boolean;
}

type Unit = [Conv2d] | [Conv2d, BatchNorm2d];

/** The two convolutions of RetinaNet's coarsest levels. */
class P6P7 extends Module {
  readonly p6: Conv2d;
  readonly p7: Conv2d;

  constructor(inChannels: number, outChannels: number, random: Random) {
    super();
    const shared = { outChannels, kernel: 3, stride: 2, initializer: kaimingUniformLinear };
    this.p6 = new Conv2d({ ...shared, inChannels }, random);
    this.p7 = new Conv2d({ ...shared, inChannels: outChannels }, random);
  }
}

/** A feature pyramid on the maps of any trunk. */
export class FeaturePyramid extends Module {
  /** Per level, from fine to coarse: 1x1 from the trunk's channels, as `[convolution, normalisation?]`. */
  readonly inner_blocks: Unit[];
  /** Per level: 3x3 on the sum, against the aliasing of the enlarging. */
  readonly layer_blocks: Unit[];
  readonly extra_blocks?: P6P7;
  readonly outChannels: number;
  private readonly extraLevels: 'none' | 'max-pool' | 'p6p7';
  private readonly p6From: 'pyramid' | 'trunk';

  constructor(options: FeaturePyramidOptions, random: Random) {
    super();
    const { inChannels, outChannels = 256, extraLevels = 'none', p6From = 'pyramid' } = options;
    if (inChannels.length === 0) {
      throw new RangeError('FeaturePyramid: inChannels is empty; give the channels of one map or more');
    }
    const { batchNorm = false } = options;
    const unit = (channels: number, kernel: number): Unit => {
      const conv = new Conv2d(
        { inChannels: channels, outChannels, kernel, bias: !batchNorm, initializer: kaimingUniformLinear },
        random,
      );
      return batchNorm ? [conv, new BatchNorm2d({ channels: outChannels })] : [conv];
    };
    this.inner_blocks = inChannels.map((channels) => unit(channels, 1));
    this.layer_blocks = inChannels.map(() => unit(outChannels, 3));
    if (extraLevels === 'p6p7') {
      const from = p6From === 'trunk' ? inChannels[inChannels.length - 1] : outChannels;
      this.extra_blocks = new P6P7(from, outChannels, random);
    }
    this.outChannels = outChannels;
    this.extraLevels = extraLevels;
    this.p6From = p6From;
  }

  /**
   * @param maps the trunk's, from fine to coarse: `[B, H_i, W_i, inChannels[i]]`; not disposed.
   * @returns `[B, H_i, W_i, outChannels]` a level, then the extra levels, each half as large, rounded up. The caller disposes them.
   */
  forward(maps: readonly tf.Tensor4D[], context: ForwardContext): tf.Tensor4D[] {
    if (maps.length !== this.inner_blocks.length) {
      throw new RangeError(
        `FeaturePyramid: ${maps.length} maps for a pyramid built on ${this.inner_blocks.length}`,
      );
    }
    return tf.tidy(() => {
      const pyramid: tf.Tensor4D[] = [];
      let above: tf.Tensor4D | undefined;
      for (let level = maps.length - 1; level >= 0; level--) {
        const lateral = run(this.inner_blocks[level], maps[level], context);
        const sum: tf.Tensor4D = above ? sumOf([lateral, enlarge(above, lateral)]) : lateral;
        pyramid.unshift(run(this.layer_blocks[level], sum, context));
        above = sum;
      }
      const top = pyramid[pyramid.length - 1];
      if (this.extraLevels === 'max-pool') {
        pyramid.push(tf.maxPool(top, 1, 2, 'valid'));
      } else if (this.extra_blocks) {
        const p6 = this.extra_blocks.p6.forward(
          this.p6From === 'trunk' ? maps[maps.length - 1] : top,
          context,
        );
        pyramid.push(p6, this.extra_blocks.p7.forward(relu(p6), context));
      }
      return pyramid;
    });
  }

  /** Cells a side of every level, extra levels too, for the trunk's sizes: see `Backbone.mapSizes`. */
  mapSizes(trunk: readonly number[]): number[] {
    const sizes = [...trunk];
    const extra = { none: 0, 'max-pool': 1, p6p7: 2 }[this.extraLevels];
    for (let i = 0; i < extra; i++) sizes.push(Math.ceil(sizes[sizes.length - 1] / 2));
    return sizes;
  }
}

function run(unit: Unit, x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
  return (unit as (Conv2d | BatchNorm2d)[]).reduce((y, layer) => layer.forward(y, context), x);
}

/** To the size of another map, by nearest neighbours, as in the paper: cell floor(i * from / to) for cell i. */
function enlarge(map: tf.Tensor4D, like: tf.Tensor4D): tf.Tensor4D {
  const [, height, width] = like.shape;
  return tf.image.resizeNearestNeighbor(map, [height, width]);
}
