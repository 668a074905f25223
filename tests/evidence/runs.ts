/** Results of the tiny study without running it. */
import type { Profile } from '../../lib/papers/profile';
import type { Provenance } from '../../lib/evidence/provenance';
import { evidenceRun, writeRun } from '../../lib/evidence/store';
import { study } from './tiny-study.mjs';

/** Of a run that nobody made. */
export const provenance: Provenance = {
  commit: '0123456789abcdef',
  dirty: false,
  backend: 'cpu 4.22.0',
  device: 'cpu',
  threads: 1,
  processor: 'a processor',
  node: '20.19.0',
  detlab: '0.1.0',
  tfjs: '4.22.0',
  started: '2026-01-02T03:04:05.678Z',
  seconds: 12.3456789,
};

/** Writes a result for each value, of seeds 1, 2, …; `null` is a diverged run. */
export async function writeResults(
  folder: string,
  arm: string,
  scores: readonly (number | null)[],
  change: { profile?: Profile; threads?: number; norm?: number } = {},
): Promise<void> {
  const { profile = 'default', threads = 1, norm = 2 } = change;
  for (const [i, score] of scores.entries()) {
    const diverged = score === null;
    const result = {
      metrics: { score, norm: diverged ? null : norm },
      diverged,
      curves: { score: [{ step: 1, value: score }] },
    };
    const made = {
      ...provenance,
      commit: '0123456789abcdef0123',
      backend: `tensorflow 2.21.0 on the CPU (${threads} threads, oneDNN)`,
      threads,
      started: `2026-01-0${i + 1}T03:04:05.678Z`,
      seconds: 60 + i,
    };
    await writeRun(folder, evidenceRun(study, { profile, arm, seed: i + 1 }, result, made));
  }
}
