/** What work is: where workers find the function that does it, and what that function makes. */
import { loadFunction } from '../tensor/load-function';

/** Where workers find their function: a thread or another machine can't be sent one, but it can load it. */
export interface JobSource {
  /**
   * `detlab`, or the absolute path of a JavaScript file (.js, .cjs or .mjs). Through a queue, a file inside the project is found on every
   * machine wherever its project lies; any other file must have the same path there.
   */
  readonly module: string;
  /** The exported function: `(settings, place: JobPlace) => JobWorker`, or a promise of one. */
  readonly name: string;
  /** What it is given: plain JSON. */
  readonly settings?: unknown;
  /** Files that workers need (weights), by name: their paths here. What workers are given in `place.files` are paths of theirs. */
  readonly files?: Readonly<Record<string, string>>;
  /** `false`: the function's thread needs no backend, for instance as it starts a process of its own. Left out, it is chosen beforehand. */
  readonly backend?: false;
}

/** What a worker is told about where it works. */
export interface JobPlace {
  /** The source's files, by name: absolute paths on this machine. */
  readonly files: Readonly<Record<string, string>>;
  /** How many like it may work side by side on this machine. */
  readonly jobs: number;
  /** The backend that whoever started this worker asked for, if any; it has been chosen already, unless the source has `backend: false`. */
  readonly backend?: string;
}

/** Does one piece of work after another. Payload and result are plain JSON. */
export interface JobWorker<Payload = unknown, Result = unknown> {
  /**
   * One piece of work. What it throws is final: it is taken to depend on the payload alone, and is not tried again
   * (unless it is a `JobLost`).
   * @param signal aborted where nobody wants the result any more: save what should be saved, and throw. It is the interrupt's signal, too,
   *   which `train` listens to.
   */
  run(payload: Payload, signal: AbortSignal): Promise<Result> | Result;
  /** Called once, when there is no more work. */
  close?(): Promise<void> | void;
  /** What of a result must come out the same wherever and whenever it is made: no times, no machines. All of it where left out. */
  identity?(result: Result): unknown;
}

/**
 * Makes a source's worker.
 * @throws an Error naming the module or export that is not there, or that what it returned has no `run`.
 */
export async function loadJobWorker(source: JobSource, place: JobPlace): Promise<JobWorker> {
  const { module, name, settings } = source;
  const make = await loadFunction('openJobs', module, name);
  const worker = (await make(settings, place)) as Partial<JobWorker> | undefined;
  if (typeof worker?.run !== 'function')
    throw new Error(`openJobs: what ${name} of ${module} returned has no function 'run'`);
  return worker as JobWorker;
}
