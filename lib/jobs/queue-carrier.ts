/** Work for other machines: puts payloads into a queue on Redis (BullMQ), and collects what workers answer. */
import type { Job, Queue, QueueEvents } from 'bullmq';
import { type CarriedJob, checkCount, type JobCarrier } from './carrier';
import { JobFailure } from './failure';
import { foreignError } from './foreign-error';
import { keepFile, sendFile } from './queue-files';
import {
  bullPrefix,
  checkQueueName,
  hashOf,
  type QueuedJob,
  type QueuedResult,
  type QueuedSource,
  queuedSource,
  readReason,
  redisNames,
} from './queue-job';
import { defaultQueueName, type QueueOptions } from './queue-options';
import { closeAll, connectRedis, type RedisConnection, watchRedis } from './redis';
import type { JobSource } from './source';
import { localFiles } from './thread-carrier';
import { unlessAborted } from './turns';

/** A payload that is in the queue. */
interface Pending {
  readonly id: string;
  readonly place: number;
  readonly payload: unknown;
  readonly answer: Promise<string>;
  settle(result: string): void;
  fail(error: Error): void;
  /** How many wait for it: equal payloads are one job. */
  users: number;
}

/** How long answers that nobody collects stay in Redis, seconds. */
const uncollectedSeconds = 7 * 24 * 3600;
/** How long nobody may serve the queue before that is told, seconds. */
const unservedSeconds = 10;
/** How often files are said to be wanted, seconds. */
const keepFilesSeconds = 3600;

/** Gives payloads to the workers of a queue. */
export class QueueCarrier implements JobCarrier {
  readonly jobs: number;
  private readonly pending: Map<string, Pending> = new Map<string, Pending>();
  private readonly leaving: Set<Promise<void>> = new Set<Promise<void>>();
  private readonly notice: (line: string) => void;
  private readonly group: string;
  private readonly attempts: number;
  private readonly backoffMs: number;
  private readonly unwatch: () => void;
  private readonly polling: NodeJS.Timeout;
  private failure: Error | undefined;
  private unservedSince: number | undefined;
  private keptAt: number = performance.now();

  private constructor(
    private readonly options: QueueOptions,
    private readonly source: QueuedSource,
    private readonly connection: RedisConnection,
    private readonly queue: Queue,
    events: QueueEvents,
    private readonly disconnect: () => Promise<void>,
  ) {
    const { jobs = 32, attempts = 3, backoffSeconds = 1, pollSeconds = 5, patienceSeconds = 600 } = options;
    this.jobs = jobs;
    this.attempts = attempts;
    this.backoffMs = backoffSeconds * 1000;
    this.notice = options.onNotice ?? ((line) => console.warn(line));
    this.group = hashOf([options.id ?? '', source]).slice(0, 16);
    this.unwatch = watchRedis(connection, this.notice, {
      seconds: patienceSeconds,
      lost: (why) => this.failAll(new Error(`openJobs: ${why}`)),
    });
    const announced = ({ jobId }: { jobId: string }): void => void this.collect(jobId).catch(() => undefined);
    events.on('completed', announced);
    events.on('failed', announced);
    // Errors of connections: what they mean is told by the watch.
    queue.on('error', () => undefined);
    events.on('error', () => undefined);
    this.polling = setInterval(() => void this.poll().catch(() => undefined), pollSeconds * 1000);
  }

  /** @throws where the options are wrong, a file is not there, or no Redis answers. */
  static async open(source: JobSource, options: QueueOptions): Promise<QueueCarrier> {
    const { name, jobs = 1, attempts = 1 } = options;
    checkQueueName('openJobs', name);
    checkCount(jobs, 'queue.jobs');
    checkCount(attempts, 'queue.attempts');
    const files = localFiles(source);
    const connection = await connectRedis('openJobs', options.redis);
    const { redis } = connection;
    try {
      const sent = await Promise.all(
        Object.entries(files).map(async ([key, file]) => [key, await sendFile(redis, file)] as const),
      );
      const { Queue, QueueEvents } = await import('bullmq');
      // Waiting for events blocks a connection: that one is the events' own.
      const listening = redis.duplicate();
      const queue = new Queue(name, { connection: redis, prefix: bullPrefix });
      const events = new QueueEvents(name, { connection: listening, prefix: bullPrefix });
      await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
      const close = (): Promise<void> =>
        closeAll([() => events.close(), () => queue.close()], redis.status === 'ready' ? 2000 : 100).finally(
          () => {
            listening.disconnect();
            redis.disconnect();
          },
        );
      return new QueueCarrier(
        options,
        queuedSource(source, Object.fromEntries(sent)),
        connection,
        queue,
        events,
        close,
      );
    } catch (error) {
      redis.disconnect();
      throw error;
    }
  }

  async carry({ place, payload }: CarriedJob, signal: AbortSignal): Promise<string> {
    if (this.failure) throw this.failure;
    const value = JSON.parse(payload) as unknown;
    const id = hashOf([this.group, value]);
    const pending = this.pending.get(id) ?? this.begin(id, place, value);
    pending.users += 1;
    try {
      return await unlessAborted(pending.answer, signal);
    } catch (error) {
      // Another place may have begun it.
      if (error instanceof JobFailure && error.place !== place)
        throw new JobFailure(place, error.reason, error.why, error.cause);
      throw error;
    } finally {
      pending.users -= 1;
      if (pending.users === 0 && this.pending.get(id) === pending) this.leave(pending);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.polling);
    this.unwatch();
    if (this.connection.redis.status === 'ready')
      await closeAll([() => Promise.all(this.leaving), () => this.tellNotices()]);
    await this.disconnect();
  }

