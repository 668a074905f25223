/** The memory of a training run: its folder, checkpoints and log, and where it goes on after it was broken off. */
import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { backendInfo } from '../tensor/backend';
import { makeFolders } from '../tensor/folders';
import { packageVersion, projectRequire } from '../tensor/packages';
import { tf } from '../tensor/tf';
import { stateDict } from '../weights/state-dict';
import { writeSafetensors } from '../weights/safetensors';
import type { BatchIds } from './batch-source';
import {
  type Checkpoint,
  type CheckpointFacts,
  checkpointFormat,
  readCheckpoint,
  writeCheckpoint,
} from './checkpoint';
import {
  checkpointName,
  listCheckpoints,
  newestCheckpoint,
  pruneCheckpoints,
  removeLeftovers,
} from './checkpoint-folder';
import { tolerateDisk } from './disk-refusal';
import { plain, type RunSettings, settingsDifferences, summarizeRates } from './fingerprint';
import { checkCount, type EvaluationRounds } from './periodic-evaluation';
import { RunLog } from './run-log';
import { lockFolder, type RunLock } from './run-lock';
import { loadState, type RunParts, saveState } from './run-state';
import type { Schedule } from './schedule';
import type { CheckpointOptions } from './train-options';
import type { EvaluationLog, RunNote, StepLog } from './training-log';

/** What a `TrainingRun` is opened with. */
export interface TrainingRunOptions {
  readonly parts: RunParts;
  readonly settings: Omit<RunSettings, 'rates'>;
  readonly schedule: Schedule;
  readonly steps: number;
  readonly rounds: EvaluationRounds | undefined;
  readonly checkpoint: string | CheckpointOptions | undefined;
  readonly resume: string;
  readonly log: string | false | undefined;
  readonly onNotice: (line: string) => void;
}

/** One run, from `open` to `close`. Without a folder and a log it only counts. */
export class TrainingRun {
  /** Steps done. */
  done: number = 0;
  readonly logs: StepLog[] = [];
  readonly evaluations: EvaluationLog[] = [];
  skipped: number[] = [];
  divergedAt: number | undefined;
  /** The last batch that a step took. */
  lastBatch: BatchIds | undefined;
  /** Steps that had been done when it was taken up again. */
  resumedAt: number | undefined;
  /** The newest checkpoint. */
  newest: string | undefined;

  private readonly started = performance.now();
  private readonly checkpoint: Required<CheckpointOptions> | undefined;
  private readonly log: RunLog;
  private id: string = randomUUID();
  private secondsBefore = 0;
  private savedAt = performance.now();
  private savedStep = -1;
  private lock: RunLock | undefined;

  private constructor(private readonly options: TrainingRunOptions) {
    this.checkpoint = completed(options.checkpoint);
    const inFolder = this.checkpoint && path.join(this.checkpoint.folder, 'log.jsonl');
    const file = options.log === false ? undefined : (options.log ?? inFolder);
    this.log = new RunLog(file, options.onNotice);
  }

  /**
   * Takes the folder, finds where to go on, and puts the state of then into model, optimizer and all the rest.
   * @throws when another run has the folder, no checkpoint in it is whole, or it is another run's than this one.
   */
  static async open(options: TrainingRunOptions): Promise<TrainingRun> {
    const run = new TrainingRun(options);
    try {
      await run.begin();
    } catch (error) {
      await run.close();
      throw error;
    }
    return run;
  }

  /** Wall-clock time of the whole run. */
  get seconds(): number {
    return this.secondsBefore + (performance.now() - this.started) / 1000;
  }

  /** Notes a step that was done. */
  async stepDone(log: StepLog): Promise<void> {
    this.done = log.step + 1;
    this.logs.push(log);
    await this.log.append({ type: 'step', ...log });
    await this.lock?.touch();
  }

  /** Notes an evaluation. */
  async evaluated(log: EvaluationLog): Promise<void> {
    this.evaluations.push(log);
    await this.log.append({ type: 'evaluation', ...log });
  }

