/** What a machine that works for a study does: `npm run evidence -- STUDY --queue` puts its runs into a queue. */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { JobLost } from '../jobs/failure';
import { arrivedPath } from '../jobs/queue-job';
import type { JobPlace, JobWorker } from '../jobs/source';
import type { Profile } from '../papers/profile';
import { threadCount } from '../tensor/native';
import { projectRoot } from '../tensor/packages';
import { RunChild } from './run-child';
import type { RunOrder } from './run-process';
import { type EvidenceRun, readRun } from './store';
import { loadStudy } from './studies';

/** What all runs of a study have in common. */
export interface EvidenceJobSettings {
  /** A name, or the path of a file, as it travels. */
  readonly study: string;
  /** A folder of images, as it travels. */
  readonly data?: string;
  readonly profile: Profile;
  readonly backend?: string;
}

/** One run. */
export interface EvidenceJob {
  readonly arm: string;
  readonly seed: number;
  readonly fingerprint: string;
}

/** The threads that each of so many runs side by side gets. */
export function threadsEach(jobs: number): number {
  return Math.max(1, Math.floor(threadCount() / jobs));
}

/** What a machine that works for a study does: a process a run, as `npm run evidence` itself has it. */
export function createEvidenceWorker(
  settings: EvidenceJobSettings,
  place: JobPlace,
): JobWorker<EvidenceJob, EvidenceRun> {
  const { profile } = settings;
  const source = arrivedPath(settings.study);
  const data = settings.data === undefined ? undefined : arrivedPath(settings.data);
  // Where this machine keeps what it has not finished: it goes on with that if it gets the same run again.
  const work = path.join(projectRoot, 'runs', 'evidence');
  return {
    async run({ arm, seed, fingerprint }, signal) {
      const study = await loadStudy(source, data);
      const out = await fs.mkdtemp(path.join(os.tmpdir(), 'detlab-evidence-'));
      try {
        const backend = settings.backend ?? place.backend;
        const order: RunOrder = { study: source, data, profile, arm, seed, fingerprint, out, work, backend };
        const tell = (line: unknown): void => {
          if (typeof line === 'string') console.log(`${study.name}: ${arm} seed ${seed}: ${line}`);
        };
        // The first Ctrl-C lets runs finish: it must not reach them.
        const child = new RunChild(order, threadsEach(place.jobs), tell, { detached: true });
        const stop = (): void => child.stop();
        if (signal.aborted) stop();
        signal.addEventListener('abort', stop, { once: true });
        const problem = await child.ended;
        signal.throwIfAborted();
        const file = await readRun(out, study, { profile, arm, seed });
        if (file.state === 'good') return file.run;
        const why = problem ?? ('problem' in file ? file.problem : 'it ended without a result');
        throw child.interrupted ? new JobLost(why) : new Error(why);
      } finally {
        await fs.rm(out, { recursive: true, force: true });
      }
    },
    // Seconds, machine and backend are another's: what was measured is not.
    identity: ({ provenance: _provenance, ...measured }) => measured,
  };
}
