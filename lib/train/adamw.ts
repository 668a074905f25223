/** AdamW (Loshchilov and Hutter, arXiv 1711.05101) and Adam (Kingma and Ba, arXiv 1412.6980), as PyTorch defines them. */
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

/** Options of `AdamW`. */
export interface AdamWOptions extends ParameterOptions {
  /** How much of the old first and second moment a step keeps. Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the root of the second moment. Default 1e-8. */
  readonly epsilon?: number;
  /** Coefficient of the weight decay; it is multiplied by the rate. Default 0.01. */
  readonly weightDecay?: number;
  /** Default `decoupled`, which is AdamW; `l2` makes it Adam. */
  readonly decayKind?: WeightDecayKind;
}

/**
 * At step t, from 1:
 *
 *     w <- (1 - rate * decay) * w                        decoupled (AdamW)
 *     g <- g + decay * w                                 or l2 (Adam)
 *     m <- b1 * m + (1 - b1) * g
 *     v <- b2 * v + (1 - b2) * g^2
 *     w <- w - rate * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)
 *
 * `rate` is the step's rate times the parameter's `rateFactor`.
 */
export class AdamW implements Optimizer {
  readonly parameters: readonly NamedVariable[];
  readonly settings: Readonly<Record<string, unknown>>;
  private readonly groups: readonly ParameterGroup[];
  private readonly first: tf.Variable[];
  private readonly second: tf.Variable[];
  /** t. A tensor like the moments, so that the slots are the whole state; float32 counts exactly to 16.7 million. */
  private readonly taken: tf.Variable;
  private readonly betas: readonly [number, number];
  private readonly epsilon: number;
  private readonly weightDecay: number;
  private readonly decoupled: boolean;

  /** @throws RangeError where an option is out of its range. */
  constructor(parameters: readonly NamedVariable[], options: AdamWOptions = {}) {
    const { betas = [0.9, 0.999], epsilon = 1e-8, weightDecay = 0.01, decayKind = 'decoupled' } = options;
    betas.forEach((beta, i) => checkOption('AdamW', `betas[${i}]`, beta, 0, 1));
    checkOption('AdamW', 'epsilon', epsilon, 0, Infinity);
    checkOption('AdamW', 'weightDecay', weightDecay, 0, Infinity);
    this.betas = betas;
    this.epsilon = epsilon;
    this.weightDecay = weightDecay;
    this.decoupled = decayKind === 'decoupled';
    this.groups = parameterGroups('AdamW', parameters, options);
    this.parameters = this.groups.map((group) => group.parameter);
    this.settings = {
      kind: 'AdamW',
      betas,
      epsilon,
      weightDecay,
      decayKind,
      ...groupSettings(this.groups),
    };
    this.first = this.parameters.map(({ variable }) => parameter(tf.zerosLike(variable), false));
    this.second = this.parameters.map(({ variable }) => parameter(tf.zerosLike(variable), false));
    this.taken = parameter(tf.scalar(0), false);
  }

  /**
   * One update in place.
   * @param gradients one a parameter, in the order of `parameters`; the caller disposes them. A parameter without one is left as it is.
   */
  step(gradients: readonly (tf.Tensor | undefined)[], rate: number | tf.Scalar): void {
    checkGradients('AdamW', this.parameters, gradients);
    const [beta1, beta2] = this.betas;
    tf.tidy(() => {
      this.taken.assign(this.taken.add(1));
      // 1 - b^t without the cancellation that would cost float32 four digits at the first steps of b = 0.999
      const correction = (beta: number): tf.Tensor => this.taken.mul(Math.log(beta)).expm1().neg();
      const firstCorrection = correction(beta1);
      const rootCorrection = correction(beta2).sqrt();
      const scaled = new Map<number, { kept: tf.Tensor; rateNow: tf.Tensor }>();
      const ratesOf = (factor: number): { kept: tf.Tensor; rateNow: tf.Tensor } => {
        const own = factor === 1 ? rate : tf.mul(rate, factor);
        return { kept: tf.sub(1, tf.mul(own, this.weightDecay)), rateNow: tf.div(own, firstCorrection) };
      };

      this.groups.forEach(({ parameter: { variable }, decays, rateFactor }, i) => {
        if (!scaled.has(rateFactor)) scaled.set(rateFactor, ratesOf(rateFactor));
        const { kept, rateNow } = scaled.get(rateFactor)!;
        const given = gradients[i];
        if (!given) return;
        const shrinks = this.weightDecay > 0 && decays;
        const gradient = shrinks && !this.decoupled ? given.add(variable.mul(this.weightDecay)) : given;
        const start = shrinks && this.decoupled ? variable.mul(kept) : variable;
        const first = blend(this.first[i], gradient, beta1);
        const second = blend(this.second[i], gradient.square(), beta2);
        this.first[i].assign(first);
        this.second[i].assign(second);
        const root = second.sqrt().div(rootCorrection).add(this.epsilon);
        variable.assign(start.sub(first.div(root).mul(rateNow)));
      });
    });
  }

  /** `step`, and of each parameter the moments `<parameter>.exp_avg` and `<parameter>.exp_avg_sq`. */
  slots(): NamedVariable[] {
    const moments = this.parameters.flatMap(({ name }, i) => [
      { name: `${name}.exp_avg`, variable: this.first[i] },
      { name: `${name}.exp_avg_sq`, variable: this.second[i] },
    ]);
    return [{ name: 'step', variable: this.taken }, ...moments];
  }

  /** Releases the moments. */
  dispose(): void {
    tf.dispose([this.first, this.second, this.taken]);
  }
}

/** beta * old + (1 - beta) * now, written so that a constant `now` is reached exactly, whatever rounding does to beta. */
function blend(old: tf.Tensor, now: tf.Tensor, beta: number): tf.Tensor {
  return old.add(now.sub(old).mul(1 - beta));
}
