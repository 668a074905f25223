/** Stochastic gradient descent with momentum and L2 weight decay, as Caffe and PyTorch define it. */
import { type NamedVariable, parameter } from '../nn/module';
import { tf } from '../tensor/tf';

/** Options of `Sgd`. */
export interface SgdOptions {
  /** Default 0.9. */
  readonly momentum?: number;
  /** Coefficient of the L2 penalty's gradient. Default 0. */
  readonly weightDecay?: number;
  /** Which parameters decay. Default: those with more than one dimension, so neither biases nor normalisation. */
  readonly decays?: (parameter: NamedVariable) => boolean;
}

/**
 * v <- momentum * v + (g + decay * w);  w <- w - rate * v.
 *
 * The rate stands outside the velocity (PyTorch); Caffe has it inside. The two differ only at the steps where the rate changes.
 */
export class Sgd {
  private readonly velocities: tf.Variable[];
  private readonly decays: boolean[];
  private readonly momentum: number;
  private readonly weightDecay: number;

  constructor(
    readonly parameters: readonly NamedVariable[],
    options: SgdOptions = {},
  ) {
    const { momentum = 0.9, weightDecay = 0, decays = ({ variable }) => variable.rank > 1 } = options;
    this.momentum = momentum;
    this.weightDecay = weightDecay;
    this.decays = parameters.map(decays);
    this.velocities = parameters.map(({ variable }) => parameter(tf.zerosLike(variable), false));
  }

  /**
   * One update in place.
   * @param gradients one a parameter, in the parameters' order; the caller disposes them.
   */
  step(gradients: readonly tf.Tensor[], rate: number): void {
    tf.tidy(() => {
      this.parameters.forEach(({ variable }, i) => {
        const decays = this.weightDecay > 0 && this.decays[i];
        const gradient = decays ? gradients[i].add(variable.mul(this.weightDecay)) : gradients[i];
        const velocity = this.velocities[i].mul(this.momentum).add(gradient);
        this.velocities[i].assign(velocity);
        variable.assign(variable.sub(velocity.mul(rate)));
      });
    });
  }

  /** Releases the velocities. */
  dispose(): void {
    for (const velocity of this.velocities) velocity.dispose();
  }
}
