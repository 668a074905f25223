/** One node of a feature network, with its parameters. */
import { BatchNorm2d, type BatchNorm2dOptions } from '../../nn/batch-norm';
import { Conv2d } from '../../nn/conv';
import { type ForwardContext, Module, parameter } from '../../nn/module';
import { ModuleDict } from '../../nn/module-dict';
import { SeparableConv2d } from '../../nn/separable-conv';
import { swish } from '../../tensor/kernels/activations';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import { attendMaps, fuseMaps, type FusionMethod } from './fusion';
import type { NeckNode } from './neck-graph';
import { Resample } from './resample';
import type { PoolPadding } from './resize-map';

/** What all nodes of a network share. */
export interface FusionNodeOptions {
  readonly channels: number;
  readonly fusion: FusionMethod;
  readonly norm: Omit<BatchNorm2dOptions, 'channels'>;
  readonly redundantBias: boolean;
  readonly padding: PoolPadding;
  readonly convolution: NodeConvolution;
}

/** The 3x3 convolution of a node: depthwise and 1x1, EfficientDet's, or a plain one, as NAS-FPN was released with. */
export type NodeConvolution = 'separable' | 'plain';

/** A map that a node takes: its number in the cell, inputs first, and its channels. */
export interface NodeInput {
  readonly number: number;
  readonly channels: number;
}

/** Resampling, each input's by its number, and the fusion's weights. */
class Combine extends Module {
  /** `[inputs]`, from 1; none for sums. */
  readonly edge_weights?: tf.Variable<tf.Rank.R1>;
  readonly resample: ModuleDict<Resample>;
  private readonly inputs: readonly NodeInput[];
  private readonly fusion: FusionMethod;
  private readonly attention: boolean;

  constructor(node: NeckNode, inputs: readonly NodeInput[], options: FusionNodeOptions, random: Random) {
    super();
    const { combine = 'fusion' } = node;
    this.inputs = inputs;
    this.fusion = combine === 'fusion' ? options.fusion : 'sum';
    this.attention = combine === 'attention';
    if (this.fusion !== 'sum') this.edge_weights = parameter(tf.ones<tf.Rank.R1>([inputs.length]));
    this.resample = new ModuleDict(
      Object.fromEntries(
        inputs.map(({ number, channels }) => [
          number,
          new Resample({ ...options, inChannels: channels, outChannels: options.channels }, random),
        ]),
      ),
    );
  }

  forward(
    maps: readonly tf.Tensor4D[],
    size: readonly [height: number, width: number],
    context: ForwardContext,
  ): tf.Tensor4D {
    const resampled = this.inputs.map(({ number }) =>
      this.resample.at(number).forward(maps[number], size, context),
    );
    return this.attention ? attendMaps(resampled) : fuseMaps(resampled, this.edge_weights, this.fusion);
  }
}

/** 3x3 -> batch norm. */
class PlainConv extends Module {
  readonly conv: Conv2d;
  readonly bn: BatchNorm2d;

  constructor({ channels, norm, redundantBias: bias }: FusionNodeOptions, random: Random) {
    super();
    this.conv = new Conv2d({ inChannels: channels, outChannels: channels, kernel: 3, bias }, random);
    this.bn = new BatchNorm2d({ channels, ...norm });
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => this.bn.forward(this.conv.forward(x, context), context));
  }
}

/** What follows the fusion. */
class AfterCombine extends Module {
  readonly conv: SeparableConv2d | PlainConv;

  constructor(options: FusionNodeOptions, random: Random) {
    super();
    const { channels, norm, redundantBias: bias, convolution } = options;
    this.conv =
      convolution === 'plain'
        ? new PlainConv(options, random)
        : new SeparableConv2d({ inChannels: channels, outChannels: channels, bias, norm }, random);
  }
}

/** resample -> fuse -> swish -> 3x3 -> batch norm: the activation stands before the convolution. The names are effdet's. */
export class FusionNode extends Module {
  readonly combine: Combine;
  readonly after_combine: AfterCombine;

  constructor(node: NeckNode, inputs: readonly NodeInput[], options: FusionNodeOptions, random: Random) {
    super();
    this.combine = new Combine(node, inputs, options, random);
    this.after_combine = new AfterCombine(options, random);
  }

  /**
   * @param maps of the cell by their numbers: its inputs, then the nodes that there are so far; not disposed.
   * @param size of the node's level. Returns `[B, ...size, channels]`; the caller disposes it.
   */
  forward(
    maps: readonly tf.Tensor4D[],
    size: readonly [height: number, width: number],
    context: ForwardContext,
  ): tf.Tensor4D {
    return tf.tidy(() => {
      const fused = this.combine.forward(maps, size, context);
      return this.after_combine.conv.forward(swish(fused), context);
    });
  }
}
