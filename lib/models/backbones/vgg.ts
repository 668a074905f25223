/**
 * VGG trunks (Simonyan and Zisserman, ICLR 2015) as SSD uses them (Liu et al., ECCV 2016, section 2.1): stages of 3x3
 * convolutions with a 2x2 max-pool between, the fully connected layers replaced by a dilated 3x3 and a 1x1 convolution.
 */
import { BatchNorm2d } from '../../nn/batch-norm';
import { ConvBlock } from '../../nn/conv-block';
import { type ForwardContext, Module } from '../../nn/module';
import { relu } from '../../tensor/kernels/activations';
import { maxPool2d, type MaxPoolOptions } from '../../tensor/kernels/pool';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import type { Backbone } from './backbone';

/** What a VGG trunk is made of. */
export interface VggConfig {
  /** Channels of each 3x3 convolution, stage by stage; a 2x2 max-pool of stride 2 (rounding up) stands between stages. */
  readonly stages: readonly (readonly number[])[];
  /** SSD's fc6 and fc7: a 3x3 max-pool of stride 1, a dilated 3x3 and a 1x1 convolution, both with `channels` channels. */
  readonly atrous?: { readonly channels: number; readonly dilation: number };
  /** Normalise after every convolution (ScratchDet, section 3.2). */
  readonly batchNorm: boolean;
  /**
   * Where there is batch norm: a batch norm and a ReLU after every max-pool, too. ScratchDet's released Caffe model (`VGGNetBNBody`) has
   * them, its text does not. Default false: the text's.
   */
  readonly poolNorm?: boolean;
}

/** A VGG trunk. `forward` gives the output of every stage before the pool that follows it. */
export class Vgg extends Module implements Backbone {
  readonly stages: ConvBlock[][];
  readonly atrous?: ConvBlock[];
  /** What `poolNorm` adds, one a max-pool. */
  readonly poolNorms?: BatchNorm2d[];
  readonly channels: readonly number[];

  constructor(config: VggConfig, random: Random) {
    super();
    const { batchNorm } = config;
    let inChannels = 3;
    this.stages = config.stages.map((widths) =>
      widths.map((outChannels) => {
        const block = new ConvBlock({ inChannels, outChannels, kernel: 3, batchNorm }, random);
        inChannels = outChannels;
        return block;
      }),
    );
    if (config.atrous) {
      const { channels, dilation } = config.atrous;
      this.atrous = [
        new ConvBlock({ inChannels, outChannels: channels, kernel: 3, dilation, batchNorm }, random),
        new ConvBlock({ inChannels: channels, outChannels: channels, kernel: 1, batchNorm }, random),
      ];
    }
    if (batchNorm && config.poolNorm) {
      const pooled = config.atrous ? config.stages : config.stages.slice(0, -1);
      this.poolNorms = pooled.map((widths) => new BatchNorm2d({ channels: widths[widths.length - 1] }));
    }
    this.channels = config.stages.map((widths, index) =>
      config.atrous && index === config.stages.length - 1
        ? config.atrous.channels
        : widths[widths.length - 1],
    );
  }

  /**
   * @param x `[B, H, W, 3]`.
   * @returns one map a stage, `[B, ceil(H / 2^i), ceil(W / 2^i), C_i]`, the last with fc6 and fc7 applied where the trunk has
   *   them. The caller disposes them.
   */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    return tf.tidy(() => {
      const maps: tf.Tensor4D[] = [];
      const pool = (map: tf.Tensor4D, number: number, options: MaxPoolOptions): tf.Tensor4D => {
        const pooled = maxPool2d(map, options);
        return this.poolNorms ? relu(this.poolNorms[number].forward(pooled, context)) : pooled;
      };
      let y = x;
      this.stages.forEach((stage, index) => {
        if (index > 0) y = pool(y, index - 1, { kernel: 2, stride: 2, ceil: true });
        for (const block of stage) y = block.forward(y, context);
        maps.push(y);
      });
      if (this.atrous) {
        y = pool(y, this.stages.length - 1, { kernel: 3, stride: 1, padding: 1 });
        for (const block of this.atrous) y = block.forward(y, context);
        maps[maps.length - 1] = y;
      }
      return maps;
    });
  }

  /** Cells a side of each stage's map: halving an odd size rounds up each time. */
  mapSizes(inputSize: number): number[] {
    return this.stages.map((_, index) => Math.ceil(inputSize / 2 ** index));
  }
}
