/** Runs of a study on several machines: each (arm, seed) is a job of a queue, and its result file comes back. */
import path from 'node:path';
import { JobFailure } from '../jobs/failure';
import { type JobPool, openJobs } from '../jobs/pool';
import { travellingPath } from '../jobs/queue-job';
import type { QueueOptions } from '../jobs/queue-options';
import type { EvidenceJob, EvidenceJobSettings } from './evidence-worker';
import type { StartedRun } from './run-child';
import type { RunOrder } from './run-process';
import { type EvidenceRun, writeRun } from './store';

/** Runs that other machines make. */
export interface QueuedRuns {
  /** How many are out at most. */
  readonly jobs: number;
  /** Puts one into the queue; its result is stored as a run's own process would store it. */
  begin(order: RunOrder): StartedRun;
  close(): Promise<void>;
}

/** Opens the queue for the runs of one study. @throws where no Redis answers. */
export async function openQueuedRuns(
  settings: EvidenceJobSettings,
  queue: QueueOptions,
): Promise<QueuedRuns> {
  const study = /\.[cm]?js$/.test(settings.study)
    ? travellingPath(path.resolve(settings.study))
    : settings.study;
  const data = settings.data === undefined ? undefined : travellingPath(path.resolve(settings.data));
  const pool = await openJobs<EvidenceJob, EvidenceRun>(
    {
      module: 'detlab',
      name: 'createEvidenceWorker',
      settings: { ...settings, study, data },
      // The run's own process has one.
      backend: false,
    },
    { queue },
  );
  return {
    jobs: pool.jobs,
    begin: (order) => new QueuedRun(pool, order),
    close: () => pool.close(),
  };
}

/** One run in the queue. */
class QueuedRun implements StartedRun {
  readonly ended: Promise<string | undefined>;
  private readonly leaving: AbortController = new AbortController();
  private readonly started: number = performance.now();

  constructor(
    pool: JobPool<EvidenceJob, EvidenceRun>,
    private readonly order: RunOrder,
  ) {
    this.ended = this.collect(pool);
  }

  stop(): void {
    this.leaving.abort(new Error('it was stopped'));
  }

  kill(): void {
    this.stop();
  }

  timing(): ReturnType<StartedRun['timing']> {
    return { arm: this.order.arm, seconds: (performance.now() - this.started) / 1000 };
  }

  text(): string {
    return `${this.order.arm} seed ${this.order.seed}`;
  }

  private async collect(pool: JobPool<EvidenceJob, EvidenceRun>): Promise<string | undefined> {
    const { arm, seed, fingerprint, profile, out } = this.order;
    try {
      const run = await pool.run({ arm, seed, fingerprint }, this.leaving.signal);
      if (run.arm !== arm || run.seed !== seed || run.profile !== profile || run.fingerprint !== fingerprint)
        throw new Error(
          `the queue gave another run: ${run.arm} seed ${run.seed} at the ${run.profile} profile`,
        );
      await writeRun(out, run);
      return undefined;
    } catch (error) {
      // The words of the run's own process, stack and all, where there are some.
      if (error instanceof JobFailure && error.reason === 'threw') return (error.cause as Error).message;
      return error instanceof JobFailure ? error.why : (error as Error).message;
    }
  }
}
