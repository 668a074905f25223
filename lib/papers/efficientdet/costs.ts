/**
 * What an EfficientDet costs, from its plan alone: nothing is built and nothing computed, so that D7x takes no longer than D0.
 *
 * Counted as `summarize` counts: parameters are what training updates, normalisation included; multiply-adds those of convolutions, for one
 * image. (The published figures come from a profiler that counts more, by 0.6 to 2 %.)
 */
import {
  type EfficientNetConfig,
  efficientNetStages,
  scaledChannels,
} from '../../models/backbones/efficientnet';
import { neckGraphs } from '../../models/necks/neck-graphs';
import { neckLevels, neckMaps } from '../../models/necks/neck-graph';
import type { EfficientDetPlan } from './networks';

/** Numbers that training updates, and multiply-adds for one image. */
export interface Cost {
  readonly parameters: number;
  readonly multiplyAdds: number;
}

/** The parts' costs, their sum, and the anchors that are predicted for. */
export interface EfficientDetCosts {
  readonly backbone: Cost;
  readonly neck: Cost;
  readonly heads: Cost;
  readonly total: Cost;
  readonly anchors: number;
}

/** Anchors a cell: three sizes an octave, three shapes. */
const anchorsPerCell = 9;

/** Costs of a plan for a number of classes; the published figures are for 90. */
export function efficientDetCosts(plan: EfficientDetPlan, classes: number = 90): EfficientDetCosts {
  const { inputSize, trunk, maxLevel = 7 } = plan;
  const { cost: backbone, channels } = trunkCosts(trunk, inputSize);
  const cells = neckLevels({ minLevel: 3, maxLevel }).map((level) => Math.ceil(inputSize / 2 ** level) ** 2);
  const neck = neckCosts(plan, channels.slice(-3), cells);
  const heads = sum(
    [anchorsPerCell * classes, anchorsPerCell * 4].map((outputs) => headCosts(plan, outputs, cells)),
  );
  return {
    backbone,
    neck,
    heads,
    total: sum([backbone, neck, heads]),
    anchors: anchorsPerCell * cells.reduce((total, count) => total + count, 0),
  };
}

function sum(costs: readonly Cost[]): Cost {
  return {
    parameters: costs.reduce((total, { parameters }) => total + parameters, 0),
    multiplyAdds: costs.reduce((total, { multiplyAdds }) => total + multiplyAdds, 0),
  };
}

/** A convolution with so many weights, run on so many output cells; a depthwise one has a window a channel. */
function conv(weights: number, cells: number, bias: number = 0): Cost {
  return { parameters: weights + bias, multiplyAdds: weights * cells };
}

/** Scale and shift of every channel. */
function norm(channels: number): Cost {
  return { parameters: 2 * channels, multiplyAdds: 0 };
}

/** Depthwise 3x3, then 1x1. */
function separable(from: number, to: number, cells: number, bias: boolean): Cost[] {
  return [conv(9 * from, cells), conv(from * to, cells, bias ? to : 0)];
}

/** An EfficientNet without its classifier, for a square input; channels of its maps of each size. */
function trunkCosts(config: EfficientNetConfig, inputSize: number): { cost: Cost; channels: number[] } {
  const { width, depth, stages = efficientNetStages, stem = 32 } = config;
  let from = scaledChannels(stem, width);
  let side = Math.ceil(inputSize / 2);
  const parts: Cost[] = [conv(27 * from, side ** 2), norm(from)];
  const channels: number[] = [];
  for (const stage of stages) {
    // The last map of a size is the one before the next halving.
    if (stage.stride === 2) channels.push(from);
    const to = scaledChannels(stage.channels, width);
    for (let block = 0; block < Math.ceil(stage.repeats * depth); block++) {
      const inner = from * stage.expand;
      const squeezed = Math.max(1, Math.floor(from / 4));
      if (stage.expand !== 1) parts.push(conv(from * inner, side ** 2), norm(inner));
      if (block === 0) side = Math.ceil(side / stage.stride);
      parts.push(conv(stage.kernel ** 2 * inner, side ** 2), norm(inner));
      parts.push(conv(inner * squeezed, 1, squeezed), conv(squeezed * inner, 1, inner));
      parts.push(conv(inner * to, side ** 2), norm(to));
      from = to;
    }
  }
  return { cost: sum(parts), channels: [...channels, from] };
}

/** @param inChannels of the trunk's maps. @param cells of every level's map. */
function neckCosts(plan: EfficientDetPlan, inChannels: readonly number[], cells: readonly number[]): Cost {
  const { channels, redundantBias = true, fusion = 'fast', neck = 'bifpn', maxLevel = 7 } = plan;
  const graph = neckGraphs[neck](3, maxLevel);
  const levels = neckMaps(graph);
  const lateral = (from: number, count: number): Cost[] =>
    from === channels ? [] : [conv(from * channels, count, redundantBias ? channels : 0), norm(channels)];
  const last = inChannels.length - 1;
  const parts: Cost[] = cells.length > inChannels.length ? lateral(inChannels[last], cells[last]) : [];
  const inputs = new Map(
    [...levels.keys()].slice(0, inChannels.length).map((name, i) => [name, inChannels[i]]),
  );
  for (let cell = 0; cell < plan.cells; cell++) {
    for (const node of graph.nodes) {
      for (const input of node.inputs) {
        const own = cell === 0 ? inputs.get(input) : undefined;
        if (own !== undefined) parts.push(...lateral(own, cells[levels.get(input)! - graph.minLevel]));
      }
      const weights = fusion !== 'sum' && (node.combine ?? 'fusion') === 'fusion' ? node.inputs.length : 0;
      parts.push({ parameters: weights, multiplyAdds: 0 }, norm(channels));
      parts.push(...separable(channels, channels, cells[node.level - graph.minLevel], redundantBias));
    }
  }
  return sum(parts);
}

/** One tower with its prediction, which all levels share but for the batch norms. */
function headCosts(plan: EfficientDetPlan, outputs: number, cells: readonly number[]): Cost {
  const { channels, headDepth, redundantBias = true } = plan;
  const all = cells.reduce((total, count) => total + count, 0);
  const parts = separable(channels, outputs, all, true);
  for (let layer = 0; layer < headDepth; layer++) {
    parts.push(...separable(channels, channels, all, redundantBias), ...cells.map(() => norm(channels)));
  }
  return sum(parts);
}
