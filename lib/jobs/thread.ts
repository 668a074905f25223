/** A thread that works, as the thread that leads sees it. */
import fs from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { projectRoot } from '../tensor/packages';
import { foreignError } from './foreign-error';
import type { JobPlace, JobSource } from './source';

/** What a thread is started with. */
export interface ThreadStart {
  readonly source: JobSource;
  readonly place: JobPlace;
  /** Left out: the fastest. */
  readonly backend?: string;
}

/** What it is asked. */
export type ThreadRequest =
  | { readonly type: 'run'; readonly payload: string }
  | { readonly type: 'abort'; readonly why: string }
  | { readonly type: 'end' };

/** What it answers; after `ready` one of the others to each `run`. */
export type ThreadReply =
  | { readonly type: 'ready' }
  /** JSON, and what of it must always be the same. */
  | { readonly type: 'done'; readonly result: string; readonly identity: string }
  | { readonly type: 'failed'; readonly message: string; readonly stack: string }
  /** Not for good: see `JobLost`. */
  | { readonly type: 'lost'; readonly message: string };

/** How a run went. */
export type ThreadAnswer = ThreadReply | { readonly type: 'died'; readonly why: string };

/** How long a thread may take to end by itself, milliseconds. */
const endMs = 3000;

/** One thread. */
export class JobThread {
  /** Why it can do nothing more. */
  gone: string | undefined;
  private readonly worker: Worker;
  private readonly exited: Promise<void>;
  private settle: ((answer: ThreadAnswer) => void) | undefined;

  private constructor(start: ThreadStart) {
    // Not the options of this process: a profiler or a loader must not start in each thread.
    this.worker = new Worker(threadScript(), { workerData: start, execArgv: [] });
    const leave = (why: string): void => {
      this.gone ??= why;
      this.answer({ type: 'died', why: this.gone });
    };
    this.worker.on('message', (reply: ThreadReply) => this.answer(reply));
    this.worker.on('messageerror', (error) => leave(`sent what can't be read: ${error.message}`));
    this.worker.on('error', (error) => leave(`died: ${error.message}`));
    this.worker.on('exit', (code) => leave(`died: its thread ended with exit code ${code}`));
    this.exited = new Promise((resolve) => this.worker.once('exit', () => resolve()));
  }

  /**
   * Starts a thread, and waits until it has loaded its source.
   * @throws what loading threw, as the cause; or that it died before.
   */
  static async start(start: ThreadStart, signal?: AbortSignal): Promise<JobThread> {
    const thread = new JobThread(start);
    const abort = (): void => void thread.end();
    signal?.addEventListener('abort', abort, { once: true });
    const answer = await thread.expect();
    signal?.removeEventListener('abort', abort);
    if (answer.type === 'ready') return thread;
    await thread.end();
    if (answer.type === 'failed')
      throw new Error(answer.message, { cause: foreignError(answer.message, answer.stack) });
    const { module, name } = start.source;
    throw new Error(
      `openJobs: a thread ${answer.type === 'died' ? answer.why : ''} while it loaded ${name} of ${module}`,
    );
  }

  /** One payload; the next one only after the answer to this. */
  async run(payload: string, signal: AbortSignal): Promise<ThreadAnswer> {
    if (this.gone !== undefined) return { type: 'died', why: this.gone };
    const answer = this.expect();
    const abort = (): void => this.say({ type: 'abort', why: String((signal.reason as Error)?.message) });
    this.say({ type: 'run', payload });
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await answer;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Ends it: what it does is aborted, and it may close its worker, but only for so long. */
  async end(): Promise<void> {
    if (this.worker.threadId < 0) return; // has ended
    this.say({ type: 'end' });
    await Promise.race([this.exited, new Promise<void>((resolve) => setTimeout(resolve, endMs).unref())]);
    if (this.worker.threadId < 0) return;
    this.gone ??= 'was ended';
    void this.worker.terminate();
    // A thread in native code may never end; nobody waits for it.
    this.worker.unref();
    this.answer({ type: 'died', why: this.gone });
  }

  private say(request: ThreadRequest): void {
    this.worker.postMessage(request);
  }

  private expect(): Promise<ThreadAnswer> {
    if (this.gone !== undefined) return Promise.resolve({ type: 'died', why: this.gone });
    return new Promise((settle) => void (this.settle = settle));
  }

  private answer(answer: ThreadAnswer): void {
    const { settle } = this;
    this.settle = undefined;
    settle?.(answer);
  }
}

/** Threads run compiled code. */
function threadScript(): string {
  const file = path.join(projectRoot, 'dist', 'jobs', 'thread-main.js');
  if (fs.existsSync(file)) return file;
  throw new Error('openJobs: the compiled code of its threads is not there: run npm run build');
}
