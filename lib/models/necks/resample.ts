/** What brings a map to the channels and the size of a node. */
import { BatchNorm2d, type BatchNorm2dOptions } from '../../nn/batch-norm';
import { Conv2d } from '../../nn/conv';
import { type ForwardContext, Module } from '../../nn/module';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import { type PoolPadding, resizeMap } from './resize-map';

/** Options of `Resample`. */
export interface ResampleOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly norm: Omit<BatchNorm2dOptions, 'channels'>;
  /** A bias before the batch norm, which makes it redundant. */
  readonly redundantBias: boolean;
  readonly padding: PoolPadding;
}

/** 1x1 convolution and batch norm. */
class Lateral extends Module {
  readonly conv: Conv2d;
  readonly bn: BatchNorm2d;

  constructor({ inChannels, outChannels, norm, redundantBias }: ResampleOptions, random: Random) {
    super();
    this.conv = new Conv2d({ inChannels, outChannels, kernel: 1, bias: redundantBias }, random);
    this.bn = new BatchNorm2d({ channels: outChannels, ...norm });
  }
}

/** A lateral convolution where the channels differ, then `resizeMap`. The names are effdet's. */
export class Resample extends Module {
  readonly conv?: Lateral;
  private readonly padding: PoolPadding;

  constructor(options: ResampleOptions, random: Random) {
    super();
    if (options.inChannels !== options.outChannels) this.conv = new Lateral(options, random);
    this.padding = options.padding;
  }

  /** @param x `[B, H, W, in]`; not disposed. Returns `[B, ...size, out]`: `x` itself where nothing is to be done. */
  forward(
    x: tf.Tensor4D,
    size: readonly [height: number, width: number],
    context: ForwardContext,
  ): tf.Tensor4D {
    return tf.tidy(() => {
      const y = this.conv ? this.conv.bn.forward(this.conv.conv.forward(x, context), context) : x;
      return resizeMap(y, size, this.padding);
    });
  }
}
