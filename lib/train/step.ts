/** One training step: forward pass, gradient, its norm, the update, the running statistics; compiled where the backend has graphs. */
import type { Loss } from '../losses/loss';
import { applyStatistics, type BatchStatistics, type ForwardContext } from '../nn/module';
import { compile } from '../tensor/compile/compile';
import { updateWhere } from '../tensor/compile/update-where';
import { tf } from '../tensor/tf';
import { squaredNorm } from './clip';
import { GradientProbe } from './gradient-probe';
import type { Optimizer } from './optimizer';

/** What a step is made of. */
export interface TrainingStepOptions<Inputs extends Record<string, tf.Tensor>> {
  readonly optimizer: Optimizer;
  /** The differentiated function. */
  readonly loss: (inputs: Inputs, context: ForwardContext) => Loss;
  /** What else the forward pass is given, e.g. random numbers. */
  readonly context: Omit<ForwardContext, 'training' | 'statistics'>;
  readonly clipNorm: number;
  /** Measure the gradient's change. */
  readonly change: boolean;
  readonly compiled: boolean;
}

/** What one step was like. */
export interface StepReading {
  /** Whether loss and gradient were finite; if not, nothing was updated. */
  readonly finite: boolean;
  readonly loss: number;
  readonly parts: Readonly<Record<string, number>>;
  /** L2 norm over all parameters, before any clipping. */
  readonly gradientNorm: number;
  /** NaN where it is not measured. */
  readonly gradientChange: number;
}

/** A step that can be repeated. */
export interface TrainingStep<Inputs> {
  run(inputs: Inputs, rate: number): Promise<StepReading>;
  /** Releases the graph and what is kept between steps. */
  dispose(): void;
}

/** Puts a training step together. Where loss or gradient is not finite, a run changes nothing. */
export function createTrainingStep<Inputs extends Record<string, tf.Tensor>>(
  options: TrainingStepOptions<Inputs>,
): TrainingStep<Inputs> {
  const { optimizer, loss, context, clipNorm } = options;
  const variables = optimizer.parameters.map(({ variable }) => variable);
  const probe = options.change ? new GradientProbe() : undefined;
  // The names of the parts are known once the loss has run.
  let names: string[] = [];

  const step = ({
    rate,
    ...inputs
  }: { readonly rate: tf.Scalar } & Record<string, tf.Tensor>): tf.Tensor1D => {
    const statistics: BatchStatistics[] = [];
    let parts: tf.Scalar[] = [];
    const { value, grads } = tf.variableGrads(() => {
      const result = loss(inputs as Inputs, { ...context, training: true, statistics });
      names = Object.keys(result.parts);
      // Kept: what is computed for the gradient's sake is tidied away with it.
      parts = Object.values(result.parts).map((part) => tf.keep(part.clone()));
      return result.total;
    }, variables);
    const gradients = variables.map((variable) => grads[variable.name]);
    const norm = tf.sqrt(squaredNorm(gradients));
    const change = probe ? probe.change(gradients) : tf.scalar(NaN);
    const finite = tf.logicalAnd(tf.isFinite(value), tf.isFinite(norm));
    updateWhere(finite, () => {
      optimizer.step(clipNorm < Infinity ? clipped(gradients, norm, clipNorm) : gradients, rate);
      applyStatistics(statistics);
      probe?.keep(gradients);
    });
    for (const { mean, variance } of statistics) tf.dispose([mean, variance]);
    const report = tf.stack([tf.cast(finite, 'float32'), value, norm, change, ...parts]) as tf.Tensor1D;
    tf.dispose(parts);
    return report;
  };

  const compiled = options.compiled ? compile(step) : undefined;
  return {
    async run(inputs, rate) {
      const report = compiled
        ? compiled({ ...inputs, rate })
        : tf.tidy(() => step({ ...inputs, rate: tf.scalar(rate) }));
      const [finite, value, gradientNorm, gradientChange, ...parts] = await report.data();
      report.dispose();
      return {
        finite: finite === 1,
        loss: value,
        parts: Object.fromEntries(names.map((name, i) => [name, parts[i]])),
        gradientNorm,
        gradientChange,
      };
    },
    dispose() {
      compiled?.dispose();
      probe?.dispose();
    },
  };
}

/** The gradients, scaled down to `maxNorm` where they are longer, as `clipGradientNorm` does. */
function clipped(gradients: readonly tf.Tensor[], norm: tf.Tensor, maxNorm: number): tf.Tensor[] {
  const scale = tf.minimum(1, tf.div(maxNorm, tf.add(norm, 1e-6)));
  return gradients.map((gradient) => tf.mul(gradient, scale));
}
