/** Residual adapters (Rebuffi, Bilen and Vedaldi, NeurIPS 2017): a few trained weights inside a network that is not. */
import { relu } from '../tensor/kernels/activations';
import { sumOf } from '../tensor/kernels/linear';
import type { Random } from '../tensor/random';
import { tf } from '../tensor/tf';
import { Conv2d } from './conv';
import { kaimingNormalFanOut, zeros } from './initializers';
import { type ForwardContext, Module } from './module';

/** Options of `ResidualAdapter`. */
export interface ResidualAdapterOptions {
  readonly channels: number;
  /** Width of the bottleneck, channels. */
  readonly hidden: number;
}

/**
 * `h' = h + A(h)`, arXiv 2204.00484's form. `A` is a 1x1 convolution to `hidden` channels, ReLU, and a 1x1 convolution back: what is inside was not
 * found in the paper's accounts and is the common bottleneck (Houlsby et al., ICML 2019, section 2.1). The second one begins with zeros,
 * so that the network begins as it was.
 */
export class ResidualAdapter extends Module {
  readonly down: Conv2d;
  readonly up: Conv2d;

  constructor({ channels, hidden }: ResidualAdapterOptions, random: Random) {
    super();
    this.down = new Conv2d(
      { inChannels: channels, outChannels: hidden, kernel: 1, initializer: kaimingNormalFanOut },
      random,
    );
    this.up = new Conv2d(
      { inChannels: hidden, outChannels: channels, kernel: 1, initializer: zeros },
      random,
    );
  }

  /** @param h `[B, H, W, C]`. Returns the same shape; the caller disposes it. */
  forward(h: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => sumOf([h, this.up.forward(relu(this.down.forward(h, context)), context)]));
  }
}
