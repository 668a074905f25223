/**
 * ShuffleNetV2 trunks (Ma et al., ECCV 2018): a 3x3 convolution and a max-pool, both of stride 2, then three stages of shuffle units.
 *
 * Two releases are in use, and differ where a stage begins. The authors' own keeps the input's channels in the second branch (as
 * `ShuffleBlock` does) and has the paper's multiply-adds; torchvision's makes half of the output in each. They also differ in which
 * channels pass: every other one, or the first half of what was shuffled.
 */
import { BatchNorm2d } from '../../nn/batch-norm';
import { Conv2d } from '../../nn/conv';
import { DepthwiseConv2d } from '../../nn/depthwise-conv';
import { kaimingNormal } from '../../nn/initializers';
import { type ForwardContext, Module } from '../../nn/module';
import { type Layer, Relu, runLayers } from '../../nn/sequential';
import { ShuffleBlock } from '../../nn/shuffle-block';
import { maxPool2d } from '../../tensor/kernels/pool';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import type { Backbone } from './backbone';

/** What a ShuffleNetV2 is made of. */
export interface ShuffleNetV2Config {
  /** Channels of the first convolution. */
  readonly stem: number;
  /** Channels of the three stages, each even. */
  readonly widths: readonly [number, number, number];
  /** Units of the three stages; the first of each has stride 2. */
  readonly blocks: readonly [number, number, number];
  /** Channels of the 1x1 convolution before the classifier, which is no part of the trunk. */
  readonly last: number;
  /** Whose units they are. Default `megvii`, the authors'. */
  readonly release?: 'megvii' | 'torchvision';
}

const base = { stem: 24, blocks: [4, 8, 4], last: 1024 } as const;

/** The published widths (Ma et al., table 5). */
export const shuffleNetsV2: Readonly<Record<'x0.5' | 'x1.0' | 'x1.5' | 'x2.0', ShuffleNetV2Config>> = {
  'x0.5': { ...base, widths: [48, 96, 192] },
  'x1.0': { ...base, widths: [116, 232, 464] },
  'x1.5': { ...base, widths: [176, 352, 704] },
  'x2.0': { ...base, widths: [244, 488, 976], last: 2048 },
};

/** A ShuffleNetV2 without its classifier: maps at strides 4 (the max-pool's), 8, 16 and 32. Names are torchvision's: `stage2.0`, … */
export class ShuffleNetV2 extends Module implements Backbone {
  /** Numbered as a PyTorch `Sequential`, the activation counted. */
  readonly conv1: Layer[];
  readonly stage2: Layer[];
  readonly stage3: Layer[];
  readonly stage4: Layer[];
  readonly channels: readonly number[];
  readonly config: ShuffleNetV2Config;

  /** @throws RangeError for widths that can't be split. */
  constructor(config: ShuffleNetV2Config, random: Random) {
    super();
    const { stem, widths, blocks, release = 'megvii' } = config;
    this.config = config;
    this.channels = [stem, ...widths];
    this.conv1 = [
      ...convolution({ inChannels: 3, outChannels: stem, kernel: 3, stride: 2 }, random),
      new Relu(),
    ];
    const [stage2, stage3, stage4] = widths.map((outChannels, stage) =>
      Array.from({ length: blocks[stage] }, (_, block): Layer => {
        const inChannels = block === 0 ? this.channels[stage] : outChannels;
        const stride = block === 0 ? 2 : 1;
        return release === 'megvii'
          ? new ShuffleBlock({ inChannels, outChannels, stride, kind: 'shuffle3' }, random)
          : new InvertedResidual(inChannels, outChannels, stride, random);
      }),
    );
    this.stage2 = stage2;
    this.stage3 = stage3;
    this.stage4 = stage4;
  }

  /** @param x `[B, H, W, 3]`. Returns one `[B, H_i, W_i, channels[i]]` a stage, the stem's first; the caller disposes them. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    return tf.tidy(() => {
      let y = maxPool2d(runLayers(this.conv1, x, context), { kernel: 3, stride: 2, padding: 1 });
      return [
        y,
        ...[this.stage2, this.stage3, this.stage4].map((stage) => (y = runLayers(stage, y, context))),
      ];
    });
  }

  /** Cells a side of each map; an odd size is halved upwards. */
  mapSizes(inputSize: number): number[] {
    let size = Math.ceil(inputSize / 2);
    return this.channels.map(() => (size = Math.ceil(size / 2)));
  }
}

/** torchvision's unit: the first half of the channels passes (or has a branch of its own at stride 2), both halves are then shuffled. */
class InvertedResidual extends Module implements Layer {
  readonly branch1: Layer[];
  readonly branch2: Layer[];

  constructor(inChannels: number, outChannels: number, stride: 1 | 2, random: Random) {
    super();
    const half = outChannels / 2;
    if (!Number.isInteger(half)) {
      throw new RangeError(
        `ShuffleNetV2: a stage's ${outChannels} channels can't be halved; give an even number`,
      );
    }
    const depthwise = (channels: number): Layer[] => [
      new DepthwiseConv2d({ channels, kernel: 3, stride, bias: false }, random),
      new BatchNorm2d({ channels }),
    ];
    const pointwise = (from: number): Layer[] => [
      ...convolution({ inChannels: from, outChannels: half, kernel: 1, stride: 1 }, random),
      new Relu(),
    ];
    this.branch1 = stride === 2 ? [...depthwise(inChannels), ...pointwise(inChannels)] : [];
    this.branch2 = [...pointwise(stride === 2 ? inChannels : half), ...depthwise(half), ...pointwise(half)];
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => {
      const halves: tf.Tensor4D[] = this.branch1.length > 0 ? [x, x] : tf.split(x, 2, 3);
      const first = runLayers(this.branch1, halves[0], context);
      const second = runLayers(this.branch2, halves[1], context);
      const [b, h, w, c] = first.shape;
      // The channels of both in turn: two rows turned over. (A stack has a gradient that is slow on wasm.)
      const rows = tf.concat(
        [first, second].map((half) => half.reshape([1, -1])),
        0,
      );
      return tf.transpose(rows).reshape<tf.Tensor4D>([b, h, w, 2 * c]);
    });
  }
}

function convolution(
  options: { inChannels: number; outChannels: number; kernel: number; stride: 1 | 2 },
  random: Random,
): Layer[] {
  return [
    new Conv2d({ ...options, bias: false, initializer: kaimingNormal }, random),
    new BatchNorm2d({ channels: options.outChannels }),
  ];
}