  /** Keeps the weights that are in the model now as the best ones. */
  async saveBest({ step, metrics }: EvaluationLog): Promise<void> {
    if (!this.checkpoint) return;
    const file = path.join(this.checkpoint.folder, 'best.safetensors');
    const metadata = { step: String(step), metrics: JSON.stringify(metrics), run: this.id };
    await tolerateDisk(
      `the best weights, of step ${step}`,
      async () => {
        await writeSafetensors(file, await stateDict(this.options.parts.model), { metadata });
      },
      this.options,
    );
  }

  /** Whether it is time to save. */
  isSaveDue(): boolean {
    if (!this.checkpoint) return false;
    const { everySteps, everySeconds } = this.checkpoint;
    const late = performance.now() - this.savedAt >= everySeconds * 1000;
    return late || this.done % everySteps === 0;
  }

  /** Whether `save` would write something. */
  get needsSaving(): boolean {
    return this.checkpoint !== undefined && this.savedStep !== this.done;
  }

  /** Saves what is not saved yet. Where the disk does not let it, that is told, and the run can go on. */
  async save(): Promise<void> {
    if (!this.needsSaving) return;
    const { onNotice } = this.options;
    const then = 'training goes on, and the next checkpoint is tried when it is due';
    await tolerateDisk(`the checkpoint of step ${this.done}`, () => this.write(), { onNotice, then });
    // Also after a failure: a full disk is not to be tried at every step.
    this.savedAt = performance.now();
  }

  /** Closes the log and gives the folder back. */
  async close(): Promise<void> {
    await this.log.close();
    await this.lock?.release();
  }

  private async begin(): Promise<void> {
    const { parts, settings, schedule, steps, rounds, onNotice } = this.options;
    const damaged: string[] = [];
    if (this.checkpoint) {
      const { folder } = this.checkpoint;
      makeFolders(path.resolve(folder));
      this.lock = await lockFolder(folder);
      await removeLeftovers(folder);
    }
    const checkpoint = await this.chooseCheckpoint(damaged);
    if (!checkpoint) {
      await this.log.start(this.runNote());
      // The first checkpoint: whatever stands in the way of saving shows now and not after hours.
      if (this.checkpoint) await this.write();
      return;
    }

    const { facts, file } = checkpoint;
    const differences = settingsDifferences(facts.settings, settings, schedule);
    if (differences.length > 0) {
      throw new Error(
        `train: ${file} is of a run with other options:\n${differences.map((line) => `  ${line}`).join('\n')}\n` +
          'Give it the same ones to go on, or another folder to begin anew',
      );
    }
    if (facts.step > steps) {
      throw new Error(`train: ${file} has done ${facts.step} steps, but only ${steps} are asked for`);
    }
    loadState(parts, checkpoint);
    this.done = facts.step;
    this.resumedAt = facts.step;
    this.skipped = [...facts.skipped];
    this.divergedAt = facts.divergedAt ?? undefined;
    this.lastBatch = facts.lastBatch ?? undefined;
    this.secondsBefore = facts.seconds;
    rounds?.restore(facts.best, facts.worse);
    // Out of the way of the steps to come, but there to be looked at.
    for (const name of damaged) await fs.rename(name, `${name}.damaged`);
    onNotice(`train: goes on after step ${facts.step} from ${file}`);
    for (const [what, before, now] of [
      ['detlab', facts.detlab, versions().detlab],
      ['the backend', facts.backend, backendLine()],
    ]) {
      if (before !== now)
        onNotice(`train: ${what} was ${before}, now it is ${now}: numbers may differ in their last digits`);
    }
    if (this.checkpoint && path.resolve(path.dirname(file)) === path.resolve(this.checkpoint.folder)) {
      this.id = facts.run;
      this.newest = file;
      this.savedStep = facts.step;
      // A run that was killed when it had written a checkpoint may have left the oldest, which it was about to delete. More than one is
      // another choice of `keep`: nothing is deleted for that before the next checkpoint is there.
      const { folder, keep } = this.checkpoint;
      if ((await listCheckpoints(folder)).length === keep + 1) await pruneCheckpoints(folder, keep);
      const { steps: logged, evaluations } = await this.log.resume(facts, this.runNote());
      this.logs.push(...logged);
      this.evaluations.push(...evaluations);
    } else {
      await this.log.start(this.runNote());
      if (this.checkpoint) await this.write();
    }
  }

