/** What every optimiser is to the training loop: parameters, one update at a time, and a state that can be saved. */
import type { NamedVariable } from '../nn/module';
import type { tf } from '../tensor/tf';

/** Updates parameters in place by their gradients, at a learning rate that is given anew at each step. */
export interface Optimizer {
  /** What it updates, in the order in which `step` takes the gradients. */
  readonly parameters: readonly NamedVariable[];
  /**
   * Its kind and its options as plain values. A run that is resumed with others is refused; without them only the optimizer's class
   * and slots are compared.
   */
  readonly settings?: Readonly<Record<string, unknown>>;
  /**
   * One update in place.
   * @param gradients one a parameter, in the parameters' order; the caller disposes them. A parameter without one is left as it is: no decay, no
   *   momentum.
   * @param rate the learning rate of this step; a scalar tensor where the step is compiled, so that it can change.
   */
  step(gradients: readonly (tf.Tensor | undefined)[], rate: number | tf.Scalar): void;
  /**
   * All the state besides the parameters, named for a state dictionary: `<parameter>.momentum_buffer`. Assigning these
   * variables another run's values continues that run.
   */
  slots(): NamedVariable[];
  /** Releases the slots; the parameters stay. */
  dispose(): void;
}

/** What all optimisers let a user choose for each parameter. */
export interface ParameterOptions {
  /** Which parameters decay. Default: those with more than one dimension, so neither biases nor normalisation. */
  readonly decays?: (parameter: NamedVariable) => boolean;
  /**
   * What a parameter's learning rate is multiplied by (PyTorch's `lr` of a parameter group, Caffe's `lr_mult`), e.g. 2 for biases as
   * in Caffe's SSD. 0 freezes the parameter: the optimiser does not hold it, no gradient of it is taken, and it does not decay. (A
   * frozen layer's batch normalisation still gathers running statistics.) Default: 1 for all.
   */
  readonly rateFactor?: (parameter: NamedVariable) => number;
}

/** A parameter that an optimiser holds. */
export interface ParameterGroup {
  readonly parameter: NamedVariable;
  readonly decays: boolean;
  readonly rateFactor: number;
}

/**
 * The parameters that are not frozen, each with what was chosen for it.
 * @throws RangeError naming the parameter whose factor is no number from 0.
 */
export function parameterGroups(
  optimizer: string,
  parameters: readonly NamedVariable[],
  { decays = decaysByDefault, rateFactor = () => 1 }: ParameterOptions,
): ParameterGroup[] {
  const groups = parameters.map((parameter) => ({
    parameter,
    decays: decays(parameter),
    rateFactor: rateFactor(parameter),
  }));
  for (const { parameter, rateFactor: factor } of groups) {
    if (factor >= 0 && factor < Infinity) continue;
    throw new RangeError(
      `${optimizer}: the rateFactor of ${parameter.name} must be a number from 0, got ${factor}`,
    );
  }
  return groups.filter(({ rateFactor: factor }) => factor > 0);
}

/** The groups as part of an optimiser's settings: what is not the same for all, by name. */
export function groupSettings(groups: readonly ParameterGroup[]): Record<string, unknown> {
  const named = (wanted: (group: ParameterGroup) => boolean): ParameterGroup[] => groups.filter(wanted);
  return {
    parameters: groups.map(({ parameter }) => parameter.name),
    decays: named(({ decays }) => decays).map(({ parameter }) => parameter.name),
    rateFactors: Object.fromEntries(
      named(({ rateFactor }) => rateFactor !== 1).map(({ parameter, rateFactor }) => [
        parameter.name,
        rateFactor,
      ]),
    ),
  };
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
