/** The loop of a training run: batches, steps, log, evaluations and checkpoints, whoever does the steps. */
import type { RandomStream } from '../tensor/random-stream';
import type { Module } from '../nn/module';
import { interruptSignal } from '../tensor/interrupt';
import { batchIds, type BatchIds, openBatches } from './batch-source';
import { checkCount, EvaluationRounds } from './periodic-evaluation';
import type { RunSettings } from './fingerprint';
import type { Optimizer } from './optimizer';
import { StepFailure, type BatchReading, type Stepper } from './stepper';
import type { LoopOptions, TrainResult } from './train-options';
import type { StepLog } from './training-log';
import { TrainingRun } from './training-run';
import type { WeightAverage } from './weight-average';

/** What a run is made of. */
export interface LoopParts<Batch> {
  readonly model: Module;
  readonly optimizer: Optimizer;
  readonly random?: RandomStream;
  readonly average?: WeightAverage;
  /** Whether the run leaves the averages in the model. */
  readonly applyAverage: boolean;
  readonly stepper: Stepper<Batch>;
  /** What the run is, less what the loop knows itself. */
  readonly settings: Omit<RunSettings, 'rates' | 'accumulate' | 'nonFinite' | 'settings'>;
}

/** Runs it; see `train`. Disposes nothing that it is given. */
export async function runTraining<Batch extends { readonly ids: readonly string[] }>(
  parts: LoopParts<Batch>,
  options: LoopOptions<Batch>,
): Promise<TrainResult> {
  const { stepper, average } = parts;
  const { steps, schedule, onStep, evaluate, accumulate = 1, nonFinite = 'stop' } = options;
  checkCount('accumulate', accumulate);
  const rounds = evaluate && new EvaluationRounds(evaluate);
  const run = await TrainingRun.open({
    parts: { ...parts, step: stepper },
    settings: { ...parts.settings, accumulate, nonFinite, settings: options.settings ?? {} },
    schedule,
    steps,
    rounds,
    checkpoint: options.checkpoint,
    resume: options.resume ?? 'auto',
    log: options.log,
    onNotice: options.onNotice ?? ((line) => console.warn(line)),
  });
  let batches: AsyncIterator<Batch> | undefined;
  const save = async (): Promise<void> => {
    if (run.needsSaving) await stepper.gather?.();
    await run.save();
  };
  const hasEnded = ({ done, divergedAt }: TrainingRun): boolean =>
    done >= steps || divergedAt !== undefined || rounds?.exhausted === true;
  try {
    if (!hasEnded(run)) {
      await stepper.start?.();
      batches = await openBatches(options.batches, run.done * accumulate, run.lastBatch);
    }
    let stepStarted = performance.now();
    while (batches && !hasEnded(run)) {
      const signal = interruptSignal();
      if (signal?.aborted) await save();
      signal?.throwIfAborted();
      const step = run.done;
      const learningRate = schedule(step);
      const taken = await takeStep({ stepper, batches, step, steps, learningRate, accumulate }).catch(
        async (error: unknown) => {
          if (error instanceof StepFailure) throw await saved(error, step, run, save);
          throw error;
        },
      );
      run.lastBatch = taken.lastBatch;
      if (taken.log.problem !== undefined && nonFinite === 'stop') run.divergedAt = step;
      if (taken.log.problem !== undefined && nonFinite === 'skip') run.skipped.push(step);

      const now = performance.now();
      const log: StepLog = { step, learningRate, ...taken.log, seconds: (now - stepStarted) / 1000 };
      stepStarted = now;
      await run.stepDone(log);
      await onStep?.(log);
      if (rounds && run.divergedAt === undefined && rounds.isDue(run.done, steps)) {
        await stepper.gather?.();
        await evaluateRun(run, rounds, evaluate?.weights === 'raw' ? undefined : average);
        stepStarted = performance.now();
      }
      if (run.isSaveDue()) await save();
      // A turn of the event loop a step: displays are sent and an interrupt is seen.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    if (batches) await stepper.gather?.();
    await run.save();
    if (average && parts.applyAverage && run.divergedAt === undefined) average.apply();
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
    await run.close();
  }
}

/** Saves what the failure left as it was, and says so in the error. */
async function saved(
  failure: StepFailure,
  step: number,
  run: TrainingRun,
  save: () => Promise<void>,
): Promise<StepFailure> {
  const lost = await save().catch((error: Error) => error);
  const { newest } = run;
  if (newest === undefined) failure.message += `; the run had no checkpoint, and ${step} steps are lost`;
  else {
    const state = lost ? 'The newest checkpoint is' : `The run is saved as it was after ${step} steps:`;
    failure.message += `. ${state} ${newest}; the same call goes on from there`;
  }
  return failure;
}

/** One update, of one batch or of several. */
async function takeStep<Batch extends { readonly ids: readonly string[] }>(given: {
  readonly stepper: Stepper<Batch>;
  readonly batches: AsyncIterator<Batch>;
  readonly step: number;
  readonly steps: number;
  readonly learningRate: number;
  readonly accumulate: number;
}): Promise<{
  readonly log: Omit<StepLog, 'step' | 'learningRate' | 'seconds'>;
  readonly lastBatch: BatchIds | undefined;
}> {
  const { stepper, batches, step, steps, learningRate, accumulate } = given;
  const readings: BatchReading[] = [];
  let images = 0;
  let ids: readonly string[] = [];
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
    readings.push(await stepper.run(batch, { step, learningRate, last: i === accumulate - 1 }));
  }
  const { gradientNorm, gradientChange, parts } = readings[accumulate - 1];
  const problem = readings.find((reading) => reading.problem !== undefined)?.problem;
  const log = {
    loss: mean(readings.map(({ loss }) => loss)),
    parts: Object.fromEntries(
      Object.keys(parts).map((name) => [name, mean(readings.map((reading) => reading.parts[name]))]),
    ),
    gradientNorm,
    gradientChange,
    images,
    ...(problem === undefined ? {} : { problem: `step ${step}, learning rate ${learningRate}: ${problem}` }),
  };
  return { log, lastBatch: batchIds(ids) };
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
