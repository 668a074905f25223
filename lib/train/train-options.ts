/** What a training run is asked for, and what it returns. */
import type { Loss } from '../losses/loss';
import type { ForwardContext, Module, TrainingBatchNorm } from '../nn/module';
import type { tf } from '../tensor/tf';
import type { BatchSource } from './batch-source';
import type { Optimizer } from './optimizer';
import type { BestEvaluation, EvaluationOptions } from './periodic-evaluation';
import type { Schedule } from './schedule';
import type { SgdOptions } from './sgd';
import type { EvaluationLog, StepLog } from './training-log';
import type { WeightAverage, WeightAverageOptions } from './weight-average';

/** Where and when a run's state is saved. */
export interface CheckpointOptions {
  /**
   * A folder of the run's own, made where it is missing. It gets `step-NNNNNNNN.safetensors`, `best.safetensors` (see `evaluate`), `log.jsonl`
   * (see `log`), and, while the run lasts, `run.lock`.
   */
  readonly folder: string;
  /** Saves after every so many steps. Default: by time alone. */
  readonly everySteps?: number;
  /** Saves after the step at which so many seconds have passed since the last time. Default: 300, or never where `everySteps` is given. */
  readonly everySeconds?: number;
  /** How many checkpoints stay; the disk holds one more while the next is written. Default 2: should the newest be damaged, there is another. */
  readonly keep?: number;
}

/** What the loop is told: how long, at which rate, what to keep and whom to tell. `Batch` is whatever the loader yields. */
export interface LoopOptions<Batch> {
  /** A loader, a function that gives the batches from a number on, or batches without end (at least `steps` times `accumulate` of them). */
  readonly batches: BatchSource<Batch>;
  /** Updates of the parameters, those before a resumption included. */
  readonly steps: number;
  readonly schedule: Schedule;
  /**
   * Batches to a step: the update takes the mean of their gradients, for the memory of one. Equal to one batch of all their images where the
   * loss is a mean over images, up to rounding. Not equal where something depends on the batch as a whole: batch normalisation normalises each
   * batch by itself (and folds each into the running statistics); a loss divided by the batch's number of positives weighs an image more
   * in a batch that has few. The log's loss and parts are means over the batches. Default 1.
   */
  readonly accumulate?: number;
  /** What to do after a step whose loss or gradient is not finite: end the run (the default), or leave that step out and go on. */
  readonly nonFinite?: 'stop' | 'skip';
  /** Called after each step; training waits for it. */
  readonly onStep?: (log: StepLog) => void | Promise<void>;
  /** Evaluates on the way, keeps the best weights, and ends a run that gets no better. */
  readonly evaluate?: EvaluationOptions;
  /**
   * A folder to save the run's state in, or more of how. The same call, made again after the run was broken off (even by a crash or `kill -9`),
   * goes on where the newest good checkpoint ends, with the same numbers as if nothing had happened; after a finished run it
   * returns the result. A checkpoint that can't be written (the disk is full) is reported and training goes on; only the one before the first step must
   * succeed. The interrupt saves, too. Default: nothing is saved.
   */
  readonly checkpoint?: string | CheckpointOptions;
  /**
   * `auto` (the default): from the newest good checkpoint in the folder, if there is one. `never`: from the beginning; an error where the folder has
   * checkpoints. Or the file of a checkpoint, in this folder or another one.
   */
  readonly resume?: 'auto' | 'never' | (string & {});
  /**
   * A file to write a line of JSON to after each step (`readTrainingLog` reads it), or false. Default: `log.jsonl` in the checkpoints' folder, if there
   * is one.
   */
  readonly log?: string | false;
  /**
   * What else defines the run, as plain values: a name, the seed of the data's order, the recipe. It stands in the log and in the checkpoints, and a run with
   * other settings is not resumed.
   */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Hears in a line what a user should know and no error says: resumed from where, a damaged checkpoint, a full disk. Default: `console.warn`. */
  readonly onNotice?: (line: string) => void;
}

/** What a step's update is told, wherever it is computed. */
export interface UpdateOptions {
  /** Scales a step's gradient down to this L2 norm, over all parameters together, where it is longer. Default: never. */
  readonly clipNorm?: number;
  /**
   * Follows the weights with a moving average, for evaluation and as the result: a run that comes to its end leaves the averages in the model,
   * the checkpoints have both. A `WeightAverage` of this model, on the other hand, stays the caller's, and the model keeps its weights.
   */
  readonly average?: WeightAverageOptions | WeightAverage;
  /** Measure the gradient's change from step to step, for one more copy of the parameters in memory. Default false. */
  readonly gradientChange?: boolean;
  /**
   * Run the step as one graph where the backend has graphs (`tensorflow`). Default true. Then `loss` is called in rehearsals only:
   * before the first step, and now and then to check; see `compile` for what it may not do.
   */
  readonly compile?: boolean;
}

/** What to train and how. `Inputs` are the tensors made of a batch. */
export interface TrainOptions<
  Batch extends { readonly ids: readonly string[] },
  Inputs extends Record<string, tf.Tensor>,
>
  extends LoopOptions<Batch>, UpdateOptions {
  readonly model: Module;
  /**
   * Options of an `Sgd` that lives as long as this run, or an optimizer of the model's parameters. The latter stays the caller's:
   * it is not disposed, so that its state can be saved or another run continue it. Only what it holds is trained.
   */
  readonly optimizer?: SgdOptions | Optimizer;
  /** Random numbers for dropout and the like; not disposed. */
  readonly random?: ForwardContext['random'];
  /**
   * How batch normalisation normalises, e.g. `batchNormByImages(2)`: as two-image devices do. Default: over the whole batch. A function has no
   * value to record: say in `settings` which it is, so that a run is not resumed with another.
   */
  readonly batchNorm?: TrainingBatchNorm;
  /**
   * Whether a step may run through a part of the model only, such as the blocks that a supernet's path takes: the parameters that it leaves out then
   * keep their values and their momentum, and do not decay. Else a parameter that the loss does not depend on is an error. Not together with
   * `accumulate` or `gradientChange`. Default false.
   */
  readonly partial?: boolean;
  /**
   * Builds whatever must not be differentiated (image tensors, targets); everything it returns is disposed after the step.
   */
  readonly prepare: (batch: Batch) => Inputs;
  /** The differentiated function. `inputs` is what `prepare` returned. */
  readonly loss: (inputs: Inputs, context: ForwardContext) => Loss;
}

/** How a training run ended. */
export interface TrainResult {
  /** All steps; of a resumed run without a log file, those since it was resumed. */
  readonly logs: readonly StepLog[];
  readonly evaluations: readonly EvaluationLog[];
  /** The step whose loss or gradient was not finite and that ended the run; the parameters are as they were before it. */
  readonly divergedAt?: number;
  /** Steps that were left out because their loss or gradient was not finite. */
  readonly skipped: readonly number[];
  /** How many steps had been done when this call took the run up again. */
  readonly resumedAt?: number;
  /** How many steps were done when the evaluation's patience ended. */
  readonly stoppedAt?: number;
  /** By the metric that `evaluate.best` names. */
  readonly best?: BestEvaluation;
  /** The newest checkpoint. */
  readonly checkpoint?: string;
  /** Wall-clock time, that of the steps before a resumption included. */
  readonly seconds: number;
}
