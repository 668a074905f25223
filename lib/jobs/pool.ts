/** Hands out work: to threads of this process, or through a queue to other machines. */
import { checkPlainJson } from '../tensor/plain-json';
import type { JobCarrier } from './carrier';
import type { QueueOptions } from './queue-options';
import type { JobSource } from './source';
import { ThreadCarrier } from './thread-carrier';
import { Turns, unlessAborted } from './turns';

/** Work that is handed out. */
export interface JobPool<Payload = unknown, Result = unknown> {
  /** How many payloads are out at most; the rest wait in order. */
  readonly jobs: number;
  /**
   * Has one payload worked on; may be called for many at once. Payloads count from 0 in the order of these calls.
   * @throws JobFailure where there is no result; the signal's reason once it is aborted; an Error where the payload is not plain JSON, the
   *   pool was closed, or the queue can't be reached any more.
   */
  run(payload: Payload, signal?: AbortSignal): Promise<Result>;
  /** Ends all work in bounded time: what is out or waits fails. */
  close(): Promise<void>;
}

/** Options of work for threads. */
export interface ThreadOptions {
  /** How many; default 1. Each has its own TensorFlow, on the leading thread's backend where that has chosen one. */
  readonly threads?: number;
  /** How often a payload is tried whose thread dies; default 3. */
  readonly attempts?: number;
  /** The threads' backend, where it is to be another one than the leading thread's. */
  readonly backend?: string;
}

/** Who does the work. */
export type JobsOptions = (ThreadOptions & { readonly queue?: undefined }) | QueueJobsOptions;

/** Machines that serve a queue (`npm run work`) do it. */
export interface QueueJobsOptions {
  readonly queue: QueueOptions;
  readonly threads?: undefined;
}

/**
 * Starts what does the work: `{ threads }` of this process, each with a TensorFlow of its own (one, where nothing is said), or the machines
 * that serve `{ queue }`.
 * @throws an Error where threads can't load the source, its settings are not plain JSON, a file of it is not there, or no Redis answers
 *   within five seconds (naming the address). Whether the machines of a queue can load it shows with the first payload.
 */
export async function openJobs<Payload = unknown, Result = unknown>(
  source: JobSource,
  options: JobsOptions = {},
): Promise<JobPool<Payload, Result>> {
  if (source.settings !== undefined) checkPlainJson(source.settings, 'openJobs: settings');
  if (options.queue === undefined) return new Pool(await ThreadCarrier.start(source, options));
  if (options.threads !== undefined)
    throw new Error('openJobs: either threads of this process or a queue, not both');
  // Who asks for no queue does not load its packages.
  const { QueueCarrier } = await import('./queue-carrier.js');
  return new Pool(await QueueCarrier.open(source, options.queue));
}

class Pool<Payload, Result> implements JobPool<Payload, Result> {
  readonly jobs: number;
  private readonly turns: Turns;
  private readonly closing: AbortController = new AbortController();
  private closed: Promise<void> | undefined;
  private count = 0;

  constructor(private readonly carrier: JobCarrier) {
    this.jobs = carrier.jobs;
    this.turns = new Turns(carrier.jobs);
  }

  async run(payload: Payload, signal?: AbortSignal): Promise<Result> {
    const place = this.count++;
    checkPlainJson(payload, `openJobs: payload ${place}`);
    const text = JSON.stringify(payload);
    // One of its own for each payload: many listeners to one signal would be taken for a leak.
    const either = AbortSignal.any([this.closing.signal, ...(signal ? [signal] : [])]);
    const endTurn = await this.turns.take(either);
    const carried = this.carrier.carry({ place, payload: text }, either).finally(endTurn);
    // A worker may take its time to hear of it; whoever asked need not wait for that, the next payload does.
    return JSON.parse(await unlessAborted(carried, either)) as Result;
  }

  close(): Promise<void> {
    this.closed ??= (async () => {
      this.closing.abort(new Error('openJobs: the pool was closed before this payload was done'));
      await this.carrier.close();
    })();
    return this.closed;
  }
}