  private begin(id: string, place: number, payload: unknown): Pending {
    let settle!: Pending['settle'];
    let fail!: Pending['fail'];
    const answer = new Promise<string>((resolve, reject) => ([settle, fail] = [resolve, reject]));
    answer.catch(() => undefined); // nobody may be listening any more
    const pending: Pending = { id, place, payload, answer, settle, fail, users: 0 };
    this.pending.set(id, pending);
    this.add(pending).catch((error: unknown) => {
      this.pending.delete(id);
      fail(
        new Error(`openJobs: payload ${place} can't be queued: ${(error as Error).message}`, {
          cause: error,
        }),
      );
    });
    return pending;
  }

  /** Puts it into the queue, unless it is there from an earlier time: then what has become of it counts. */
  private async add(pending: Pending): Promise<void> {
    const { source, group, attempts } = this;
    const job: QueuedJob = { source, payload: pending.payload, attempts, group };
    await this.connection.redis.del(redisNames.cancelled(this.options.name, pending.id));
    await this.queue.add(source.name, job, {
      jobId: pending.id,
      attempts,
      backoff: { type: 'exponential', delay: this.backoffMs },
      removeOnComplete: { age: uncollectedSeconds },
      removeOnFail: { age: uncollectedSeconds },
    });
    await this.collect(pending.id);
  }

  /** Takes a job's answer, where it has one, out of the queue. */
  private async collect(id: string): Promise<void> {
    const pending = this.pending.get(id);
    if (!pending) return;
    const state = await this.queue.getJobState(id);
    const over = state === 'completed' || state === 'failed';
    if (!over && state !== 'unknown') return;
    const job = (await this.queue.getJob(id)) as Job<QueuedJob, QueuedResult> | undefined;
    if (this.pending.get(id) !== pending) return; // somebody else was quicker
    const failed = state === 'failed' ? readReason(job?.failedReason ?? '') : undefined;
    // Gone: another leader that wanted the same has collected it. Cancelled: by an earlier leader.
    if (!job || !over || failed?.reason === 'cancelled') {
      await job?.remove().catch(() => undefined);
      return this.add(pending);
    }
    this.pending.delete(id);
    if (failed?.reason === 'threw' || failed?.reason === 'lost' || failed?.reason === 'refused') {
      const { reason, message } = failed;
      const cause = foreignError(message, job.stacktrace?.at(-1) ?? '');
      pending.fail(
        new JobFailure(
          pending.place,
          reason,
          `${reason === 'threw' ? 'failed' : 'could not be done'}: ${message}`,
          cause,
        ),
      );
    } else pending.settle(JSON.stringify(job.returnvalue.result));
    await job.remove().catch(() => undefined);
    // Nobody else has ever had it: there will be no other answer to compare with.
    if (job.attemptsStarted <= 1)
      await this.connection.redis.del(redisNames.answers(this.options.name, id)).catch(() => undefined);
  }

  /** Nobody waits for it any more: it leaves the queue, or whoever works on it is told. */
  private leave(pending: Pending): void {
    const { id } = pending;
    this.pending.delete(id);
    const { redis } = this.connection;
    const left = (async () => {
      if ((await this.queue.remove(id)) === 1) return;
      const { name } = this.options;
      await redis.set(redisNames.cancelled(name, id), 1, 'EX', 24 * 3600);
      await redis.publish(redisNames.cancelChannel(name), id);
    })().catch(() => undefined);
    this.leaving.add(left);
    void left.finally(() => this.leaving.delete(left));
  }

  private failAll(error: Error): void {
    this.failure = error;
    for (const pending of this.pending.values()) pending.fail(error);
    this.pending.clear();
  }

  private async poll(): Promise<void> {
    await Promise.all([...this.pending.keys()].map((id) => this.collect(id)));
    await this.tellNotices();
    await this.tellUnserved();
    if (performance.now() - this.keptAt < keepFilesSeconds * 1000) return;
    this.keptAt = performance.now();
    await Promise.all(Object.values(this.source.files).map((file) => keepFile(this.connection.redis, file)));
  }

  private async tellNotices(): Promise<void> {
    const name = redisNames.notices(this.options.name, this.group);
    for (
      let line = await this.connection.redis.lpop(name);
      line;
      line = await this.connection.redis.lpop(name)
    )
      this.notice(line);
  }

  private async tellUnserved(): Promise<void> {
    if (this.pending.size === 0 || (await this.queue.getWorkersCount()) > 0) {
      this.unservedSince = undefined;
      return;
    }
    this.unservedSince ??= performance.now();
    if (performance.now() - this.unservedSince < unservedSeconds * 1000) return;
    this.unservedSince = Infinity; // once is enough
    const { name } = this.options;
    this.notice(
      `nobody serves the queue '${name}' at ${this.connection.shown}: on each machine that should work, ` +
        `npm run work -- --queue ${this.connection.shown}${name === defaultQueueName ? '' : ` --name ${name}`}`,
    );
  }
}
