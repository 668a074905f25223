/**
 * Watches the gradient itself, as ScratchDet does to show that batch normalisation smooths the optimisation (section 3.2 and
 * its figure): how far it moves from one step to the next.
 */
import { type NamedVariable, parameter } from '../nn/module';
import { tf } from '../tensor/tf';
import { squaredNorm } from './clip';

/** Keeps the last gradient (one more copy of the parameters in memory) and compares each new one with it. */
export class GradientProbe {
  private previous: tf.Variable[] | undefined;

  /** @param like tensors of the gradients' shapes, in their order; left out, the first gradients tell. */
  constructor(like?: readonly tf.Tensor[]) {
    if (like) this.previous = unknown(like);
  }

  /**
   * ||g_t - g_(t-1)|| over all parameters together; NaN the first time. Nothing is read in JavaScript, so it may be part of a compiled step.
   * @param gradients all of a step's gradients, in the same order each time; not disposed.
   * @returns a scalar, which the caller disposes.
   */
  change(gradients: readonly tf.Tensor[]): tf.Scalar {
    this.previous ??= unknown(gradients);
    const previous = this.previous;
    return tf.tidy(() => tf.sqrt(squaredNorm(gradients.map((gradient, i) => tf.sub(gradient, previous[i])))));
  }

  /** Makes these the last gradients. */
  keep(gradients: readonly tf.Tensor[]): void {
    gradients.forEach((gradient, i) => this.previous?.[i].assign(gradient));
  }

  /** The kept gradient: what a checkpoint has to hold. @param parameters that the gradients are of, in their order */
  slots(parameters: readonly NamedVariable[]): NamedVariable[] {
    return (this.previous ?? []).map((variable, i) => ({ name: parameters[i].name, variable }));
  }

  /** Releases the kept gradient. */
  dispose(): void {
    tf.dispose(this.previous ?? []);
    this.previous = undefined;
  }
}

/** NaN is no gradient: so the first change is NaN, without a question whether there was a step before. */
function unknown(like: readonly tf.Tensor[]): tf.Variable[] {
  return like.map(({ shape }) => parameter(tf.fill([...shape], NaN), false));
}
