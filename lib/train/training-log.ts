/** The log of a training run: a text file with a JSON object a line, which survives that the run is killed. */
import fs from 'node:fs/promises';

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
  /** Images of the batch, or of the batches that were accumulated. */
  readonly images: number;
  /** Wall-clock time of the step, waiting for data included. */
  readonly seconds: number;
  /**
   * Where loss or gradient was not finite: what is not, at which step and rate, and where in the network it began. The step then
   * updated nothing.
   */
  readonly problem?: string;
}

/** One evaluation during training. */
export interface EvaluationLog {
  /** Steps that had been done. */
  readonly step: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** Whether the metric that counts was better than ever before; left out where none was named. */
  readonly best?: boolean;
}

/** What ran: the log's first line, and one more for each time that the run was resumed. */
export interface RunNote {
  /** The same in all of a run's checkpoints. */
  readonly run: string;
  /** Steps that had been done. */
  readonly step: number;
  /** Versions of detlab, TensorFlow.js and Node. */
  readonly detlab: string;
  readonly tfjs: string;
  readonly node: string;
  readonly backend: string;
  /** Numbers that the optimizer updates. */
  readonly parameters: number;
  /** What defines the run: optimizer, seed and so on; see `RunSettings`. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** A log, read. */
export interface TrainingLog {
  /** `undefined` where the first line is damaged. */
  readonly run: RunNote | undefined;
  readonly resumes: readonly RunNote[];
  /** In ascending order. */
  readonly steps: readonly StepLog[];
  readonly evaluations: readonly EvaluationLog[];
  /** Lines (from 1) that can't be used, and why; the others are read. */
  readonly damaged: readonly { readonly line: number; readonly problem: string }[];
  /** Steps between the first and the last that no line tells of, as ranges with both ends. */
  readonly missing: readonly (readonly [from: number, to: number])[];
}

/** A line to be written. */
export type LogEntry =
  | ({ readonly type: 'run' | 'resume' } & RunNote)
  | ({ readonly type: 'step' } & StepLog)
  | ({ readonly type: 'evaluation' } & EvaluationLog);

/**
 * Appends lines to a log. What could not be written (the disk is full) is kept and written with the next line, at the place where the
 * good lines end: a line is never half there, followed by others.
 */
export class TrainingLogWriter {
  private pending: Buffer[] = [];

  private constructor(
    private readonly handle: fs.FileHandle,
    private length: number,
  ) {}

  /** Starts a log. @throws when the file exists. */
  static async create(file: string): Promise<TrainingLogWriter> {
    return new TrainingLogWriter(await fs.open(file, 'wx'), 0);
  }

  /** Goes on after the first `length` bytes; what follows them is cut off. */
  static async reopen(file: string, length: number): Promise<TrainingLogWriter> {
    const handle = await fs.open(file, 'r+');
    await handle.truncate(length);
    return new TrainingLogWriter(handle, length);
  }

  /** Bytes of the lines that are in the file. */
  get bytes(): number {
    return this.length;
  }

  /** @throws the system's error; the line is kept. */
  async append(entry: LogEntry): Promise<void> {
    this.pending.push(Buffer.from(`${lineOf(entry)}\n`));
    await this.flush();
  }

