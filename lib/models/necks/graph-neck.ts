/**
 * A feature network that runs a graph, cell after cell: EfficientDet's BiFPN and what it is compared with (Tan et al., CVPR 2020, section
 * 3; the authors' release). The names of the layers are effdet's `BiFpn`'s.
 */
import type { BatchNorm2dOptions } from '../../nn/batch-norm';
import { efficientNetNorm } from '../../nn/mbconv';
import { type ForwardContext, Module } from '../../nn/module';
import { ModuleDict } from '../../nn/module-dict';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import type { FusionMethod } from './fusion';
import { FusionNode, type FusionNodeOptions, type NodeConvolution } from './fusion-node';
import { biFpn } from './graphs/bifpn';
import { checkNeckGraph, neckLevels, neckMaps, type NeckGraph } from './neck-graph';
import { Resample } from './resample';
import type { PoolPadding } from './resize-map';

/** Options of `GraphNeck`. */
export interface GraphNeckOptions {
  /** Channels of the trunk's maps, from the graph's finest level on. Coarser levels are made of the last one. */
  readonly inChannels: readonly number[];
  /** Channels of every map in the network. EfficientDet-D0: 64. */
  readonly channels: number;
  /** How often the graph is run, each time with parameters of its own. EfficientDet-D0: 3. */
  readonly cells: number;
  /** Default `biFpn()`, levels 3 to 7. */
  readonly graph?: NeckGraph;
  /** Default `fast`. */
  readonly fusion?: FusionMethod;
  /** Default EfficientNet's: epsilon 1e-3, momentum 0.99. */
  readonly norm?: Omit<BatchNorm2dOptions, 'channels'>;
  /** Biases before batch norms, without effect but on the number of parameters: the release has them (default), effdet's own nets not. */
  readonly redundantBias?: boolean;
  /** Of the max-pools. Default `same`, as released. */
  readonly padding?: PoolPadding;
  /** Of the nodes. Default `separable`. */
  readonly convolution?: NodeConvolution;
}

/** One run of the graph. */
class GraphCell extends Module {
  readonly fnode: FusionNode[];
  private readonly graph: NeckGraph;
  private readonly numbers: ReadonlyMap<string, number>;

  constructor(graph: NeckGraph, inChannels: readonly number[], options: FusionNodeOptions, random: Random) {
    super();
    this.graph = graph;
    this.numbers = new Map([...neckMaps(graph).keys()].map((name, number) => [name, number]));
    this.fnode = graph.nodes.map((node) => {
      const inputs = node.inputs.map((name) => {
        const number = this.numbers.get(name)!;
        return { number, channels: inChannels[number] ?? options.channels };
      });
      return new FusionNode(node, inputs, options, random);
    });
  }

  /** A map a level in, a map a level out. */
  forward(inputs: readonly tf.Tensor4D[], context: ForwardContext): tf.Tensor4D[] {
    const sizes = inputs.map(({ shape: [, height, width] }): [number, number] => [height, width]);
    const maps = [...inputs];
    this.fnode.forEach((node, i) => {
      maps.push(node.forward(maps, sizes[this.graph.nodes[i].level - this.graph.minLevel], context));
    });
    return this.graph.outputs.map((name) => maps[this.numbers.get(name)!]);
  }
}

/** The feature network. */
export class GraphNeck extends Module {
  /** What makes the levels that the trunk does not have, by their place from the finest one. */
  readonly resample: ModuleDict<Resample>;
  readonly cell: GraphCell[];
  readonly graph: NeckGraph;
  readonly channels: number;
  /** `channels`, as a feature pyramid calls them. */
  readonly outChannels: number;
  readonly fusion: FusionMethod;
  private readonly trunkLevels: number;
  private readonly extraLevels: number[];

  /** @throws RangeError for a graph that cannot be run, more maps than it has levels, an output that is the trunk's map, or no cells. */
  constructor(options: GraphNeckOptions, random: Random) {
    super();
    const { inChannels, channels, cells, graph = biFpn(), fusion = 'fast' } = options;
    const {
      norm = efficientNetNorm,
      redundantBias = true,
      padding = 'same',
      convolution = 'separable',
    } = options;
    checkNeckGraph(graph);
    const levels = neckLevels(graph).length;
    if (inChannels.length === 0 || inChannels.length > levels) {
      throw new RangeError(
        `GraphNeck: ${inChannels.length} maps for the levels ${graph.minLevel} to ${graph.maxLevel}; give the channels of 1 to ${levels}`,
      );
    }
    if (!(Number.isInteger(cells) && cells > 0)) {
      throw new RangeError(`GraphNeck: cells is ${cells}; give a whole number from 1`);
    }
    const inputs = [...neckMaps(graph).keys()].slice(0, inChannels.length);
    graph.outputs.forEach((name) => {
      const width = inChannels[inputs.indexOf(name)] ?? channels;
      if (width === channels) return;
      const level = neckMaps(graph).get(name)!;
      throw new RangeError(
        `GraphNeck: the output "${name}" of "${graph.name}" is the trunk's map, of ${width} channels instead of ${channels}; ` +
          `give it a node: { name: '${name} out', level: ${level}, inputs: ['${name}'] }`,
      );
    });
    this.graph = graph;
    this.channels = channels;
    this.outChannels = channels;
    this.fusion = fusion;
    this.trunkLevels = inChannels.length;
    this.extraLevels = Array.from({ length: levels - inChannels.length }, (_, i) => inChannels.length + i);
    const shared: FusionNodeOptions = { channels, fusion, norm, redundantBias, padding, convolution };
    const last = inChannels[inChannels.length - 1];
    this.resample = new ModuleDict(
      Object.fromEntries(
        this.extraLevels.map((place, i) => [
          place,
          new Resample({ ...shared, inChannels: i === 0 ? last : channels, outChannels: channels }, random),
        ]),
      ),
    );
    const widths = [...inChannels, ...this.extraLevels.map(() => channels)];
    this.cell = Array.from(
      { length: cells },
      (_, i) => new GraphCell(graph, i === 0 ? widths : widths.map(() => channels), shared, random),
    );
  }

  /**
   * @param maps the trunk's, from fine to coarse, each half as large as the one before: `[B, H_i, W_i, inChannels[i]]`; not disposed.
   * @returns `[B, H_i, W_i, channels]` a level of the graph; the caller disposes them.
   */
  forward(maps: readonly tf.Tensor4D[], context: ForwardContext): tf.Tensor4D[] {
    if (maps.length !== this.trunkLevels) {
      throw new RangeError(`GraphNeck: ${maps.length} maps for a network that takes ${this.trunkLevels}`);
    }
    return tf.tidy(() => {
      const levels = [...maps];
      for (const place of this.extraLevels) {
        const above = levels[levels.length - 1];
        const half = (side: number): number => Math.ceil(side / 2);
        const [, height, width] = above.shape;
        levels.push(this.resample.at(place).forward(above, [half(height), half(width)], context));
      }
      return this.cell.reduce<tf.Tensor4D[]>((y, cell) => cell.forward(y, context), levels);
    });
  }

  /** Cells a side of every level, for the trunk's sizes: see `Backbone.mapSizes`. */
  mapSizes(trunk: readonly number[]): number[] {
    const sizes = [...trunk];
    for (let i = 0; i < this.extraLevels.length; i++) sizes.push(Math.ceil(sizes[sizes.length - 1] / 2));
    return sizes;
  }
}
