/** What every optimiser is to the training loop: parameters, one update at a time, and a state that can be saved. */
import type { NamedVariable } from '../nn/module';
import type { tf } from '../tensor/tf';

/** Updates parameters in place by their gradients, at a learning rate that is given anew at each step. */
export interface Optimizer {
  /** What it updates, in the order in which `step` takes the gradients. */
  readonly parameters: readonly NamedVariable[];
  /**
   * One update in place.
   * @param gradients one a parameter, in the parameters' order; the caller disposes them.
   * @param rate the learning rate of this step; a scalar tensor where the step is compiled, so that it can change.
   */
  step(gradients: readonly tf.Tensor[], rate: number | tf.Scalar): void;
  /**
   * All the state besides the parameters, named for a state dictionary: `<parameter>.momentum_buffer`. Assigning these
   * variables another run's values continues that run.
   */
  slots(): NamedVariable[];
  /** Releases the slots; the parameters stay. */
  dispose(): void;
}

/**
 * Where weight decay acts: `l2` adds decay * w to the gradient, so that momentum and moments see it; `decoupled` shrinks the
 * weight itself, w <- (1 - rate * decay) w, before the step (Loshchilov and Hutter, arXiv 1711.05101).
 */
export type WeightDecayKind = 'l2' | 'decoupled';

/** The usual choice of what decays: parameters with more than one dimension, so neither biases nor normalisation. */
export function decaysByDefault({ variable }: NamedVariable): boolean {
  return variable.rank > 1;
}
