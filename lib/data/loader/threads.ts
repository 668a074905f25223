/** The worker threads of a loader: started when there is work, ended when there has been none for a while. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { projectRoot } from '../../tensor/packages';
import {
  controlWords,
  endMessage,
  readyMessage,
  type Job,
  type JobMessage,
  type ThreadSettings,
} from './job';

/** How a job ended: every image of it answered for, in order; or the threads are gone. */
export type JobOutcome =
  { readonly messages: readonly JobMessage[]; readonly images?: Float32Array } | { readonly died: Error };

/** A job that was handed to the threads. */
export interface RunningJob {
  /** Never rejects. A job that was cancelled may never settle. */
  readonly outcome: Promise<JobOutcome>;
  /** No further image of it is begun. */
  cancel(): void;
}

interface Pending {
  readonly job: Job;
  readonly messages: JobMessage[];
  /** How many answers come. */
  expected: number;
  images?: Float32Array;
  readonly settle: (outcome: JobOutcome) => void;
}

/** How long threads without work are kept, and how long one may take to end, in milliseconds. */
const idleMs = 30_000;
const endMs = 2000;

/** Those that run now. */
const live = new Set<LoaderThreads>();
let watchesExit = false;

/** A thread that is killed while the decoder works for it makes the decoder complain. */
function settleAtExit(): void {
  if (watchesExit) return;
  watchesExit = true;
  process.on('exit', () => {
    const deadline = performance.now() + endMs;
    for (const threads of live) threads.settle(deadline);
  });
}

/**
 * The compiled module that threads run, or `undefined` where there is none.
 * @param beside only beside this very file: code that runs uncompiled, as in tests, has what was built last elsewhere.
 */
export function threadScript(beside: boolean): string | undefined {
  const places = [__dirname, ...(beside ? [] : [path.join(projectRoot, 'dist', 'data', 'loader')])];
  return places.map((folder) => path.join(folder, 'worker.js')).find((file) => existsSync(file));
}

/** A loader's threads. They keep the process alive only while somebody waits for them. */
export class LoaderThreads {
  private workers: Worker[] = [];
  private readonly pending = new Map<number, Pending>();
  /** Shared memory for batches: used again as soon as its job is over. */
  private buffers: Float32Array[] = [];
  private busy: Int32Array = new Int32Array(0);
  private waiting = 0;
  private begun = 0;
  private starting: Promise<void> | undefined;
  private idle: NodeJS.Timeout | undefined;

  /**
   * @param title begins error messages.
   * @param bufferLength values of a full batch.
   */
  constructor(
    private readonly title: string,
    private readonly script: string,
    private readonly count: number,
    private readonly settings: Omit<ThreadSettings, 'busy'>,
    private readonly bufferLength: number,
  ) {}

  /** How many threads run now. */
  get running(): number {
    return this.workers.length;
  }

  /** Resolves when all threads are there; rejects when one can't be started. */
  start(): Promise<void> {
    if (this.workers.length > 0) return this.starting!;
    clearTimeout(this.idle);
    live.add(this);
    settleAtExit();
    this.busy = new Int32Array(new SharedArrayBuffer(4));
    const workerData: ThreadSettings = { ...this.settings, busy: this.busy };
    const started: Promise<void>[] = [];
    for (let i = 0; i < this.count; i++) {
      // Not the options of this process: a profiler or a loader must not start in each thread.
      const worker = new Worker(this.script, { workerData, execArgv: [] });
      this.workers.push(worker);
      started.push(this.listen(worker));
      // After the listeners: to listen for messages is to wait for them.
      if (this.waiting === 0) worker.unref();
    }
    this.starting = Promise.all(started).then(() => undefined);
    this.starting.catch(() => undefined); // told by the jobs, too
    return this.starting;
  }

