/** The training loop: batches in, updated parameters and a log of every step out. */
import type { Module } from '../nn/module';
import { tf } from '../tensor/tf';
import { batchIds, type BatchIds, openBatches } from './batch-source';
import { checkLimit } from './checks';
import { firstNonFinite } from './diagnosis';
import { interruptSignal } from '../tensor/interrupt';
import type { Optimizer } from './optimizer';
import { checkCount, EvaluationRounds } from './periodic-evaluation';
import { Sgd, type SgdOptions } from './sgd';
import { createTrainingStep, type StepReading, type TrainingStep } from './step';
import type { TrainOptions, TrainResult } from './train-options';
import type { StepLog } from './training-log';
import { TrainingRun } from './training-run';
import { WeightAverage, type WeightAverageOptions } from './weight-average';

export type { CheckpointOptions, TrainOptions, TrainResult } from './train-options';
export type { StepLog } from './training-log';

/**
 * Trains in place. Stops at the first step whose loss or gradient is not finite, unless told to skip it: a diverged run is a result, not an
 * error.
 * The kernel's interrupt stops it before the next step; the parameters then are those of the last one.
 *
 * With `checkpoint` the run can be broken off at any moment and made again: it goes on where it was, bit for bit.
 *
 *     await train({ …, batches: loader, checkpoint: 'runs/first' });
 * @throws when the loader ends before `steps` batches, the model has no parameter to train, or the optimizer has another's; when the folder is
 *   another run's, or has no checkpoint that is whole.
 */
export async function train<
  Batch extends { readonly ids: readonly string[] },
  Inputs extends Record<string, tf.Tensor>,
