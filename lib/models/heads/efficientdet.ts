/**
 * EfficientDet's heads (Tan et al., CVPR 2020, section 4.1; the authors' release): RetinaNet's two towers of separable convolutions, shared
 * by all levels, but with a batch norm of its own for each level. The names of the layers are effdet's.
 */
import { BatchNorm2d, type BatchNorm2dOptions } from '../../nn/batch-norm';
import { lecunNormal } from '../../nn/initializers';
import { efficientNetNorm } from '../../nn/mbconv';
import { type ForwardContext, Module } from '../../nn/module';
import { SeparableConv2d } from '../../nn/separable-conv';
import { swish } from '../../tensor/kernels/activations';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';

/** Options of `EfficientDetHead`. */
export interface EfficientDetHeadOptions {
  /** Channels of the maps, and of the tower. */
  readonly channels: number;
  /** How many maps there are. */
  readonly levels: number;
  /** Convolutions of the tower, before the one that predicts. EfficientDet-D0: 3. */
  readonly depth: number;
  /** Numbers predicted a cell: anchors by classes, or by 4. */
  readonly outputs: number;
  /** What every prediction begins with. Default 0. */
  readonly bias?: number;
  /** Default EfficientNet's: epsilon 1e-3, momentum 0.99. */
  readonly norm?: Omit<BatchNorm2dOptions, 'channels'>;
  /** Biases before the batch norms, without effect but on the number of parameters. Default true, as released. */
  readonly redundantBias?: boolean;
}

/** A level's normalisation after one of the tower's convolutions. */
class LevelNorm extends Module {
  readonly bn: BatchNorm2d;

  constructor(options: BatchNorm2dOptions) {
    super();
    this.bn = new BatchNorm2d(options);
  }
}

/** One tower and its prediction: for classes or for boxes. */
export class EfficientDetHead extends Module {
  readonly conv_rep: SeparableConv2d[];
  /** By convolution, then by level. */
  readonly bn_rep: LevelNorm[][];
  readonly predict: SeparableConv2d;
  private readonly levels: number;

  constructor(options: EfficientDetHeadOptions, random: Random) {
    super();
    const { channels, levels, depth, outputs, bias = 0, redundantBias = true } = options;
    const { norm = efficientNetNorm } = options;
    const conv = (outChannels: number, withBias: boolean): SeparableConv2d =>
      new SeparableConv2d(
        { inChannels: channels, outChannels, bias: withBias, initializer: lecunNormal },
        random,
      );
    const times = <T>(length: number, make: () => T): T[] => Array.from({ length }, make);
    this.levels = levels;
    this.conv_rep = times(depth, () => conv(channels, redundantBias));
    this.bn_rep = times(depth, () => times(levels, () => new LevelNorm({ channels, ...norm })));
    this.predict = conv(outputs, true);
    const start = tf.fill<tf.Rank.R1>([outputs], bias);
    this.predict.conv_pw.bias!.assign(start);
    start.dispose();
  }

  /**
   * @param maps `[B, H_i, W_i, channels]` a level; not disposed. Returns `[B, H_i, W_i, outputs]` a level; the caller disposes them.
   * @throws RangeError for another number of maps than there are normalisations for.
   */
  forward(maps: readonly tf.Tensor4D[], context: ForwardContext): tf.Tensor4D[] {
    if (maps.length !== this.levels) {
      throw new RangeError(`EfficientDetHead: ${maps.length} maps for a head of ${this.levels} levels`);
    }
    return tf.tidy(() =>
      maps.map((map, level) => {
        const features = this.conv_rep.reduce((y, conv, i) => {
          const normed = this.bn_rep[i][level].bn.forward(conv.forward(y, context), context);
          return swish(normed);
        }, map);
        return this.predict.forward(features, context);
      }),
    );
  }
}
