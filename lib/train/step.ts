/** One training step: forward pass, gradient, its norm, the update, the running statistics; compiled where the backend has graphs. */
import type { Loss } from '../losses/loss';
import { applyStatistics, type ForwardContext, type NamedVariable, parameter } from '../nn/module';
import { compile } from '../tensor/compile/compile';
import { activeRecorder } from '../tensor/compile/recorder';
import { updateWhere } from '../tensor/compile/update-where';
import { tf } from '../tensor/tf';
import { squaredNorm } from './clip';
import { type GradientPass, gradientPass, partialGradientPass } from './gradient-pass';
import { GradientProbe } from './gradient-probe';
import { applyGradients, bothFinite, changeOf, type UpdateParts, updatePass } from './update-pass';

/** What a step is made of. */
export interface TrainingStepOptions<Inputs extends Record<string, tf.Tensor>> extends Omit<
  UpdateParts,
  'probe'
> {
  /** The differentiated function. */
  readonly loss: (inputs: Inputs, context: ForwardContext) => Loss;
  /** What else the forward pass is given, e.g. random numbers. */
  readonly context: Omit<ForwardContext, 'training' | 'statistics'>;
  /** Measure the gradient's change. */
  readonly change: boolean;
  readonly compiled: boolean;
  /** Batches whose gradients are averaged before each update. Default 1. */
  readonly accumulate?: number;
  /** Whether a step may leave parameters out (see `TrainOptions.partial`). */
  readonly partial?: boolean;
}

/** What one batch was like. */
export interface StepReading {
  /** Whether loss and gradient were finite, those of the batches before that are part of the same update, too; if not, nothing was updated. */
  readonly finite: boolean;
  readonly loss: number;
  readonly parts: Readonly<Record<string, number>>;
  /** L2 norm over all parameters, before any clipping; where gradients are accumulated, of the mean of those so far that the update will take. */
  readonly gradientNorm: number;
  /** NaN where it is not measured. */
  readonly gradientChange: number;
}

/** A step that can be repeated. */
export interface TrainingStep<Inputs> {
  /**
   * One batch: its gradient, and the update. Where gradients are accumulated, each batch has a call of its own, and only the last of an update's
   * (`last` true, the default) updates.
   */
  run(inputs: Inputs, rate: number, last?: boolean): Promise<StepReading>;
  /** What a checkpoint must hold besides model, optimizer, average and random numbers, by the parameters' names. */
  slots(): NamedVariable[];
  /** Releases the graph and what is kept between steps. */
  dispose(): void;
}

/**
 * Puts a training step together. Where loss or gradient is not finite, a run changes nothing. (Where gradients are accumulated, the
 * running statistics have by then taken in the batches that were finite.)
 */
