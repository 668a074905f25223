/** Convolution, batch normalisation if wanted, ReLU: the unit that VGG and SSD are made of. */
import { relu } from '../tensor/kernels/activations';
import type { Random } from '../tensor/random';
import { tf } from '../tensor/tf';
import { BatchNorm2d, type BatchNorm2dOptions } from './batch-norm';
import { Conv2d, type Conv2dOptions } from './conv';
import { type ForwardContext, Module } from './module';

/** Options of `ConvBlock`. */
export interface ConvBlockOptions extends Omit<Conv2dOptions, 'bias'> {
  /** Normalise between convolution and ReLU; the convolution then has no bias of its own. Default false. */
  readonly batchNorm?: boolean;
  readonly normOptions?: Omit<BatchNorm2dOptions, 'channels'>;
  /** Default true. */
  readonly activation?: boolean;
}

/** conv -> [batch norm] -> [ReLU]. */
export class ConvBlock extends Module {
  readonly conv: Conv2d;
  readonly bn?: BatchNorm2d;
  readonly activation: boolean;

  constructor(options: ConvBlockOptions, random: Random) {
    super();
    const { batchNorm = false, normOptions, activation = true, ...conv } = options;
    this.conv = new Conv2d({ ...conv, bias: !batchNorm }, random);
    if (batchNorm) this.bn = new BatchNorm2d({ channels: options.outChannels, ...normOptions });
    this.activation = activation;
  }

  /** @param x `[B, H, W, in]`. Returns `[B, H', W', out]`; the caller disposes it. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => {
      let y = this.conv.forward(x, context);
      if (this.bn) y = this.bn.forward(y, context);
      return this.activation ? relu(y) : y;
    });
  }
}
