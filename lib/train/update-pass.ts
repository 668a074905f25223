/** The second half of a training step: from gradients to new parameters, running statistics and averages. */
import { applyStatistics, type BatchStatistics } from '../nn/module';
import { updateWhere } from '../tensor/compile/update-where';
import { tf } from '../tensor/tf';
import { squaredNorm } from './clip';
import type { GradientProbe } from './gradient-probe';
import type { Optimizer } from './optimizer';
import type { WeightAverage } from './weight-average';

/** What an update changes, and how. */
export interface UpdateParts {
  readonly optimizer: Optimizer;
  /** The longest gradient that is taken as it is; Infinity for any. */
  readonly clipNorm: number;
  /** Follows the weights, an update at a time; not disposed. */
  readonly average?: WeightAverage;
  /** Measures the gradient's change; it wants one of every parameter. */
  readonly probe?: GradientProbe;
}

/** What an update was like; scalars, for the caller's tidy. */
export interface UpdateReading {
  /** Whether loss and gradient were; if not, nothing was updated. */
  readonly finite: tf.Tensor;
  /** L2 norm before any clipping. */
  readonly norm: tf.Tensor;
  /** NaN without a probe. */
  readonly change: tf.Tensor;
}

/** Updates everything by a step's gradients, unless these or the loss are not finite. @param statistics are disposed. */
export function updatePass(
  parts: UpdateParts,
  given: {
    readonly value: tf.Tensor;
    /** None of a parameter that the step did not run through: it is left as it is. */
    readonly gradients: readonly (tf.Tensor | undefined)[];
    readonly statistics: BatchStatistics[];
    readonly rate: tf.Scalar;
  },
): UpdateReading {
  const { value, gradients, statistics, rate } = given;
  const norm = tf.sqrt(squaredNorm(gradients));
  const change = changeOf(parts, gradients);
  const finite = bothFinite(value, norm);
  updateWhere(finite, () => {
    applyStatistics(statistics);
    applyGradients(parts, { gradients, norm, rate });
  });
  return { finite, norm, change };
}

/** Whether two scalars are finite. */
export function bothFinite(value: tf.Tensor, norm: tf.Tensor): tf.Tensor {
  return tf.logicalAnd(tf.isFinite(value), tf.isFinite(norm));
}

/** Updates the parameters, their averages, and the gradient that the next one is compared with. @param given `norm` before clipping */
export function applyGradients(
  { optimizer, clipNorm, average, probe }: UpdateParts,
  {
    gradients,
    norm,
    rate,
  }: { gradients: readonly (tf.Tensor | undefined)[]; norm: tf.Tensor; rate: tf.Scalar },
): void {
  optimizer.step(clipNorm < Infinity ? clipped(gradients, norm, clipNorm) : gradients, rate);
  average?.update();
  probe?.keep(gradients as tf.Tensor[]);
}

/** How far the gradient has moved since the step before; NaN where that is not measured. */
export function changeOf({ probe }: UpdateParts, gradients: readonly (tf.Tensor | undefined)[]): tf.Tensor {
  return probe ? probe.change(gradients as tf.Tensor[]) : tf.scalar(NaN);
}

/** The gradients, scaled down to `maxNorm` where they are longer, as `clipGradientNorm` does. */
function clipped(
  gradients: readonly (tf.Tensor | undefined)[],
  norm: tf.Tensor,
  maxNorm: number,
): (tf.Tensor | undefined)[] {
  const scale = tf.minimum(1, tf.div(maxNorm, tf.add(norm, 1e-6)));
  return gradients.map((gradient) => gradient && tf.mul(gradient, scale));
}
