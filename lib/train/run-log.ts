/** A run's log from its side: begun, taken up again where its checkpoint stands, and kept going when the disk refuses. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { makeFolders } from '../tensor/folders';
import type { CheckpointFacts } from './checkpoint';
import { tolerateDisk } from './disk-refusal';
import {
  type LogEntry,
  readTrainingLog,
  type RunNote,
  type TrainingLog,
  TrainingLogWriter,
} from './training-log';

/** The log of one run; without a file it does nothing. */
export class RunLog {
  private writer: TrainingLogWriter | undefined;
  /** To be written before the next line: nothing is, where a finished run is only looked at. */
  private resumption: RunNote | undefined;
  private fails = false;

  constructor(
    private readonly file: string | undefined,
    private readonly onNotice: (line: string) => void,
  ) {}

  /** Its length, which a checkpoint notes; null without a file. */
  get bytes(): number | null {
    return this.writer?.bytes ?? null;
  }

  /** A new log; one in which no step stands is replaced. @throws where the file is a log with steps, or no log. */
  async start(note: RunNote): Promise<void> {
    const { file } = this;
    if (file === undefined) return;
    makeFolders(path.dirname(path.resolve(file)));
    const old = await readTrainingLog(file).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (old) {
      if (!old.run || old.steps.length > 0) {
        throw new Error(`train: the log ${file} exists; remove it, or give this run another one`);
      }
      await fs.rm(file);
    }
    this.writer = await TrainingLogWriter.create(file);
    await this.writer.append({ type: 'run', ...note });
    await this.writer.sync();
  }

  /**
   * The log up to the checkpoint: what was written after it is done again.
   * @returns what stands in it so far. @throws where the file is another run's, or shorter than it was.
   */
  async resume(
    facts: Pick<CheckpointFacts, 'run' | 'step' | 'log'>,
    note: RunNote,
  ): Promise<Pick<TrainingLog, 'steps' | 'evaluations'>> {
    const { file, onNotice } = this;
    const nothing = { steps: [], evaluations: [] };
    if (file === undefined) return nothing;
    const size = (await fs.stat(file).catch(() => undefined))?.size;
    if (facts.log === null || size === undefined) {
      if (facts.log !== null)
        onNotice(`train: the log ${file} is gone; the new one begins with step ${facts.step}`);
      await this.start(note);
      return nothing;
    }
    const run = (await readTrainingLog(file)).run?.run;
    if (run !== facts.run || size < facts.log) {
      const why = run === facts.run ? `has only ${size} of ${facts.log} bytes` : 'is not the log of this run';
      throw new Error(
        `train: ${file} ${why}; put the right one there, or remove it and lose the steps before`,
      );
    }
    this.writer = await TrainingLogWriter.reopen(file, facts.log);
    this.resumption = note;
    const log = await readTrainingLog(file);
    for (const { line, problem } of log.damaged) onNotice(`train: ${file}, line ${line}: ${problem}`);
    for (const [from, to] of log.missing) onNotice(`train: ${file}: steps ${from} to ${to} are missing`);
    return log;
  }

  /** Writes a line; where the disk does not let it, that is told once, and the line is kept. */
  async append(entry: LogEntry): Promise<void> {
    const { writer, resumption, onNotice } = this;
    if (!writer) return;
    this.fails = await tolerateDisk(
      `the log ${this.file}`,
      async () => {
        this.resumption = undefined;
        if (resumption) await writer.append({ type: 'resume', ...resumption });
        await writer.append(entry);
      },
      { onNotice, then: 'its lines are kept and written as soon as possible', quiet: this.fails },
    );
  }

  /** Returns when all of it is on the disk. */
  async sync(): Promise<void> {
    await this.writer?.sync();
  }

  async close(): Promise<void> {
    await this.writer?.close();
  }
}