export function createTrainingStep<Inputs extends Record<string, tf.Tensor>>(
  options: TrainingStepOptions<Inputs>,
): TrainingStep<Inputs> {
  const { optimizer, loss, context, accumulate = 1, partial = false } = options;
  if (partial && (options.change || accumulate > 1)) {
    throw new Error(
      `train: a step that leaves parameters out (partial) can't be one of several that are ${options.change ? 'compared (gradientChange)' : 'added up (accumulate)'}`,
    );
  }
  const variables = optimizer.parameters.map(({ variable }) => variable);
  const probe = options.change ? new GradientProbe(variables) : undefined;
  const update: UpdateParts = { ...options, probe };
  const sums = accumulate > 1 ? new GradientSums(variables, accumulate) : undefined;
  // The names of the parts are known once the loss has run.
  let names: string[] = [];
  let lastNow = true;

  const noted = <Pass extends Pick<GradientPass, 'parts'>>(pass: Pass): Pass => {
    names = Object.keys(pass.parts);
    return pass;
  };
  const differentiate = (inputs: Inputs): GradientPass =>
    noted(gradientPass(optimizer.parameters, (given) => loss(inputs, given), context));
  const differentiatePart = (inputs: Inputs): GradientPass<tf.Tensor | undefined> =>
    noted(partialGradientPass(optimizer.parameters, (given) => loss(inputs, given), context));
  const reported = (...values: tf.Tensor[]): tf.Tensor1D =>
    tf.stack(values.map((value) => tf.cast(value, 'float32'))) as tf.Tensor1D;

  const whole = ({ rate, last: _, ...inputs }: StepTensors): tf.Tensor1D => {
    const pass = (partial ? differentiatePart : differentiate)(inputs as unknown as Inputs);
    const { value, gradients, statistics, parts } = pass;
    const { finite, norm, change } = updatePass(update, { value, gradients, statistics, rate });
    const report = reported(finite, value, norm, change, ...Object.values(parts));
    tf.dispose(parts);
    return report;
  };

  const part = (sum: GradientSums, { rate, last, ...inputs }: StepTensors): tf.Tensor1D => {
    const { value, gradients, statistics, parts } = differentiate(inputs as unknown as Inputs);
    const sound = bothFinite(value, squaredNorm(gradients));
    updateWhere(sound, () => applyStatistics(statistics));

    const total = sum.add(value, gradients);
    const norm = tf.sqrt(squaredNorm(total.gradients));
    const change = changeOf(update, total.gradients);
    const finite = bothFinite(total.loss, norm);
    const complete = (): void => applyGradients(update, { gradients: total.gradients, norm, rate });
    const isLast = tf.greater(last, 0);
    // A graph holds the update in any case and is told when; without one, what is not the last batch need not compute it.
    if (activeRecorder()) updateWhere(tf.logicalAnd(finite, isLast), complete);
    else if (lastNow) updateWhere(finite, complete);
    sum.keep(total, isLast);
    const report = reported(finite, value, norm, change, ...Object.values(parts));
    tf.dispose(parts);
    return report;
  };

  const step = (inputs: StepTensors): tf.Tensor1D => (sums ? part(sums, inputs) : whole(inputs));
  const compiled = options.compiled ? compile(step) : undefined;
  return {
    async run(inputs, rate, last = true) {
      lastNow = last;
      const flag = sums ? { last: last ? 1 : 0 } : {};
      const report = compiled
        ? compiled({ ...inputs, ...flag, rate } as unknown as StepTensors)
        : tf.tidy(() =>
            step({
              ...inputs,
              last: tf.scalar(last ? 1 : 0),
              rate: tf.scalar(rate),
            } as unknown as StepTensors),
          );
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
    slots: () => probe?.slots(optimizer.parameters) ?? [],
    dispose() {
      compiled?.dispose();
      probe?.dispose();
      sums?.dispose();
    },
  };
}

/** The batch's tensors, and beside them the learning rate and whether the batch is its update's last one. */
type StepTensors = { readonly rate: tf.Scalar; readonly last: tf.Scalar } & Record<string, tf.Tensor>;

/** Sums of the losses and gradients of the batches that one update takes; 0 between updates, so that no checkpoint need hold them. */
class GradientSums {
  /** Of the loss, and of each gradient. */
  private readonly sums: readonly tf.Variable[];

  constructor(
    variables: readonly tf.Variable[],
    private readonly count: number,
  ) {
    this.sums = [
      parameter(tf.scalar(0), false),
      ...variables.map((variable) => parameter(tf.zerosLike(variable), false)),
    ];
  }

  /** With one more batch: the sums, and their shares that the update takes (means, once all batches are there). */
  add(loss: tf.Tensor, gradients: readonly tf.Tensor[]): GradientTotal {
    const sums = [loss, ...gradients].map((tensor, i) => tf.add(this.sums[i], tensor));
    const [mean, ...means] = sums.map((sum) => tf.div(sum, this.count));
    return { sums, loss: mean, gradients: means };
  }

  /** Goes on with these sums, or, after an update's last batch, from 0. */
  keep({ sums }: GradientTotal, isLast: tf.Tensor): void {
    this.sums.forEach((sum, i) => sum.assign(tf.where(isLast, tf.zerosLike(sums[i]), sums[i])));
  }

  dispose(): void {
    tf.dispose([...this.sums]);
  }
}

/** What `GradientSums` add up to. */
interface GradientTotal {
  readonly sums: readonly tf.Tensor[];
  readonly loss: tf.Tensor;
  readonly gradients: readonly tf.Tensor[];
}