>(options: TrainOptions<Batch, Inputs>): Promise<TrainResult> {
  const { model, steps, schedule, onStep, evaluate, random, accumulate = 1 } = options;
  const { clipNorm = Infinity, gradientChange = false, nonFinite = 'stop', compile = true } = options;
  checkLimit('train', 'clipNorm', clipNorm);
  checkCount('accumulate', accumulate);
  const rounds = evaluate && new EvaluationRounds(evaluate);
  const own: { dispose(): void }[] = [];
  let run: TrainingRun | undefined;
  let batches: AsyncIterator<Batch> | undefined;
  try {
    const optimizer = chooseOptimizer(model, options.optimizer, own);
    const average = chooseAverage(model, options.average, own);
    const trainingStep = createTrainingStep({
      optimizer,
      loss: options.loss,
      context: { random },
      clipNorm,
      change: gradientChange,
      compiled: compile,
      accumulate,
      average,
    });
    own.push(trainingStep);
    run = await TrainingRun.open({
      parts: { model, optimizer, random, average, step: trainingStep },
      settings: {
        optimizer: optimizer.settings ?? { kind: optimizer.constructor.name },
        seed: random ? (await random.state.data())[0] : null,
        accumulate,
        clipNorm: clipNorm < Infinity ? clipNorm : null,
        gradientChange,
        nonFinite,
        compile,
        average: average?.settings ?? null,
        settings: options.settings ?? {},
      },
      schedule,
      steps,
      rounds,
      checkpoint: options.checkpoint,
      resume: options.resume ?? 'auto',
      log: options.log,
      onNotice: options.onNotice ?? ((line) => console.warn(line)),
    });
    const hasEnded = ({ done, divergedAt }: TrainingRun): boolean =>
      done >= steps || divergedAt !== undefined || rounds?.exhausted === true;
    let stepStarted = performance.now();
    if (!hasEnded(run)) batches = await openBatches(options.batches, run.done * accumulate, run.lastBatch);

    while (batches && !hasEnded(run)) {
      const signal = interruptSignal();
      if (signal?.aborted) await run.save();
      signal?.throwIfAborted();
      const step = run.done;
      const learningRate = schedule(step);
      const taken = await takeStep({ options, optimizer, trainingStep, batches, step, learningRate });
      run.lastBatch = taken.lastBatch;
      if (taken.problem !== undefined && nonFinite === 'stop') run.divergedAt = step;
      if (taken.problem !== undefined && nonFinite === 'skip') run.skipped.push(step);

      const now = performance.now();
      const log: StepLog = { step, learningRate, ...taken.log, seconds: (now - stepStarted) / 1000 };
      stepStarted = now;
      await run.stepDone(log);
      await onStep?.(log);
      if (rounds && run.divergedAt === undefined && rounds.isDue(run.done, steps)) {
        await evaluateRun(run, rounds, evaluate?.weights === 'raw' ? undefined : average);
        stepStarted = performance.now();
      }
      await run.saveIfDue();
      // A turn of the event loop a step: displays are sent and an interrupt is seen.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await run.save();
    if (average && average !== options.average && run.divergedAt === undefined) average.apply();
    return {
      logs: run.logs,
      evaluations: run.evaluations,
      divergedAt: run.divergedAt,
      skipped: run.skipped,
      resumedAt: run.resumedAt,
      stoppedAt: rounds?.exhausted ? run.done : undefined,
      best: rounds?.best,
      checkpoint: run.newest,
      seconds: run.seconds,
    };
  } finally {
    await batches?.return?.();
    for (const thing of own.reverse()) thing.dispose();
    await run?.close();
  }
}

/** One update, of one batch or of several. */
async function takeStep<
  Batch extends { readonly ids: readonly string[] },
  Inputs extends Record<string, tf.Tensor>,
>(given: {
  readonly options: TrainOptions<Batch, Inputs>;
  readonly optimizer: Optimizer;
  readonly trainingStep: TrainingStep<Inputs>;
  readonly batches: AsyncIterator<Batch>;
  readonly step: number;
  readonly learningRate: number;
}): Promise<{
  readonly log: Omit<StepLog, 'step' | 'learningRate' | 'seconds'>;
  readonly problem: string | undefined;
  readonly lastBatch: BatchIds | undefined;
}> {
  const { options, optimizer, trainingStep, batches, step, learningRate } = given;
  const { model, steps, prepare, loss, random, accumulate = 1 } = options;
  const readings: StepReading[] = [];
  let images = 0;
  let ids: readonly string[] = [];
  let problem: string | undefined;
  for (let i = 0; i < accumulate; i++) {
    const next = await batches.next();
    if (next.done) {
      throw new Error(
        `train: the loader ended after ${step * accumulate + i} batches, but ${steps} steps` +
          `${accumulate > 1 ? ` of ${accumulate} batches` : ''} were asked for; let it repeat`,
      );
    }
    const batch = next.value;
    ({ ids } = batch);
    images += ids.length;
    const inputs = tf.tidy(() => prepare(batch));
    try {
      const reading = await trainingStep.run(inputs, learningRate, i === accumulate - 1);
      readings.push(reading);
      if (!reading.finite && problem === undefined) {
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
  }
  const { gradientNorm, gradientChange, parts } = readings[accumulate - 1];
  const log = {
    loss: mean(readings.map((reading) => reading.loss)),
    parts: Object.fromEntries(
      Object.keys(parts).map((name) => [name, mean(readings.map((reading) => reading.parts[name]))]),
    ),
    gradientNorm,
    gradientChange,
    images,
    ...(problem === undefined ? {} : { problem }),
  };
  return { log, problem, lastBatch: batchIds(ids) };
}

async function evaluateRun(
  run: TrainingRun,
  rounds: EvaluationRounds,
  average: WeightAverage | undefined,
): Promise<void> {
  const evaluateOnce = async (): Promise<void> => {
    const log = await rounds.run(run.done);
    if (log.best) await run.saveBest(log);
    await run.evaluated(log);
  };
  await (average ? average.withAverages(evaluateOnce) : evaluateOnce());
}

function mean(values: readonly number[]): number {
  return values.length === 1 ? values[0] : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The optimizer to use, added to `own` if it is made here. */
function chooseOptimizer(
  model: Module,
  given: SgdOptions | Optimizer | undefined,
  own: { dispose(): void }[],
): Optimizer {
  const parameters = model.parameters();
  if (parameters.length === 0) throw new Error('train: the model has no trainable parameters');
  if (given === undefined || !('step' in given)) {
    const optimizer = new Sgd(parameters, given);
    own.push(optimizer);
    if (optimizer.parameters.length === 0) throw new Error('train: rateFactor freezes every parameter');
    return optimizer;
  }
  const trainable = new Set(parameters.map(({ variable }) => variable));
  const stranger = given.parameters.find(({ variable }) => !trainable.has(variable));
  if (stranger) {
    throw new Error(
      `train: the optimizer holds ${stranger.name}, which is no parameter of this model; make it with model.parameters()`,
    );
  }
  if (given.parameters.length === 0) throw new Error('train: the optimizer has no parameters');
  return given;
}

function chooseAverage(
  model: Module,
  given: WeightAverageOptions | WeightAverage | undefined,
  own: { dispose(): void }[],
): WeightAverage | undefined {
  if (given === undefined || given instanceof WeightAverage) return given;
  const average = new WeightAverage(model, given);
  own.push(average);
  return average;
}
