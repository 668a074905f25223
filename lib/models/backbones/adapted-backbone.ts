/** A trunk with residual adapters in it (arXiv 2204.00484): frozen, it can still be bent to another task by a few weights. */
import { contextFor } from '../../nn/freeze';
import { type ForwardContext, Module } from '../../nn/module';
import { ResidualAdapter } from '../../nn/residual-adapter';
import type { MapLayer } from '../../nn/run-segments';
import { runLayers } from '../../nn/sequential';
import { offTape } from '../../tensor/gradient-tape';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import type { Backbone } from './backbone';

/** A trunk that is a chain of layers a stage, each stage made of the map of the one before. */
export interface ChainedBackbone extends Backbone {
  /** The layers in their order, a chain a stage; what stands before the first stage belongs to it. */
  chains(): MapLayer[][];
}

/** Options of `AdaptedBackbone`. */
export interface AdaptedBackboneOptions {
  /** Width of an adapter's bottleneck, as a share of its stage's channels. Default 1/4; the paper's was not found. */
  readonly ratio?: number;
}

/**
 * The trunk, and an adapter behind each of its stages: the next stage works on what the adapter makes of the map. As it begins, it gives the
 * trunk's own maps. Frozen, the trunk keeps nothing of its first stage for a gradient, but the map that its adapter takes; of the others it
 * keeps what the way back to the adapters needs: where activations were cut off, and no more.
 */
export class AdaptedBackbone extends Module implements Backbone {
  readonly trunk: ChainedBackbone;
  readonly adapters: ResidualAdapter[];
  readonly channels: readonly number[];

  /** @throws RangeError for a ratio that is not above 0. */
  constructor(trunk: ChainedBackbone, { ratio = 0.25 }: AdaptedBackboneOptions, random: Random) {
    super();
    if (!(ratio > 0 && ratio < Infinity)) {
      throw new RangeError(
        `AdaptedBackbone: ratio is ${ratio}; give a share of the channels above 0, such as 0.25`,
      );
    }
    this.trunk = trunk;
    this.channels = trunk.channels;
    this.adapters = trunk.channels.map(
      (channels) =>
        new ResidualAdapter({ channels, hidden: Math.max(1, Math.round(ratio * channels)) }, random),
    );
  }

  /** @param x `[B, H, W, 3]`. Returns one `[B, H_i, W_i, channels[i]]` a stage; the caller disposes them. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    const own = contextFor(this.trunk, context);
    const frozen = own !== context;
    return tf.tidy(() => {
      let y = x;
      return this.trunk.chains().map((chain, stage) => {
        const run = (): tf.Tensor4D => runLayers(chain, y, own);
        const map = frozen && stage === 0 ? offTape(run).clone() : run();
        return (y = this.adapters[stage].forward(map, context));
      });
    });
  }

  mapSizes(inputSize: number): number[] {
    return this.trunk.mapSizes(inputSize);
  }
}
