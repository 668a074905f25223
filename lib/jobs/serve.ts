/** What a machine that works runs: takes jobs from a queue, does them in threads of its own, and answers. */
import os from 'node:os';
import path from 'node:path';
import type { Job } from 'bullmq';
import { cacheDirectory } from '../tensor/cache';
import { checkCount } from './carrier';
import { JobFailure } from './failure';
import {
  bullPrefix,
  checkQueueName,
  hashOf,
  markReason,
  type QueuedJob,
  type QueuedResult,
  redisNames,
} from './queue-job';
import { closeAll, connectRedis, watchRedis } from './redis';
import { ServedSources, WrongCode } from './served-sources';
import { unlessAborted } from './turns';

/** What is served, and how. */
export interface ServeOptions {
  /** See `QueueOptions`. */
  readonly redis: string;
  /** The queue's name. */
  readonly name: string;
  /** How many side by side, each in a thread with a TensorFlow of its own; default 1. */
  readonly jobs?: number;
  /** The threads' backend; the fastest unless told. */
  readonly backend?: string;
  /** How long a worker may not be heard of before its job goes to another one, seconds; default 30. */
  readonly lockSeconds?: number;
  /** Where files of sources are kept; default: in the cache directory. */
  readonly filesFolder?: string;
  /** Aborted: what is worked on is given back, and another worker takes it. */
  readonly giveBackSignal?: AbortSignal;
  /** A line that somebody should read; default: `console.log`. */
  readonly onNotice?: (line: string) => void;
}

const gaveBack: Error = new Error('the worker was stopped; another one takes the job');
const cancelled: Error = new Error('nobody wants the result any more');
/** Answers are compared with those that come this much later, seconds. */
const comparedSeconds = 24 * 3600;

/**
 * Serves a queue until `signal` is aborted, then finishes what it has (or gives it back, see `giveBackSignal`) and returns.
 * @throws an Error where options are wrong, or no Redis answers within five seconds.
 */
