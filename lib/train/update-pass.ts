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
  readonly clipNorm: number;
  readonly average: WeightAverage | undefined;
  /** Measures the gradient's change. */
  readonly probe: GradientProbe | undefined;
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
  { optimizer, clipNorm, average, probe }: UpdateParts,
  given: {
    readonly value: tf.Tensor;
    readonly gradients: readonly tf.Tensor[];
    readonly statistics: BatchStatistics[];
    readonly rate: tf.Scalar;
  },
): UpdateReading {
  const { value, gradients, statistics, rate } = given;
  const norm = tf.sqrt(squaredNorm(gradients));
  const change = probe ? probe.change(gradients) : tf.scalar(NaN);
  const finite = bothFinite(value, norm);
  updateWhere(finite, () => {
    optimizer.step(clipNorm < Infinity ? clipped(gradients, norm, clipNorm) : gradients, rate);
    applyStatistics(statistics);
    average?.update();
    probe?.keep(gradients);
  });
  return { finite, norm, change };
}

/** Whether two scalars are finite. */
export function bothFinite(value: tf.Tensor, norm: tf.Tensor): tf.Tensor {
  return tf.logicalAnd(tf.isFinite(value), tf.isFinite(norm));
}

/** The gradients, scaled down to `maxNorm` where they are longer, as `clipGradientNorm` does. */
export function clipped(gradients: readonly tf.Tensor[], norm: tf.Tensor, maxNorm: number): tf.Tensor[] {
  const scale = tf.minimum(1, tf.div(maxNorm, tf.add(norm, 1e-6)));
  return gradients.map((gradient) => tf.mul(gradient, scale));
}
