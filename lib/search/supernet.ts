/** A network that holds every network of DetNAS's space at once: each block has all its choices, and a path says which one runs. */
import { type Architecture, checkArchitecture, type SearchSpace } from '../models/architecture';
import type { Backbone } from '../models/backbones/backbone';
import {
  detNasBlocks,
  detNasMaps,
  detNasMapSizes,
  DetNasNet,
  type DetNasSize,
  detNasSpace,
  detNasStem,
} from '../models/backbones/detnas';
import { copyWeights } from '../nn/copy-weights';
import { type ForwardContext, Module } from '../nn/module';
import type { Layer } from '../nn/sequential';
import { ShuffleBlock, shuffleBlockKinds } from '../nn/shuffle-block';
import { choose } from '../tensor/compile/choose';
import { type Random, zeroRandom } from '../tensor/random';
import { tf } from '../tensor/tf';

/** All choices of a block, of which `context.path` takes one. */
class ChoiceBlock extends Module implements Layer {
  readonly choices: ShuffleBlock[];

  /** @param position of the block in the path. */
  constructor(
    private readonly position: number,
    choices: ShuffleBlock[],
  ) {
    super();
    this.choices = choices;
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    const { path } = context;
    if (!path) {
      throw new Error(
        'DetNasSupernet: a path says which choice each block takes; give the forward pass `context.path`, an int32 tensor of one number a block',
      );
    }
    return choose(
      path,
      this.position,
      x,
      this.choices.map((block) => (input: tf.Tensor4D) => block.forward(input, context)),
    );
  }
}

/**
 * The supernet of a size (DetNAS, section 3.2): maps at strides 4, 8, 16 and 32 of the path that `context.path` takes. In a compiled step all paths
 * are one graph, and a run computes, differentiates and updates the taken one alone (`choose`); train with `partial`.
 *
 * Choices are named by stage, block and kind: `stages.2.0.choices.3`, …
 */
export class DetNasSupernet extends Module implements Backbone {
  readonly first_conv: Layer[];
  readonly stages: ChoiceBlock[][];
  readonly channels: readonly number[];
  readonly size: DetNasSize;

  constructor(size: DetNasSize, random: Random) {
    super();
    this.size = size;
    this.channels = size.widths;
    this.first_conv = detNasStem(size, random);
    this.stages = size.blocks.map(() => []);
    detNasBlocks(size).forEach(({ stage, ...block }, position) => {
      const choices = shuffleBlockKinds.map((kind) => new ShuffleBlock({ ...block, kind }, random));
      this.stages[stage].push(new ChoiceBlock(position, choices));
    });
  }

  get space(): SearchSpace {
    return detNasSpace(this.size);
  }

  /**
   * @param x `[B, H, W, 3]`. Returns one `[B, H_i, W_i, channels[i]]` a stage; the caller disposes them.
   * @throws Error without a path, RangeError for one that takes a choice that there is not.
   */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    return detNasMaps(this, x, context);
  }

  mapSizes(inputSize: number): number[] {
    return detNasMapSizes(this.size, inputSize);
  }

  /** The network of one path on its own, with the weights and statistics that it has here. */
  extract(architecture: Architecture): DetNasNet {
    const net = new DetNasNet(this.size, architecture, zeroRandom);
    this.first_conv.forEach((layer, i) => copyWeights(layer, net.first_conv[i]));
    let position = 0;
    this.stages.forEach((stage, i) =>
      stage.forEach(({ choices }, block) =>
        copyWeights(choices[architecture[position++]], net.stages[i][block]),
      ),
    );
    return net;
  }
}

/** An architecture as `context.path` takes it: int32 `[blocks]`, which the caller disposes. @throws RangeError on one that the space lacks. */
export function pathTensor(architecture: Architecture, space: SearchSpace): tf.Tensor1D {
  checkArchitecture('pathTensor', architecture, space);
  return tf.tensor1d([...architecture], 'int32');
}
