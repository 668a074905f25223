/** How long the rest of a study takes. */

/** A run that is going on. */
export interface RunningRun {
  readonly arm: string;
  /** Since its process was started. */
  readonly seconds: number;
  /** The first and the latest progress: when it came, and which share of the run was done. A resumed run begins in the middle. */
  readonly first?: { readonly seconds: number; readonly share: number };
  readonly last?: { readonly seconds: number; readonly share: number };
}

/** What is known. */
export interface StudyState {
  readonly jobs: number;
  /** Arms of the runs that have not begun. */
  readonly waiting: readonly string[];
  readonly running: readonly RunningRun[];
  /** Seconds of finished runs, by arm. */
  readonly known: ReadonlyMap<string, readonly number[]>;
}

/**
 * Seconds until all is done, `undefined` where nothing is known yet. An arm takes as long as it did before, an unknown one as long as the others
 * on average; the runs go to the jobs in order.
 */
export function secondsLeft({ jobs, waiting, running, known }: StudyState): number | undefined {
  const whole = new Map<string, number>([...known].map(([arm, seconds]) => [arm, mean(seconds)]));
  const rest = running.map((run) => {
    const pace = paceOf(run);
    if (pace === undefined) return undefined;
    if (!whole.has(run.arm)) whole.set(run.arm, pace);
    return Math.max(0, pace * (1 - run.last!.share) - (run.seconds - run.last!.seconds));
  });
  if (whole.size === 0) return undefined;
  const usual = mean([...whole.values()]);
  const of = (arm: string): number => whole.get(arm) ?? usual;
  const free = running.map((run, i) => rest[i] ?? Math.max(0, of(run.arm) - run.seconds));
  while (free.length < jobs) free.push(0);
  for (const arm of waiting) {
    const next = free.indexOf(Math.min(...free));
    free[next] += of(arm);
  }
  return Math.max(...free);
}

/** Seconds that a whole run takes at its present speed. */
function paceOf({ first, last }: RunningRun): number | undefined {
  if (!first || !last || !(last.share > first.share)) return undefined;
  return (last.seconds - first.seconds) / (last.share - first.share);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
