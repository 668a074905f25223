/** Stochastic gradient descent with momentum, Nesterov's too, and weight decay, as PyTorch defines it. */
import { type NamedVariable, parameter } from '../nn/module';
import { tf } from '../tensor/tf';
import { checkGradients, checkOption } from './checks';
import {
  groupSettings,
  type Optimizer,
  type ParameterGroup,
  parameterGroups,
  type ParameterOptions,
  type WeightDecayKind,
} from './optimizer';

/** Options of `Sgd`. */
export interface SgdOptions extends ParameterOptions {
  /** Default 0.9. */
  readonly momentum?: number;
  /** The share of the gradient that the velocity leaves out, from the second step on. Default 0. */
  readonly dampening?: number;
  /** Steps along g + momentum * v, where v will have been after one more step, instead of along v. Default false. */
  readonly nesterov?: boolean;
  /** Coefficient of the weight decay. Default 0. */
  readonly weightDecay?: number;
  /** Default `l2`: the decay is part of the gradient, as in Caffe. */
  readonly decayKind?: WeightDecayKind;
}

/**
 * v <- momentum * v + (g + decay * w);  w <- w - rate * v.
 *
 * With `dampening` it is v <- momentum * v + (1 - dampening) * (g + decay * w), but the first step's velocity is the whole gradient.
 * With `nesterov` the step is w <- w - rate * (g + decay * w + momentum * v). With `decoupled` decay the gradient is left
 * alone and w <- (1 - rate * decay) * w comes first (SGDW of arXiv 1711.05101).
 *
 * `rate` is the step's rate times the parameter's `rateFactor`.
 *
 * The rate stands outside the velocity (PyTorch); Caffe has it inside. The two differ only at the steps where the rate changes.
 */
export class Sgd implements Optimizer {
  readonly parameters: readonly NamedVariable[];
  readonly settings: Readonly<Record<string, unknown>>;
  private readonly groups: readonly ParameterGroup[];
  private readonly velocities: tf.Variable[];
  /** 0 before the first step, then 1; only where dampening asks for it. */
  private readonly started: tf.Variable | undefined;
  private readonly momentum: number;
  private readonly dampening: number;
  private readonly nesterov: boolean;
  private readonly weightDecay: number;
  private readonly decoupled: boolean;

  /** @throws RangeError where an option is out of its range, or `nesterov` has no momentum to look ahead with or has dampening. */
  constructor(parameters: readonly NamedVariable[], options: SgdOptions = {}) {
    const { momentum = 0.9, dampening = 0, nesterov = false, weightDecay = 0, decayKind = 'l2' } = options;
    checkOption('Sgd', 'momentum', momentum, 0, 1);
    checkOption('Sgd', 'dampening', dampening, 0, 1);
    checkOption('Sgd', 'weightDecay', weightDecay, 0, Infinity);
    if (nesterov && momentum === 0) throw new RangeError('Sgd: nesterov needs a momentum above 0, got 0');
    if (nesterov && dampening > 0)
      throw new RangeError(`Sgd: nesterov allows no dampening, got ${dampening}`);
    this.momentum = momentum;
    this.dampening = dampening;
    this.nesterov = nesterov;
    this.weightDecay = weightDecay;
    this.decoupled = decayKind === 'decoupled';
    this.groups = parameterGroups('Sgd', parameters, options);
    this.parameters = this.groups.map((group) => group.parameter);
    this.settings = {
      kind: 'Sgd',
      momentum,
      dampening,
      nesterov,
      weightDecay,
      decayKind,
      ...groupSettings(this.groups),
    };
    this.velocities = this.parameters.map(({ variable }) => parameter(tf.zerosLike(variable), false));
    this.started = dampening > 0 ? parameter(tf.scalar(0), false) : undefined;
  }

  /**
   * One update in place.
   * @param gradients one a parameter, in the order of `parameters`; the caller disposes them. A parameter without one is left as it is.
   */
  step(gradients: readonly (tf.Tensor | undefined)[], rate: number | tf.Scalar): void {
    checkGradients('Sgd', this.parameters, gradients);
    tf.tidy(() => {
      const share = this.started && tf.sub(1, tf.mul(this.started, this.dampening));
      this.started?.assign(tf.scalar(1));
      const scaled = new Map<number, number | tf.Tensor>([[1, rate]]);
      this.groups.forEach(({ parameter: { variable }, decays, rateFactor }, i) => {
        if (!scaled.has(rateFactor)) scaled.set(rateFactor, tf.mul(rate, rateFactor));
        const own = scaled.get(rateFactor)!;
        const given = gradients[i];
        if (!given) return;
        const shrinks = this.weightDecay > 0 && decays;
        const gradient = shrinks && !this.decoupled ? given.add(variable.mul(this.weightDecay)) : given;
        const start =
          shrinks && this.decoupled ? variable.mul(tf.sub(1, tf.mul(own, this.weightDecay))) : variable;
        const velocity = this.velocities[i].mul(this.momentum).add(share ? gradient.mul(share) : gradient);
        this.velocities[i].assign(velocity);
        const direction = this.nesterov ? gradient.add(velocity.mul(this.momentum)) : velocity;
        variable.assign(start.sub(direction.mul(own)));
      });
    });
  }

  /** The velocities: `<parameter>.momentum_buffer`; with dampening also `started`. */
  slots(): NamedVariable[] {
    const velocities = this.velocities.map((variable, i) => ({
      name: `${this.parameters[i].name}.momentum_buffer`,
      variable,
    }));
    return this.started ? [{ name: 'started', variable: this.started }, ...velocities] : velocities;
  }

  /** Releases the velocities. */
  dispose(): void {
    tf.dispose([this.velocities, this.started ?? []]);
  }
}
