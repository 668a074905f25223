/** What each choice of a search space costs: a sum over blocks, so that an architecture's cost is a few additions, not a network. */
import { type Architecture, checkArchitecture, type SearchSpace } from '../models/architecture';
import {
  detNasBlocks,
  detNasMapSizes,
  type DetNasSize,
  detNasSpace,
  detNasStem,
} from '../models/backbones/detnas';
import { type ForwardContext, Module } from '../nn/module';
import { type Layer, runLayers } from '../nn/sequential';
import { ShuffleBlock, shuffleBlockKinds } from '../nn/shuffle-block';
import { summarize } from '../nn/summary';
import { zeroRandom } from '../tensor/random';
import type { tf } from '../tensor/tf';

/** What a network, or a part of one, costs. */
export interface PathCost {
  /** Of one image, as `summarize` counts them. */
  readonly multiplyAdds: number;
  /** Numbers that training updates. */
  readonly parameters: number;
}

/** The costs of a space. */
export interface PathCosts {
  readonly space: SearchSpace;
  /** What every architecture has. */
  readonly fixed: PathCost;
  /** `blocks[block][choice]`. */
  readonly blocks: readonly (readonly PathCost[])[];
}

/** The cost of an architecture: exactly what its network has. @throws RangeError on one that the space does not have. */
export function pathCost({ space, fixed, blocks }: PathCosts, architecture: Architecture): PathCost {
  checkArchitecture('pathCost', architecture, space);
  let { multiplyAdds, parameters } = fixed;
  architecture.forEach((choice, block) => {
    multiplyAdds += blocks[block][choice].multiplyAdds;
    parameters += blocks[block][choice].parameters;
  });
  return { multiplyAdds, parameters };
}

/** The least and the most that an architecture of the space can cost, each by itself. */
export function pathCostRange({ fixed, blocks }: PathCosts): {
  readonly least: PathCost;
  readonly most: PathCost;
} {
  const extreme = (pick: (...values: number[]) => number): PathCost => {
    const sum = (of: keyof PathCost): number =>
      blocks.reduce((total, choices) => total + pick(...choices.map((cost) => cost[of])), fixed[of]);
    return { multiplyAdds: sum('multiplyAdds'), parameters: sum('parameters') };
  };
  return { least: extreme(Math.min), most: extreme(Math.max) };
}

/**
 * The costs of DetNAS's space, of the trunk alone: what the paper's limit is about. Each kind of unit is built once at each place and counted
 * by a forward pass.
 * @param inputSize side of the square image, pixels; the paper's limit is at 224.
 */
export function detNasCosts(size: DetNasSize, inputSize: number = 224): PathCosts {
  const sides = detNasMapSizes(size, inputSize);
  const stemSide = Math.ceil(inputSize / 2);
  const known = new Map<string, PathCost>();
  const blocks = detNasBlocks(size).map(({ stage, inChannels, outChannels, stride }) => {
    const side = stride === 1 ? sides[stage] : stage === 0 ? stemSide : sides[stage - 1];
    return shuffleBlockKinds.map((kind) => {
      const key = `${stage} ${stride} ${kind}`;
      const cost =
        known.get(key) ??
        layersCost(
          [new ShuffleBlock({ inChannels, outChannels, stride, kind }, zeroRandom)],
          [side, side, inChannels],
        );
      known.set(key, cost);
      return cost;
    });
  });
  const fixed = layersCost(detNasStem(size, zeroRandom), [inputSize, inputSize, 3]);
  return { space: detNasSpace(size), fixed, blocks };
}

function layersCost(layers: readonly Layer[], shape: readonly [number, number, number]): PathCost {
  const part = new Part(layers);
  const { multiplyAdds, parameters } = summarize(part, shape);
  part.dispose();
  return { multiplyAdds, parameters };
}

/** Layers on their own. */
class Part extends Module {
  constructor(readonly layers: readonly Layer[]) {
    super();
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return runLayers(this.layers, x, context);
  }
}
