/** Stochastic gradient descent with momentum, Nesterov's too, and weight decay, as PyTorch defines it. */
import { type NamedVariable, parameter } from '../nn/module';
import { tf } from '../tensor/tf';
import { checkGradients, checkOption } from './checks';
import { decaysByDefault, type Optimizer, type WeightDecayKind } from './optimizer';

/** Options of `Sgd`. */
export interface SgdOptions {
  /** Default 0.9. */
  readonly momentum?: number;
  /** Steps along g + momentum * v, where v will have been after one more step, instead of along v. Default false. */
  readonly nesterov?: boolean;
  /** Coefficient of the weight decay. Default 0. */
  readonly weightDecay?: number;
  /** Default `l2`: the decay is part of the gradient, as in Caffe. */
  readonly decayKind?: WeightDecayKind;
  /** Which parameters decay. Default: those with more than one dimension, so neither biases nor normalisation. */
  readonly decays?: (parameter: NamedVariable) => boolean;
}

/**
 * v <- momentum * v + (g + decay * w);  w <- w - rate * v.
 *
 * With `nesterov` the step is w <- w - rate * (g + decay * w + momentum * v). With `decoupled` decay the gradient is left
 * alone and w <- (1 - rate * decay) * w comes first (SGDW of arXiv 1711.05101).
 *
 * The rate stands outside the velocity (PyTorch); Caffe has it inside. The two differ only at the steps where the rate changes.
 */
export class Sgd implements Optimizer {
  private readonly velocities: tf.Variable[];
  private readonly decays: boolean[];
  private readonly momentum: number;
  private readonly nesterov: boolean;
  private readonly weightDecay: number;
  private readonly decoupled: boolean;

  /** @throws RangeError where an option is out of its range, or `nesterov` has no momentum to look ahead with. */
  constructor(
    readonly parameters: readonly NamedVariable[],
    options: SgdOptions = {},
  ) {
    const { momentum = 0.9, nesterov = false, weightDecay = 0 } = options;
    checkOption('Sgd', 'momentum', momentum, 0, 1);
    checkOption('Sgd', 'weightDecay', weightDecay, 0, Infinity);
    if (nesterov && momentum === 0) throw new RangeError('Sgd: nesterov needs a momentum above 0, got 0');
    this.momentum = momentum;
    this.nesterov = nesterov;
    this.weightDecay = weightDecay;
    this.decoupled = options.decayKind === 'decoupled';
    this.decays = parameters.map(options.decays ?? decaysByDefault);
    this.velocities = parameters.map(({ variable }) => parameter(tf.zerosLike(variable), false));
  }

  /**
   * One update in place.
   * @param gradients one a parameter, in the parameters' order; the caller disposes them.
   */
  step(gradients: readonly tf.Tensor[], rate: number | tf.Scalar): void {
    checkGradients('Sgd', this.parameters, gradients);
    tf.tidy(() => {
      const kept = this.decoupled ? tf.sub(1, tf.mul(rate, this.weightDecay)) : undefined;
      this.parameters.forEach(({ variable }, i) => {
        const decays = this.weightDecay > 0 && this.decays[i];
        const gradient =
          decays && !this.decoupled ? gradients[i].add(variable.mul(this.weightDecay)) : gradients[i];
        const start = decays && kept ? variable.mul(kept) : variable;
        const velocity = this.velocities[i].mul(this.momentum).add(gradient);
        this.velocities[i].assign(velocity);
        const direction = this.nesterov ? gradient.add(velocity.mul(this.momentum)) : velocity;
        variable.assign(start.sub(direction.mul(rate)));
      });
    });
  }

  /** The velocities: `<parameter>.momentum_buffer`. */
  slots(): NamedVariable[] {
    return this.velocities.map((variable, i) => ({
      name: `${this.parameters[i].name}.momentum_buffer`,
      variable,
    }));
  }

  /** Releases the velocities. */
  dispose(): void {
    for (const velocity of this.velocities) velocity.dispose();
  }
}