  private async chooseCheckpoint(damaged: string[]): Promise<Checkpoint | undefined> {
    const { resume, onNotice } = this.options;
    const folder = this.checkpoint?.folder;
    const there = folder === undefined ? [] : await listCheckpoints(folder);
    if (resume === 'never' && there.length > 0) {
      throw new Error(
        `train: ${folder} has checkpoints up to step ${there[0].step}, but resume is 'never'; remove them or choose another folder`,
      );
    }
    if (resume === 'auto' || resume === 'never') {
      if (folder === undefined) return undefined;
      return newestCheckpoint(folder, (file, problem) => {
        damaged.push(file);
        onNotice(`train: a checkpoint is damaged, the one before is taken: ${problem}`);
      });
    }
    const checkpoint = await readCheckpoint(resume);
    if (there.length > 0 && there[0].step > checkpoint.facts.step) {
      throw new Error(
        `train: ${folder} has newer checkpoints (step ${there[0].step}) than ${resume} (step ${checkpoint.facts.step}); ` +
          'remove them or choose another folder',
      );
    }
    return checkpoint;
  }

  private async write(): Promise<void> {
    const { folder, keep } = this.checkpoint as Required<CheckpointOptions>;
    const { parts, settings, schedule, steps, rounds } = this.options;
    // A checkpoint counts on the log's lines: they must not be lost where it is not.
    await this.log.sync();
    const file = path.join(folder, checkpointName(this.done));
    const facts: CheckpointFacts = {
      format: checkpointFormat,
      run: this.id,
      step: this.done,
      detlab: versions().detlab,
      backend: backendLine(),
      settings: plain({ ...settings, rates: summarizeRates(schedule, steps) }),
      lastBatch: this.lastBatch ?? null,
      log: this.log.bytes,
      seconds: this.seconds,
      skipped: this.skipped,
      divergedAt: this.divergedAt ?? null,
      best: rounds?.best ?? null,
      worse: rounds?.worse ?? 0,
    };
    await writeCheckpoint(file, facts, await saveState(parts));
    this.newest = file;
    this.savedStep = this.done;
    this.savedAt = performance.now();
    await pruneCheckpoints(folder, keep);
  }

  private runNote(): RunNote {
    const { parts, settings, schedule, steps } = this.options;
    return {
      run: this.id,
      step: this.done,
      ...versions(),
      node: process.versions.node,
      backend: backendLine(),
      parameters: parts.optimizer.parameters.reduce((sum, { variable }) => sum + variable.size, 0),
      settings: { ...settings, rates: summarizeRates(schedule, steps) },
    };
  }
}

function completed(
  checkpoint: string | CheckpointOptions | undefined,
): Required<CheckpointOptions> | undefined {
  if (checkpoint === undefined) return undefined;
  const {
    folder,
    everySteps,
    everySeconds,
    keep = 2,
  } = typeof checkpoint === 'string' ? { folder: checkpoint } : checkpoint;
  if (everySteps !== undefined) checkCount('checkpoint.everySteps', everySteps);
  if (everySeconds !== undefined && !(everySeconds >= 0)) {
    throw new RangeError(`train: checkpoint.everySeconds must be 0 or more, got ${everySeconds}`);
  }
  checkCount('checkpoint.keep', keep);
  return {
    folder,
    everySteps: everySteps ?? Infinity,
    everySeconds: everySeconds ?? (everySteps === undefined ? 300 : Infinity),
    keep,
  };
}

function versions(): { detlab: string; tfjs: string } {
  const { version } = projectRequire('./package.json') as { version: string };
  return { detlab: version, tfjs: packageVersion('@tensorflow/tfjs') ?? tf.version_core };
}

/** Versions and threads, no name of a machine. */
function backendLine(): string {
  const info = backendInfo();
  const name = tf.getBackend();
  return info?.name === name ? info.line.replace(/^backend: /, '') : name;
}
