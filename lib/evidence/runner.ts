/** Runs what is missing of a study: a process a run, several side by side, seed by seed. */
import { clock, StatusLine } from '../notebook/runner/status-line';
import type { Profile } from '../papers/profile';
import { formatCount, formatDuration } from '../plot/format';
import { fingerprintOf, runSettings } from './check-study';
import { threadsEach } from './evidence-worker';
import type { QueuedRuns } from './queued-run';
import { RunChild, type Started, type StartedRun } from './run-child';
import type { RunOrder } from './run-process';
import { armOf, type EvidenceRun, type FileState, readRun } from './store';
import type { Study } from './study';
import { secondsLeft } from './time-left';
import { removeWork } from './work-folder';

/** What is to be run, and how. */
export interface RunnerOptions {
  readonly study: Study;
  /** What `loadStudy` takes. */
  readonly source: string;
  readonly data?: string;
  readonly profile: Profile;
  /** Names of arms. */
  readonly arms: readonly string[];
  readonly seeds: readonly number[];
  readonly jobs: number;
  readonly backend?: string;
  /** Other machines make the runs; then `jobs` and `work` are theirs. */
  readonly queued?: QueuedRuns;
  /** Where results go: OUT/STUDY/PROFILE. */
  readonly out: string;
  /** Where unfinished runs are kept. */
  readonly work: string;
  /** Aborted once: runs save and end. */
  readonly signal: AbortSignal;
  /** Aborted: they end at once. */
  readonly killSignal?: AbortSignal;
  readonly line?: StatusLine;
}

/** One run of the plan. */
export interface PlannedRun {
  readonly arm: string;
  readonly seed: number;
  readonly file: FileState;
}

/** How it went. */
export interface RunnerResult {
  /** Good results now. */
  readonly there: number;
  readonly of: number;
  /** `ARM seed N: why`. */
  readonly failures: readonly string[];
}

/** Every arm of the first seed, then of the second: a study that is broken off has whole seeds. */
export async function planRuns(
  options: Pick<RunnerOptions, 'study' | 'profile' | 'arms' | 'seeds' | 'out'>,
): Promise<PlannedRun[]> {
  const { study, profile, arms, seeds, out } = options;
  const plan: PlannedRun[] = [];
  for (const seed of seeds)
    for (const arm of arms) plan.push({ arm, seed, file: await readRun(out, study, { profile, arm, seed }) });
  return plan;
}

/** Runs what is missing, stale or broken. A run that fails is told; the others go on. */
export async function runStudy(options: RunnerOptions): Promise<RunnerResult> {
  const { study, profile, out, work, signal, queued } = options;
  const jobs = queued?.jobs ?? options.jobs;
  const line = options.line ?? new StatusLine(process.stdout, 60);
  const threads = threadsEach(jobs);
  const plan = await planRuns(options);
  const waiting = plan.filter(({ file }) => file.state !== 'good');
  let there = plan.length - waiting.length;
  const share = `, ${jobs} at a time, ${formatCount(threads, 'thread')} each`;
  line.print(
    `${study.name}, ${profile} profile: ${formatCount(options.arms.length, 'arm')} x ${formatCount(options.seeds.length, 'seed')}, ` +
      `${formatCount(plan.length, 'run')}; ${there} there, ${waiting.length} to do` +
      (waiting.length > 0 ? (queued ? ', by the machines that serve the queue' : share) : ''),
  );
  for (const { file } of plan)
    if ('problem' in file) line.print(`${file.problem}. It is not used; the run is done again.`);

  const known = new Map<string, number[]>();
  const took = (arm: string, seconds: number): void =>
    void known.set(arm, [...(known.get(arm) ?? []), seconds]);
  for (const { arm, seed, file } of plan) {
    if (file.state !== 'good') continue;
    if (file.run.provenance.threads === threads) took(arm, file.run.provenance.seconds);
    // A process that was killed after it had written its result left this.
    await removeWork(work, { study: study.name, profile, arm, seed });
  }

  const started = performance.now();
  const since = (): number => (performance.now() - started) / 1000;
  const running = new Set<StartedRun>();
  const failures: string[] = [];
  let backend: string | undefined;
  const showStatus = (): void => {
    // Nobody here knows how many machines there are, nor how fast.
    const left = queued
      ? undefined
      : secondsLeft({
          jobs,
          waiting: waiting.map(({ arm }) => arm),
          running: [...running].map((child) => child.timing()),
          known,
        });
    const time = left === undefined ? clock(since()) : `${clock(since())}, about ${clock(left)} left`;
    const each = queued ? [`${running.size} in the queue`] : [...running].map((child) => child.text());
    line.update([`${study.name} ${there}/${plan.length}`, time, ...each].join('  '), String(there));
  };
  const ticking = setInterval(showStatus, 1000);
  const stopAll = (): void => {
    line.print('stopping: unfinished runs save what they have; the same command goes on with them');
    for (const child of running) child.stop();
  };
  const killAll = (): void => running.forEach((child) => child.kill());
  signal.addEventListener('abort', stopAll, { once: true });
  options.killSignal?.addEventListener('abort', killAll, { once: true });

  const worker = async (): Promise<void> => {
    while (!signal.aborted) {
      const next = waiting.shift();
      if (!next) return;
      const { arm, seed } = next;
      const name = `${arm} seed ${seed}`;
      const fingerprint = fingerprintOf(runSettings(study, profile, armOf(study, profile, arm)));
      const { source, data, backend: wanted } = options;
      const order: RunOrder = {
        study: source,
        data,
        profile,
        arm,
        seed,
        fingerprint,
        out,
        work,
        backend: wanted,
      };
      const tell = (message: string | Started): void => {
        if (typeof message === 'string') line.print(`${name}: ${message}`);
        else {
          if (message.resumed) line.print(`${name}: goes on where it was broken off`);
          if (message.backend !== backend) line.print((backend = message.backend));
        }
      };
      const child = queued ? queued.begin(order) : new RunChild(order, threads, tell);
      running.add(child);
      const problem = await child.ended;
      running.delete(child);
      const file = await readRun(out, study, { profile, arm, seed });
      if (file.state === 'good') {
        there += 1;
        took(arm, file.run.provenance.seconds);
        line.print(`${name}: ${outcome(study, file.run)}`);
      } else if (!signal.aborted) {
        const gone = 'problem' in file ? file.problem : 'it ended without a result';
        failures.push(`${name}: ${problem ?? gone}`);
        line.print(`${name} failed: ${problem ?? gone}`);
      }
      showStatus();
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(jobs, waiting.length) }, worker));
  } finally {
    clearInterval(ticking);
    signal.removeEventListener('abort', stopAll);
    options.killSignal?.removeEventListener('abort', killAll);
    line.clear();
  }
  return { there, of: plan.length, failures };
}

function outcome(study: Study, run: EvidenceRun): string {
  const values = Object.entries(study.metrics).map(([name, { digits = 3 }]) => {
    const value = run.metrics[name];
    return `${name} ${value === null ? 'none' : value.toFixed(digits)}`;
  });
  return [...(run.diverged ? ['diverged'] : []), ...values, formatDuration(run.provenance.seconds)].join(
    ', ',
  );
}
