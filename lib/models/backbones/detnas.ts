/**
 * The networks of DetNAS's search space (Chen et al., NeurIPS 2019, section 3.1): a 3x3 convolution of stride 2, then four stages of shuffle
 * units, the first of each with stride 2, and every unit one of four kinds.
 */
import { BatchNorm2d } from '../../nn/batch-norm';
import { Conv2d } from '../../nn/conv';
import { kaimingNormal } from '../../nn/initializers';
import { type ForwardContext, Module } from '../../nn/module';
import { type Layer, Relu, runLayers } from '../../nn/sequential';
import { ShuffleBlock, shuffleBlockKinds } from '../../nn/shuffle-block';
import { type Architecture, checkArchitecture, type SearchSpace } from '../architecture';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import type { Backbone } from './backbone';

/** The size of a network, whatever its units are. */
export interface DetNasSize {
  /** Channels of the first convolution. */
  readonly stem: number;
  /** Channels of each stage, even and growing. */
  readonly widths: readonly number[];
  /** Units of each stage. */
  readonly blocks: readonly number[];
  /** Channels of the 1x1 convolution before the classifier, which is no part of the trunk. */
  readonly last: number;
}

/**
 * The released sizes: the space of "300M", of "1.3G", and the latter 1.8 times as wide, in which the paper did not search. For "3.8G" the
 * released code has 1728 channels before the classifier; the parameters that were published with it fit 1024.
 */
export const detNasSizes: Readonly<Record<'small' | 'large' | 'x1.8', DetNasSize>> = {
  small: { stem: 16, widths: [64, 160, 320, 640], blocks: [4, 4, 8, 4], last: 1024 },
  large: { stem: 48, widths: [96, 240, 480, 960], blocks: [8, 8, 16, 8], last: 1024 },
  'x1.8': { stem: 72, widths: [172, 432, 864, 1728], blocks: [8, 8, 16, 8], last: 1728 },
};

/** A block's place in the network. */
export interface DetNasBlock {
  readonly stage: number;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly stride: 1 | 2;
}

/** The blocks of a size, in the order in which they run. */
export function detNasBlocks({ stem, widths, blocks }: DetNasSize): DetNasBlock[] {
  if (widths.length !== blocks.length) {
    throw new RangeError(`DetNAS: ${widths.length} widths for ${blocks.length} stages; give one a stage`);
  }
  return widths.flatMap((outChannels, stage) =>
    Array.from({ length: blocks[stage] }, (_, block): DetNasBlock => {
      const first = block === 0;
      const before = stage === 0 ? stem : widths[stage - 1];
      return { stage, inChannels: first ? before : outChannels, outChannels, stride: first ? 2 : 1 };
    }),
  );
}

/** Every block of a size has the four kinds of unit to choose from. */
export function detNasSpace({ blocks }: Pick<DetNasSize, 'blocks'>): SearchSpace {
  const count = blocks.reduce((sum, stage) => sum + stage, 0);
  return { choices: new Array<number>(count).fill(shuffleBlockKinds.length), stages: blocks };
}

/** The first convolution, which is not searched. Numbered as a PyTorch `Sequential`, the activation counted. */
export function detNasStem({ stem }: Pick<DetNasSize, 'stem'>, random: Random): Layer[] {
  return [
    new Conv2d(
      { inChannels: 3, outChannels: stem, kernel: 3, stride: 2, bias: false, initializer: kaimingNormal },
      random,
    ),
    new BatchNorm2d({ channels: stem }),
    new Relu(),
  ];
}

/** Cells a side of each stage's map; an odd size is halved upwards. */
export function detNasMapSizes({ blocks }: Pick<DetNasSize, 'blocks'>, inputSize: number): number[] {
  let size = Math.ceil(inputSize / 2);
  return blocks.map(() => (size = Math.ceil(size / 2)));
}

/** Runs a trunk of the space: one map a stage; the caller disposes them. */
export function detNasMaps(
  trunk: { readonly first_conv: readonly Layer[]; readonly stages: readonly (readonly Layer[])[] },
  x: tf.Tensor4D,
  context: ForwardContext,
): tf.Tensor4D[] {
  return tf.tidy(() => {
    let y = runLayers(trunk.first_conv, x, context);
    return trunk.stages.map((stage) => (y = runLayers(stage, y, context)));
  });
}

/** One network of the space: maps at strides 4, 8, 16 and 32. Units are named by stage and number: `stages.2.0`, … */
export class DetNasNet extends Module implements Backbone {
  readonly first_conv: Layer[];
  readonly stages: ShuffleBlock[][];
  readonly channels: readonly number[];
  readonly size: DetNasSize;
  readonly architecture: Architecture;

  /** @throws RangeError for an architecture that the size's space does not have, and for widths that can't be split or joined. */
  constructor(size: DetNasSize, architecture: Architecture, random: Random) {
    super();
    checkArchitecture('DetNasNet', architecture, detNasSpace(size));
    this.size = size;
    this.architecture = [...architecture];
    this.channels = size.widths;
    this.first_conv = detNasStem(size, random);
    this.stages = size.blocks.map(() => []);
    detNasBlocks(size).forEach(({ stage, ...block }, i) => {
      this.stages[stage].push(
        new ShuffleBlock({ ...block, kind: shuffleBlockKinds[architecture[i]] }, random),
      );
    });
  }

  /** @param x `[B, H, W, 3]`. Returns one `[B, H_i, W_i, channels[i]]` a stage; the caller disposes them. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    return detNasMaps(this, x, context);
  }

  mapSizes(inputSize: number): number[] {
    return detNasMapSizes(this.size, inputSize);
  }
}
