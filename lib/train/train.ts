/** The training loop: batches in, updated parameters and a log of every step out. */
import { applyStatistics, type BatchStatistics, type ForwardContext, type Module } from '../nn/module';
import { tf } from '../tensor/tf';
import { checkLimit } from './checks';
import { clipScale } from './clip';
import { GradientProbe } from './gradient-probe';
import { interruptSignal } from './interrupt';
import type { Optimizer } from './optimizer';
import type { Schedule } from './schedule';
import { Sgd, type SgdOptions } from './sgd';

/** One step of training, measured. */
export interface StepLog {
  /** From 0. */
  readonly step: number;
  readonly learningRate: number;
  /** The loss that was minimised; NaN or infinite when training has diverged. */
  readonly loss: number;
  /** Its parts, by name. */
  readonly parts: Readonly<Record<string, number>>;
  /** L2 norm of the gradient of all parameters together, before any clipping. */
  readonly gradientNorm: number;
  /** L2 norm of the gradient's change since the step before; NaN at step 0. */
  readonly gradientChange: number;
  /** Images of the batch. */
  readonly images: number;
  /** Wall-clock time of the step, waiting for data included. */
  readonly seconds: number;
}

/** A loss with named parts, all scalars. */
export interface Loss {
  readonly total: tf.Scalar;
  readonly parts: Readonly<Record<string, tf.Scalar>>;
}

/** What to train and how. `Batch` is whatever the loader yields, `Inputs` the tensors made of it. */
export interface TrainOptions<
  Batch extends { readonly ids: readonly string[] },
  Inputs extends Record<string, tf.Tensor>,
> {
  readonly model: Module;
  /** Batches without end, or at least `steps` of them. */
  readonly batches: AsyncIterable<Batch>;
  readonly steps: number;
  readonly schedule: Schedule;
  /**
   * Options of an `Sgd` that lives as long as this run, or an optimizer of the model's parameters. The latter stays the caller's:
   * it is not disposed, so that its state can be saved or another run continue it. Only what it holds is trained.
   */
  readonly optimizer?: SgdOptions | Optimizer;
  /** Scales a step's gradient down to this L2 norm, over all parameters together, where it is longer. Default: never. */
  readonly clipNorm?: number;
  /**
   * Builds whatever must not be differentiated (image tensors, targets); everything it returns is disposed after the step.
   */
  readonly prepare: (batch: Batch) => Inputs;
  /** The differentiated function. `inputs` is what `prepare` returned. */
  readonly loss: (inputs: Inputs, context: ForwardContext) => Loss;
  /** Called after each step; training waits for it. */
  readonly onStep?: (log: StepLog) => void | Promise<void>;
}

/** How a training run ended. */
export interface TrainResult {
  readonly logs: readonly StepLog[];
  /** The step whose loss or gradient was not finite; the parameters then are as they were before that step. */
  readonly divergedAt?: number;
  readonly seconds: number;
}

/**
 * Trains in place. Stops at the first step whose loss or gradient is not finite: a diverged run is a result, not an error.
 * The kernel's interrupt stops it before the next step; the parameters then are those of the last one.
 * @throws when the loader ends before `steps` batches, the model has no parameter to train, or the optimizer has another's.
 */
export async function train<
  Batch extends { readonly ids: readonly string[] },
  Inputs extends Record<string, tf.Tensor>,
>(options: TrainOptions<Batch, Inputs>): Promise<TrainResult> {
  const { model, batches, steps, schedule, clipNorm = Infinity, prepare, loss, onStep } = options;
  checkLimit('train', 'clipNorm', clipNorm);
  const { optimizer, owned } = chooseOptimizer(model, options.optimizer);
  const variables = optimizer.parameters.map(({ variable }) => variable);
  const probe = new GradientProbe();
  const logs: StepLog[] = [];
  const started = performance.now();
  let stepStarted = started;
  let divergedAt: number | undefined;

  const iterator = batches[Symbol.asyncIterator]();
  try {
    for (let step = 0; step < steps; step++) {
      interruptSignal()?.throwIfAborted();
      const next = await iterator.next();
      if (next.done) {
        throw new Error(
          `train: the loader ended after ${step} batches, but ${steps} steps were asked for; let it repeat`,
        );
      }
      const batch = next.value;
      const inputs = tf.tidy(() => prepare(batch));
      const statistics: BatchStatistics[] = [];
      // The names of the parts are known only once the loss has run; their values leave the tape as plain tensors.
      let partNames: string[] = [];
      let partValues: tf.Tensor1D | undefined;
      const { value, grads } = tf.variableGrads(() => {
        const { total, parts } = loss(inputs, { training: true, statistics });
        partNames = Object.keys(parts);
        if (partNames.length > 0) partValues = tf.keep(tf.stack(Object.values(parts)) as tf.Tensor1D);
        return total;
      }, variables);
      const gradients = variables.map((variable) => grads[variable.name]);
      const reading = await probe.read(gradients);
      const lossValue = (await value.data())[0];
      const partData = partValues ? await partValues.data() : [];

      const finite = Number.isFinite(lossValue) && Number.isFinite(reading.norm);
      const learningRate = schedule(step);
      if (finite) {
        const scale = clipScale(reading.norm, clipNorm);
        tf.tidy(() => {
          optimizer.step(
            scale < 1 ? gradients.map((gradient) => gradient.mul(scale)) : gradients,
            learningRate,
          );
        });
        applyStatistics(statistics);
      }
      for (const { mean, variance } of statistics) tf.dispose([mean, variance]);
      tf.dispose([value, gradients, inputs]);
      partValues?.dispose();

      const now = performance.now();
      const log: StepLog = {
        step,
        learningRate,
        loss: lossValue,
        parts: Object.fromEntries(partNames.map((name, i) => [name, partData[i]])),
        gradientNorm: reading.norm,
        gradientChange: reading.change,
        images: batch.ids.length,
        seconds: (now - stepStarted) / 1000,
      };
      stepStarted = now;
      logs.push(log);
      await onStep?.(log);
      if (!finite) {
        divergedAt = step;
        break;
      }
      // A turn of the event loop a step: displays are sent and an interrupt is seen.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  } finally {
    await iterator.return?.();
    if (owned) optimizer.dispose();
    probe.dispose();
  }
  return { logs, divergedAt, seconds: (performance.now() - started) / 1000 };
}

function chooseOptimizer(
  model: Module,
  given: SgdOptions | Optimizer | undefined,
): { optimizer: Optimizer; owned: boolean } {
  const parameters = model.parameters();
  if (parameters.length === 0) throw new Error('train: the model has no trainable parameters');
  if (given === undefined || !('step' in given)) {
    return { optimizer: new Sgd(parameters, given), owned: true };
  }
  const trainable = new Set(parameters.map(({ variable }) => variable));
  const stranger = given.parameters.find(({ variable }) => !trainable.has(variable));
  if (stranger) {
    throw new Error(
      `train: the optimizer holds ${stranger.name}, which is no parameter of this model; make it with model.parameters()`,
    );
  }
  if (given.parameters.length === 0) throw new Error('train: the optimizer has no parameters');
  return { optimizer: given, owned: false };
}
