/** The training loop on this thread: batches in, updated parameters and a log of every step out. */
import type { tf } from '../tensor/tf';
import { checkLimit } from './checks';
import { createLocalStepper } from './local-stepper';
import { chooseAverage, chooseOptimizer, updateSettings } from './train-parts';
import type { TrainOptions, TrainResult } from './train-options';
import { runTraining } from './training-loop';

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
  const { model, prepare, loss, random, batchNorm, accumulate, partial } = options;
  const { clipNorm = Infinity, gradientChange = false, compile = true } = options;
  checkLimit('train', 'clipNorm', clipNorm);
  const own: { dispose(): unknown }[] = [];
  try {
    const optimizer = chooseOptimizer(model, options.optimizer, own);
    const average = chooseAverage(model, options.average, own);
    const stepper = createLocalStepper({
      model,
      prepare,
      optimizer,
      loss,
      context: { random, batchNorm },
      clipNorm,
      change: gradientChange,
      compiled: compile,
      accumulate,
      partial,
      average,
    });
    own.push(stepper);
    const settings = {
      ...updateSettings({ ...options, optimizer, average }),
      seed: random ? (await random.state.data())[0] : null,
      batchNorm: batchNorm && ('given' as const),
      partial: partial || undefined,
    };
    const applyAverage = average !== options.average;
    return await runTraining({ model, optimizer, random, average, applyAverage, stepper, settings }, options);
  } finally {
    for (const thing of own.reverse()) await thing.dispose();
  }
}
