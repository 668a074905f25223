/** What a detector needs of its trunk, whichever network that is. */
import type { ForwardContext, Module } from '../../nn/module';
import type { Random } from '../../tensor/random';
import type { tf } from '../../tensor/tf';

/** A trunk that gives one map a stage, from fine to coarse. */
export interface Backbone extends Module {
  /** Channels of each stage's map. */
  readonly channels: readonly number[];
  /**
   * @param x `[B, H, W, 3]`, normalised.
   * @returns one `[B, H_i, W_i, channels[i]]` a stage; the caller disposes them.
   */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[];
  /** Cells a side of each stage's map for a square input of so many pixels, by the layers' own arithmetic. */
  mapSizes(inputSize: number): number[];
}

/** Makes a trunk, its first weights drawn from `random`. */
export type BackboneBuilder = (random: Random) => Backbone;