  /** Puts everything on the disk itself. @throws the system's error, after which nothing is lost. */
  async sync(): Promise<void> {
    await this.flush();
    await this.handle.sync();
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  private async flush(): Promise<void> {
    while (this.pending.length > 0) {
      const [line] = this.pending;
      for (let done = 0; done < line.length;) {
        const { bytesWritten } = await this.handle.write(line, done, line.length - done, this.length + done);
        done += bytesWritten;
      }
      this.length += line.length;
      this.pending.shift();
    }
  }
}

/** JSON knows neither NaN nor infinity: they are texts. */
function lineOf(entry: LogEntry): string {
  const words = (_key: string, value: unknown): unknown =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
  if (entry.type !== 'step') return JSON.stringify(entry, words);
  const { type, step, loss, parts, learningRate, gradientNorm, gradientChange, images, seconds, problem } =
    entry;
  const change = Number.isNaN(gradientChange) ? undefined : gradientChange;
  const line = {
    type,
    step,
    loss,
    parts,
    rate: learningRate,
    norm: gradientNorm,
    change,
    images,
    seconds,
    problem,
  };
  return JSON.stringify(line, words);
}

/**
 * Reads a log that `train` wrote. A line that is damaged, or torn because the run was killed, is reported by its number and left out.
 * @throws the system's error where the file can't be read.
 */
export async function readTrainingLog(file: string): Promise<TrainingLog> {
  const text = await fs.readFile(file, 'utf8');
  const lines = text.split('\n');
  const torn = lines.pop() !== '';
  const steps: StepLog[] = [];
  const evaluations: EvaluationLog[] = [];
  const resumes: RunNote[] = [];
  const damaged: { line: number; problem: string }[] = [];
  let run: RunNote | undefined;
  lines.forEach((content, i) => {
    try {
      const entry = parseLine(content);
      if (entry.type === 'run') {
        if (i > 0) throw new Error('it begins a run, which only the first line may');
        run = entry.note;
      } else if (entry.type === 'resume') resumes.push(entry.note);
      else if (entry.type === 'evaluation') evaluations.push(entry.evaluation);
      else {
        const last = steps.at(-1)?.step ?? -1;
        if (entry.log.step <= last) throw new Error(`step ${entry.log.step} comes after step ${last}`);
        steps.push(entry.log);
      }
    } catch (error) {
      damaged.push({ line: i + 1, problem: (error as Error).message });
    }
  });
  if (torn) damaged.push({ line: lines.length + 1, problem: 'it does not end: the run was broken off here' });
  const missing = steps.flatMap(({ step }, i): [number, number][] =>
    i > 0 && step > steps[i - 1].step + 1 ? [[steps[i - 1].step + 1, step - 1]] : [],
  );
  return { run, resumes, steps, evaluations, damaged, missing };
}

type ParsedLine =
  | { readonly type: 'run'; readonly note: RunNote }
  | { readonly type: 'resume'; readonly note: RunNote }
  | { readonly type: 'step'; readonly log: StepLog }
  | { readonly type: 'evaluation'; readonly evaluation: EvaluationLog };

function parseLine(content: string): ParsedLine {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    throw new Error(`it is no JSON: ${content.length > 60 ? `${content.slice(0, 60)}…` : content}`);
  }
  const line = objectIn(value, 'the line');
  switch (line.type) {
    case 'run':
    case 'resume':
      return {
        type: line.type,
        note: {
          run: textIn(line, 'run'),
          step: countIn(line, 'step'),
          detlab: textIn(line, 'detlab'),
          tfjs: textIn(line, 'tfjs'),
          node: textIn(line, 'node'),
          backend: textIn(line, 'backend'),
          parameters: countIn(line, 'parameters'),
          settings: objectIn(line.settings, 'settings'),
        },
      };
    case 'step':
      return {
        type: 'step',
        log: {
          step: countIn(line, 'step'),
          learningRate: numberIn(line, 'rate'),
          loss: numberIn(line, 'loss'),
          parts: numbersIn(line, 'parts'),
          gradientNorm: numberIn(line, 'norm'),
          gradientChange: line.change === undefined ? NaN : numberIn(line, 'change'),
          images: countIn(line, 'images'),
          seconds: numberIn(line, 'seconds'),
          ...(line.problem === undefined ? {} : { problem: textIn(line, 'problem') }),
        },
      };
    case 'evaluation':
      if (line.best !== undefined && typeof line.best !== 'boolean')
        throw wrong('best', 'true or false', line.best);
      return {
        type: 'evaluation',
        evaluation: {
          step: countIn(line, 'step'),
          metrics: numbersIn(line, 'metrics'),
          seconds: numberIn(line, 'seconds'),
          ...(line.best === undefined ? {} : { best: line.best }),
        },
      };
    default:
      throw wrong('type', 'run, resume, step or evaluation', line.type);
  }
}

function objectIn(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw wrong(what, 'an object', value);
}

function textIn(line: Record<string, unknown>, field: string): string {
  const value = line[field];
  if (typeof value === 'string') return value;
  throw wrong(field, 'a text', value);
}

function countIn(line: Record<string, unknown>, field: string): number {
  const value = line[field];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw wrong(field, 'a whole number from 0', value);
}

function numberIn(line: Record<string, unknown>, field: string): number {
  const value = line[field];
  if (typeof value === 'number') return value;
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
  throw wrong(field, 'a number', value);
}

function numbersIn(line: Record<string, unknown>, field: string): Record<string, number> {
  const values = objectIn(line[field], field);
  return Object.fromEntries(Object.keys(values).map((name) => [name, numberIn(values, name)]));
}

function wrong(what: string, wanted: string, value: unknown): Error {
  return new Error(
    `${what} should be ${wanted}, but is ${value === undefined ? 'missing' : JSON.stringify(value)}`,
  );
}
