/**
 * The unit of ShuffleNetV2 (Ma et al., ECCV 2018, figure 3 c and d) in the four kinds that DetNAS chooses from (Chen et al.,
 * NeurIPS 2019, section 3.1): a depthwise window of 3, 5 or 7, or three depthwise separable convolutions as Xception has them.
 */
import type { Random } from '../tensor/random';
import { tf } from '../tensor/tf';
import { BatchNorm2d } from './batch-norm';
import { Conv2d } from './conv';
import { DepthwiseConv2d } from './depthwise-conv';
import { kaimingNormal } from './initializers';
import { type ForwardContext, Module } from './module';
import { type Layer, Relu, runLayers } from './sequential';

/** The choices of DetNAS, in its own numbering: 0, 1, 2 and 3. */
export const shuffleBlockKinds = ['shuffle3', 'shuffle5', 'shuffle7', 'xception'] as const;

/** What a unit's main branch is made of. */
export type ShuffleBlockKind = (typeof shuffleBlockKinds)[number];

/** Options of `ShuffleBlock`. */
export interface ShuffleBlockOptions {
  /** Even at stride 1, where it equals `outChannels`. */
  readonly inChannels: number;
  readonly outChannels: number;
  readonly stride: 1 | 2;
  readonly kind: ShuffleBlockKind;
}

const kernels: Readonly<Record<ShuffleBlockKind, number>> = {
  shuffle3: 3,
  shuffle5: 5,
  shuffle7: 7,
  xception: 3,
};

/**
 * Stride 1: the even channels pass, the odd ones go through the main branch (the split does the shuffling, see `shuffleSplit`).
 * Stride 2: the main branch makes the channels that are new, a second branch halves those of the input. Both are joined.
 */
export class ShuffleBlock extends Module {
  /** Numbered as a PyTorch `Sequential`, activations counted. */
  readonly branch_main: Layer[];
  /** Only at stride 2. */
  readonly branch_proj?: Layer[];

  /** @throws RangeError for channels that can't be split or joined. */
  constructor(options: ShuffleBlockOptions, random: Random) {
    super();
    const { inChannels, outChannels, stride, kind } = options;
    if (stride === 1 && (inChannels !== outChannels || inChannels % 2 !== 0)) {
      throw new RangeError(
        `ShuffleBlock: at stride 1 half of the channels pass, so there is the same even number before and after; ` +
          `got ${inChannels} and ${outChannels}`,
      );
    }
    if (stride === 2 && (outChannels <= inChannels || outChannels % 2 !== 0)) {
      throw new RangeError(
        `ShuffleBlock: at stride 2 the input's ${inChannels} channels are joined to new ones, an even number in all; ` +
          `got ${outChannels}`,
      );
    }
    const kernel = kernels[kind];
    const middle = outChannels / 2;
    const [from, to] = stride === 1 ? [middle, middle] : [inChannels, outChannels - inChannels];
    const depthwise = (channels: number, step: 1 | 2): Layer[] => [
      new DepthwiseConv2d({ channels, kernel, stride: step, bias: false }, random),
      new BatchNorm2d({ channels }),
    ];
    const pointwise = (input: number, output: number): Layer[] => [
      new Conv2d(
        { inChannels: input, outChannels: output, kernel: 1, bias: false, initializer: kaimingNormal },
        random,
      ),
      new BatchNorm2d({ channels: output }),
      new Relu(),
    ];
    this.branch_main =
      kind === 'xception'
        ? [
            ...depthwise(from, stride),
            ...pointwise(from, middle),
            ...depthwise(middle, 1),
            ...pointwise(middle, middle),
            ...depthwise(middle, 1),
            ...pointwise(middle, to),
          ]
        : [...pointwise(from, middle), ...depthwise(middle, stride), ...pointwise(middle, to)];
    if (stride === 2) {
      this.branch_proj = [...depthwise(inChannels, 2), ...pointwise(inChannels, inChannels)];
    }
  }

  /** @param x `[B, H, W, in]`. Returns `[B, ceil(H / stride), ceil(W / stride), out]`; the caller disposes it. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => {
      const [passing, changing] = this.branch_proj
        ? [runLayers(this.branch_proj, x, context), x]
        : shuffleSplit(x);
      return tf.concat4d([passing, runLayers(this.branch_main, changing, context)], 3);
    });
  }
}

/**
 * Even and odd channels of `[B, H, W, C]`, C even: two `[B, H, W, C / 2]`, which the caller disposes. It is the split of a unit
 * after the shuffle of the one before (the released DetNAS's default, there called method 2).
 */
export function shuffleSplit(x: tf.Tensor4D): [even: tf.Tensor4D, odd: tf.Tensor4D] {
  const [b, h, w, c] = x.shape;
  return tf.tidy(() => {
    // As a matrix of pairs, turned over: all even channels, then all odd ones. (A gather or an unstack is many times slower on wasm.)
    const turned = tf.transpose(x.reshape<tf.Tensor2D>([(b * h * w * c) / 2, 2]));
    return tf.split(turned, 2).map((half) => half.reshape([b, h, w, c / 2]));
  }) as [tf.Tensor4D, tf.Tensor4D];
}