export async function serveJobs(options: ServeOptions, signal: AbortSignal): Promise<void> {
  const { name, jobs = 1, lockSeconds = 30, giveBackSignal = new AbortController().signal } = options;
  checkQueueName('serveJobs', name);
  checkCount(jobs, 'jobs');
  const notice = options.onNotice ?? ((line: string) => console.log(line));
  const connection = await connectRedis('serveJobs', options.redis);
  const { redis, shown } = connection;
  const { Worker, UnrecoverableError, WaitingError } = await import('bullmq');
  const me = `${os.hostname()}:${process.pid}`;
  const sources = new ServedSources({
    redis,
    jobs,
    backend: options.backend,
    folder: options.filesFolder ?? path.join(cacheDirectory(), 'jobs'),
  });
  const stops = new Map<string, AbortController>();
  const giveBack = (): void => stops.forEach((stop) => stop.abort(gaveBack));
  giveBackSignal.addEventListener('abort', giveBack, { once: true });

  const final = (
    reason: 'threw' | 'lost' | 'refused' | 'cancelled',
    message: string,
    stack?: string,
  ): Error => {
    const error = new UnrecoverableError(markReason(reason, message));
    if (stack !== undefined) error.stack = stack;
    return error;
  };

  const work = async (job: Job<QueuedJob, QueuedResult>, token?: string): Promise<QueuedResult> => {
    const { data } = job;
    const id = job.id!;
    const tries = job.attemptsStarted - (data.givenBack ?? 0);
    if (tries > data.attempts)
      throw final(
        'lost',
        `${data.attempts} workers were lost while they worked on it; the last was to be replaced by ${me}`,
      );
    const stop = new AbortController();
    stops.set(id, stop);
    const started = performance.now();
    try {
      if ((await redis.exists(redisNames.cancelled(name, id))) === 1) stop.abort(cancelled);
      if (giveBackSignal.aborted) stop.abort(gaveBack);
      const running = sources.run(data, stop.signal);
      // Giving back does not wait for a worker that takes its time to hear of it.
      const { result, identity } = await unlessAborted(running, giveBackSignal);
      await compare(job, token, identity);
      notice(
        `${id.slice(0, 8)} of ${data.source.name}: done, ${((performance.now() - started) / 1000).toFixed(1)} s`,
      );
      return { result: JSON.parse(result) as unknown, worker: me };
    } catch (error) {
      if (giveBackSignal.aborted) {
        await job.updateData({ ...data, givenBack: (data.givenBack ?? 0) + 1 });
        await job.moveToWait(token);
        notice(`${id.slice(0, 8)} of ${data.source.name}: given back`);
        throw new WaitingError();
      }
      if (stop.signal.aborted) throw final('cancelled', cancelled.message);
      notice(`${id.slice(0, 8)} of ${data.source.name}: ${(error as Error).message}`);
      if (error instanceof WrongCode) throw final('refused', `${me} ${error.message}`);
      if (!(error instanceof JobFailure))
        throw final('threw', `${(error as Error).message} (on ${me})`, (error as Error).stack);
      const { reason, cause } = error;
      if (reason === 'threw' && cause instanceof Error) throw final('threw', cause.message, cause.stack);
      // Its thread died: perhaps for want of memory here. BullMQ has it tried again.
      throw new Error(markReason('lost', `${error.why} (on ${me})`), { cause: error });
    } finally {
      stops.delete(id);
    }
  };

  /** Two workers may come to do one job, where one was thought lost. The first answer counts; one that differs must not go unseen. */
  const compare = async (job: Job<QueuedJob>, token: string | undefined, identity: string): Promise<void> => {
    const answers = redisNames.answers(name, job.id!);
    await redis.hset(answers, `${me} ${token}`, hashOf(identity));
    await redis.expire(answers, comparedSeconds);
    const all = await redis.hgetall(answers);
    if (new Set(Object.values(all)).size < 2) return;
    const who = Object.keys(all).map((key) => key.split(' ')[0]);
    const line = `a job of ${job.data.source.name} was done more than once, by ${who.join(' and ')}, and the results differ; the first counts`;
    notice(line);
    const notices = redisNames.notices(name, job.data.group);
    await redis.rpush(notices, line);
    await redis.expire(notices, comparedSeconds);
  };

  const listening = redis.duplicate();
  listening.on('error', () => undefined);
  listening.on('message', (_channel, id) => stops.get(id)?.abort(cancelled));
  await listening.subscribe(redisNames.cancelChannel(name));

  const worker = new Worker<QueuedJob, QueuedResult>(name, work, {
    connection: redis,
    prefix: bullPrefix,
    concurrency: jobs,
    lockDuration: lockSeconds * 1000,
    stalledInterval: (lockSeconds * 1000) / 2,
    // How often a job may be tried is the leader's choice, and is counted above.
    maxStalledCount: 1_000_000,
    drainDelay: 2,
    runRetryDelay: 1000,
  });
  worker.on('failed', (job, error) => {
    if (error.message.startsWith('cancelled: ')) void job?.remove().catch(() => undefined);
  });
  let last = '';
  worker.on('error', (error) => {
    // A Redis that is away says so again and again; a lock that was lost says nothing that the answers don't.
    if (error.message !== last && !/lock|ECONN|closed/i.test(error.message))
      notice(`queue: ${error.message}`);
    last = error.message;
  });
  const unwatch = watchRedis(connection, notice);
  try {
    await worker.waitUntilReady();
    notice(`serves the queue '${name}' at ${shown}, ${jobs} at a time, as ${me}`);
    await aborted(AbortSignal.any([signal, giveBackSignal]));
    const closed = worker.close();
    // Who gives back must not wait for a Redis that is away.
    const enough = aborted(giveBackSignal).then(() => closeAll([() => closed], 10_000));
    await Promise.race([closed, enough]);
  } finally {
    giveBackSignal.removeEventListener('abort', giveBack);
    unwatch();
    await closeAll([() => worker.close(true)]);
    await sources.close();
    listening.disconnect();
    redis.disconnect();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
