/** Work for threads of this process. */
import fs from 'node:fs';
import path from 'node:path';
import { type CarriedJob, checkCount, type JobCarrier } from './carrier';
import { JobFailure } from './failure';
import { foreignError } from './foreign-error';
import type { ThreadOptions } from './pool';
import type { JobSource } from './source';
import { type ThreadAnswer, JobThread, type ThreadStart } from './thread';

/** A result, and what of it must always be the same, both JSON. */
export interface ThreadResult {
  readonly result: string;
  readonly identity: string;
}

/** Gives payloads to threads, and starts another thread where one has died. */
export class ThreadCarrier implements JobCarrier {
  private readonly idle: JobThread[] = [];
  private readonly all: Set<JobThread> = new Set<JobThread>();
  private readonly closing: AbortController = new AbortController();

  private constructor(
    private readonly startOf: ThreadStart,
    readonly jobs: number,
    private readonly attempts: number,
  ) {}

  /** Starts all threads. @throws where the source can't be loaded. */
  static async start(source: JobSource, options: ThreadOptions): Promise<ThreadCarrier> {
    const { threads = 1, attempts = 3 } = options;
    checkCount(threads, 'threads');
    checkCount(attempts, 'attempts');
    const files = localFiles(source);
    const backend = options.backend ?? (await chosenBackend(source));
    const start: ThreadStart = {
      source: { ...source, files },
      place: { files, jobs: threads, backend: options.backend },
      backend,
    };
    const carrier = new ThreadCarrier(start, threads, attempts);
    const started = await Promise.allSettled(Array.from({ length: threads }, () => carrier.another()));
    const failed = started.find((one) => one.status === 'rejected');
    for (const one of started) if (one.status === 'fulfilled') carrier.idle.push(one.value);
    if (!failed) return carrier;
    await carrier.close();
    throw failed.reason;
  }

  async carry(job: CarriedJob, signal: AbortSignal): Promise<string> {
    return (await this.carryWhole(job, signal)).result;
  }

  /** The same, with what a result is known by. */
  async carryWhole({ place, payload }: CarriedJob, signal: AbortSignal): Promise<ThreadResult> {
    let why = '';
    for (let attempt = 1; attempt <= this.attempts; attempt++) {
      signal.throwIfAborted();
      const thread = await this.take(place);
      let answer: ThreadAnswer;
      try {
        answer = await thread.run(payload, signal);
      } finally {
        if (thread.gone === undefined) this.idle.push(thread);
        else this.all.delete(thread);
      }
      if (answer.type === 'done') return answer;
      signal.throwIfAborted();
      if (answer.type === 'failed') {
        const cause = foreignError(answer.message, answer.stack);
        throw new JobFailure(place, 'threw', `failed: ${answer.message}`, cause);
      }
      if (answer.type === 'died') why = `the thread that worked on it ${answer.why}`;
      else if (answer.type === 'lost') why = answer.message;
    }
    const times = this.attempts === 1 ? '' : ` (each of the ${this.attempts} times it was tried)`;
    throw new JobFailure(place, 'lost', `could not be done: ${why}${times}`);
  }

  async close(): Promise<void> {
    this.closing.abort();
    await Promise.all([...this.all].map((thread) => thread.end()));
  }

  /** A thread that has nothing to do: there are as many as turns, or they have died. */
  private async take(place: number): Promise<JobThread> {
    for (let thread = this.idle.shift(); thread; thread = this.idle.shift()) {
      if (thread.gone === undefined) return thread;
      this.all.delete(thread); // died of itself
    }
    try {
      return await this.another();
    } catch (error) {
      const message = (error as Error).message;
      throw new JobFailure(
        place,
        'lost',
        `could not be done: no new thread could be started: ${message}`,
        error,
      );
    }
  }

  private async another(): Promise<JobThread> {
    this.closing.signal.throwIfAborted();
    const thread = await JobThread.start(this.startOf, AbortSignal.any([this.closing.signal]));
    this.all.add(thread);
    return thread;
  }
}

/** Absolute paths of a source's files. @throws naming one that is not there. */
export function localFiles(source: JobSource): Record<string, string> {
  return Object.fromEntries(
    Object.entries(source.files ?? {}).map(([name, file]) => {
      const absolute = path.resolve(file);
      if (!fs.existsSync(absolute)) throw new Error(`openJobs: there is no file ${absolute} (${name})`);
      return [name, absolute];
    }),
  );
}

/** The leading thread's. */
async function chosenBackend(source: JobSource): Promise<string | undefined> {
  if (source.backend === false) return undefined;
  return (await import('../tensor/backend.js')).backendInfo()?.name;
}