  /** Hands a job to the threads. `images`: whether to make them, or only to read them. */
  run(job: Pick<Job, 'seed' | 'tasks' | 'keep'>, images: boolean): RunningJob {
    void this.start();
    clearTimeout(this.idle);
    const number = this.begun++;
    const control = new Int32Array(new SharedArrayBuffer(4 * (controlWords.made + job.tasks.length)));
    const buffer = images ? (this.buffers.pop() ?? this.newBuffer()) : undefined;
    const whole: Job = { ...job, number, control, ...(buffer && { images: buffer }) };
    const outcome = new Promise<JobOutcome>((settle) => {
      this.pending.set(number, { job: whole, messages: [], expected: job.tasks.length, settle });
    });
    for (const worker of this.workers) worker.postMessage(whole);
    return { outcome, cancel: () => this.cancel(number) };
  }

  /** Waits for a job's end, and keeps the process alive for it. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    if (this.waiting++ === 0) for (const worker of this.workers) worker.ref();
    try {
      return await promise;
    } finally {
      if (--this.waiting === 0) for (const worker of this.workers) worker.unref();
    }
  }

  /** Ends the threads. Jobs that run are told so; a later job starts new threads. */
  async close(): Promise<void> {
    await this.end(new Error(`${this.title}: the loader was closed while it made batches`));
  }

  /** Blocks until no thread has an image in work, and lets none begin another. */
  settle(deadline: number): void {
    for (const { job } of this.pending.values()) stop(job);
    for (;;) {
      const busy = Atomics.load(this.busy, 0);
      const left = deadline - performance.now();
      if (busy <= 0 || left <= 0) return;
      Atomics.wait(this.busy, 0, busy, left);
    }
  }

  private newBuffer(): Float32Array {
    return new Float32Array(new SharedArrayBuffer(this.bufferLength * 4));
  }

  /** Settled when the thread has said that it is ready, or has ended. */
  private listen(worker: Worker): Promise<void> {
    return new Promise((resolve, reject) => {
      const died = (why: string, cause?: unknown): void => {
        const error = new Error(
          `${this.title}: a thread that makes batches ended early (${why}). ` +
            'With workers: 0 the same work is done without threads, and shows where it fails.',
          { cause },
        );
        reject(error);
        if (this.workers.includes(worker)) void this.end(error);
      };
      worker.on('message', (message: JobMessage | typeof readyMessage) => {
        if (message === readyMessage) resolve();
        else this.receive(message);
      });
      worker.on('error', (error) => died(error.message, error));
      worker.on('exit', (code) => died(`exit code ${code}`));
    });
  }

  private receive(message: JobMessage): void {
    const pending = this.pending.get(message.number);
    if (pending === undefined) return;
    pending.messages.push(message);
    if (message.images) pending.images = message.images;
    this.finishIfDone(pending);
  }

  private cancel(number: number): void {
    const pending = this.pending.get(number);
    if (pending === undefined) return;
    // Those that are being made still write to the shared memory, so that it is not free before they are done.
    pending.expected = Math.min(pending.expected, stop(pending.job));
    this.finishIfDone(pending);
  }

  private finishIfDone({ job, messages, expected, images, settle }: Pending): void {
    if (messages.length < expected) return;
    this.pending.delete(job.number);
    if (job.images) this.buffers.push(job.images);
    messages.sort((a, b) => a.place - b.place);
    settle({ messages, images });
    if (this.pending.size > 0) return;
    clearTimeout(this.idle);
    this.idle = setTimeout(() => void this.close(), idleMs).unref();
  }

  private async end(error: Error): Promise<void> {
    clearTimeout(this.idle);
    const workers = this.workers;
    this.workers = [];
    this.buffers = [];
    live.delete(this);
    const pending = [...this.pending.values()];
    this.pending.clear();
    for (const { job, settle } of pending) {
      stop(job);
      settle({ died: error });
    }
    await Promise.all(workers.map(endWorker));
  }
}

/** Lets nobody begin another image of a job. Returns how many were begun. */
function stop({ control, tasks }: Job): number {
  return Math.min(tasks.length, Atomics.exchange(control, controlWords.taken, tasks.length));
}

/** Lets a thread finish the images that it has in work. */
async function endWorker(worker: Worker): Promise<void> {
  if (worker.threadId < 0) return; // has ended
  worker.ref();
  await new Promise<void>((resolve) => {
    const impatient = setTimeout(() => void worker.terminate(), endMs);
    worker.once('exit', () => {
      clearTimeout(impatient);
      resolve();
    });
    worker.postMessage(endMessage);
  });
}
