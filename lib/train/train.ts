/** The training loop: batches in, updated parameters and a log of every step out. */
import type { Loss } from '../losses/loss';
import type { ForwardContext, Module } from '../nn/module';
import { tf } from '../tensor/tf';
import { checkLimit } from './checks';
import { firstNonFinite } from './diagnosis';
import { interruptSignal } from './interrupt';
import type { Optimizer } from './optimizer';
import type { Schedule } from './schedule';
import { Sgd, type SgdOptions } from './sgd';
import { createTrainingStep } from './step';

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
  /** L2 norm of the gradient's change since the step before; NaN at step 0, and where it is not measured. */
  readonly gradientChange: number;
  /** Images of the batch. */
  readonly images: number;
  /** Wall-clock time of the step, waiting for data included. */
  readonly seconds: number;
  /**
   * Where loss or gradient was not finite: what is not, at which step and rate, and where in the network it began. The step then
   * updated nothing.
   */
  readonly problem?: string;
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
  /** Measure the gradient's change from step to step, for one more copy of the parameters in memory. Default false. */
  readonly gradientChange?: boolean;
  /** What to do after a step whose loss or gradient is not finite: end the run (the default), or leave that step out and go on. */
  readonly nonFinite?: 'stop' | 'skip';
  /** Random numbers for dropout and the like; not disposed. */
  readonly random?: ForwardContext['random'];
  /**
   * Run the step as one graph where the backend has graphs (`tensorflow`). Default true. Then `loss` is called in rehearsals only:
   * before the first step, and now and then to check; see `compile` for what it may not do.
   */
  readonly compile?: boolean;
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
  /** The step whose loss or gradient was not finite and that ended the run; the parameters are as they were before it. */
  readonly divergedAt?: number;
  /** Steps that were left out because their loss or gradient was not finite. */
  readonly skipped: readonly number[];
  readonly seconds: number;
}

/**
 * Trains in place. Stops at the first step whose loss or gradient is not finite, unless told to skip it: a diverged run is a result, not an
 * error.
 * The kernel's interrupt stops it before the next step; the parameters then are those of the last one.
 * @throws when the loader ends before `steps` batches, the model has no parameter to train, or the optimizer has another's.
 */
export async function train<
  Batch extends { readonly ids: readonly string[] },
  Inputs extends Record<string, tf.Tensor>,
>(options: TrainOptions<Batch, Inputs>): Promise<TrainResult> {
  const { model, batches, steps, schedule, prepare, loss, onStep } = options;
  const { clipNorm = Infinity, gradientChange = false, nonFinite = 'stop', random } = options;
  checkLimit('train', 'clipNorm', clipNorm);
  const { optimizer, owned } = chooseOptimizer(model, options.optimizer);
  const trainingStep = createTrainingStep({
    optimizer,
    loss,
    context: { random },
    clipNorm,
    change: gradientChange,
    compiled: options.compile ?? true,
  });
  const logs: StepLog[] = [];
  const skipped: number[] = [];
  const started = performance.now();
  let stepStarted = started;
  let divergedAt: number | undefined;

  const iterator = batches[Symbol.asyncIterator]();
  try {
    for (let step = 0; step < steps && divergedAt === undefined; step++) {
      interruptSignal()?.throwIfAborted();
      const next = await iterator.next();
      if (next.done) {
        throw new Error(
          `train: the loader ended after ${step} batches, but ${steps} steps were asked for; let it repeat`,
        );
      }
      const batch = next.value;
      const learningRate = schedule(step);
      const inputs = tf.tidy(() => prepare(batch));
      let reading;
      let problem: string | undefined;
      try {
        reading = await trainingStep.run(inputs, learningRate);
        if (!reading.finite) {
          const what = Number.isFinite(reading.loss) ? 'gradient' : 'loss';
          const value = what === 'loss' ? reading.loss : reading.gradientNorm;
          const first = await firstNonFinite(model, optimizer.parameters, inputs, loss, { random });
          problem =
            `step ${step}, learning rate ${learningRate}: the ${what} is ${value}; ` +
            `the first that is not finite: ${first}`;
        }
      } finally {
        tf.dispose(inputs);
      }
      if (problem !== undefined && nonFinite === 'stop') divergedAt = step;
      if (problem !== undefined && nonFinite === 'skip') skipped.push(step);

      const now = performance.now();
      const log: StepLog = {
        step,
        learningRate,
        loss: reading.loss,
        parts: reading.parts,
        gradientNorm: reading.gradientNorm,
        gradientChange: reading.gradientChange,
        images: batch.ids.length,
        seconds: (now - stepStarted) / 1000,
        ...(problem === undefined ? {} : { problem }),
      };
      stepStarted = now;
      logs.push(log);
      await onStep?.(log);
      // A turn of the event loop a step: displays are sent and an interrupt is seen.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  } finally {
    await iterator.return?.();
    trainingStep.dispose();
    if (owned) optimizer.dispose();
  }
  return { logs, divergedAt, skipped, seconds: (performance.now() - started) / 1000 };
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
