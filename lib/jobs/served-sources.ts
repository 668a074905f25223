/** The sources that a machine works for: each is loaded once, when its first job comes. */
import type { Redis } from 'ioredis';
import { fetchFile } from './queue-files';
import { arrivedPath, codeVersion, hashOf, type QueuedJob, type QueuedSource } from './queue-job';
import { ThreadCarrier, type ThreadResult } from './thread-carrier';

/** What this machine has is not what the leader has. */
export class WrongCode extends Error {
  override readonly name: string = 'WrongCode';
}

/** How sources are served. */
export interface ServedSourcesOptions {
  readonly redis: Redis;
  readonly jobs: number;
  readonly backend?: string;
  /** For files that come through the queue. */
  readonly folder: string;
}

interface Served {
  readonly threads: Promise<ThreadCarrier>;
  /** How many jobs it has. */
  busy: number;
}

/** Threads, by source. */
export class ServedSources {
  private readonly served: Map<string, Served> = new Map<string, Served>();

  constructor(private readonly options: ServedSourcesOptions) {}

  /** Does one job. @throws WrongCode, JobFailure, or what loading the source threw. */
  async run({ source, payload }: QueuedJob, signal: AbortSignal): Promise<ThreadResult> {
    const key = hashOf(source);
    let served = this.served.get(key);
    if (!served) {
      // Their memory is wanted: the next source's threads load networks of their own.
      await this.closeIdle();
      served = this.served.get(key) ?? { threads: this.open(source), busy: 0 };
      this.served.set(key, served);
    }
    served.busy += 1;
    try {
      let threads: ThreadCarrier;
      try {
        threads = await served.threads;
      } catch (error) {
        if (this.served.get(key) === served) this.served.delete(key);
        throw error;
      }
      return await threads.carryWhole({ place: 0, payload: JSON.stringify(payload) }, signal);
    } finally {
      served.busy -= 1;
    }
  }

  /** Ends all threads. */
  async close(): Promise<void> {
    await Promise.all([...this.served.keys()].map((key) => this.end(key)));
  }

  private async open(queued: QueuedSource): Promise<ThreadCarrier> {
    const { redis, jobs, backend, folder } = this.options;
    const { name, settings } = queued;
    const module = arrivedPath(queued.module);
    const [theirs, ours] = [queued.code, codeVersion(module)];
    if (theirs.version !== ours.version || theirs.fingerprint !== ours.fingerprint)
      throw new WrongCode(
        `has other code than the leader: detlab ${ours.version} with ${name} of ${module} (${ours.fingerprint}), ` +
          `the leader detlab ${theirs.version} (${theirs.fingerprint}); bring both to the same commit, build, and start the worker again`,
      );
    const files = await Promise.all(
      Object.entries(queued.files).map(
        async ([key, file]) => [key, await fetchFile(redis, file, folder)] as const,
      ),
    );
    return ThreadCarrier.start(
      { module, name, settings, backend: queued.backend, files: Object.fromEntries(files) },
      // A thread that dies is the queue's business: it has the job tried again, perhaps elsewhere.
      { threads: jobs, attempts: 1, backend },
    );
  }

  private async closeIdle(): Promise<void> {
    await Promise.all([...this.served].flatMap(([key, { busy }]) => (busy === 0 ? [this.end(key)] : [])));
  }

  private async end(key: string): Promise<void> {
    const served = this.served.get(key);
    this.served.delete(key);
    const threads = await served?.threads.catch(() => undefined);
    await threads?.close();
  }
}
