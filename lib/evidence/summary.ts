/** What a study has found so far, as plain rows: for notebooks and reports. Needs no backend. */
import { formatNumber } from '../plot/chart-spec';
import { formatDuration } from '../plot/format';
import { type Table, table, type TableCell } from '../plot/table';
import type { Profile } from '../papers/profile';
import { checkStudy } from './check-study';
import { type EvidenceRun, readRuns, resultsFolder } from './store';
import { loadStudy } from './studies';
import type { ClaimComparison, Study, StudyMetric } from './study';
import { type ClaimVerdict, judgeClaim, meanInterval, metricValue, type Verdict } from './verdict';

/** One arm and one metric, over its seeds. A diverged run counts as what the metric says. */
export type ArmRow = {
  readonly arm: string;
  readonly title: string;
  readonly metric: string;
  /** Runs that there are, diverged ones among them. */
  readonly seeds: number;
  readonly diverged: number;
  /** Runs that have a value of the metric. */
  readonly values: number;
  readonly mean: number | null;
  /** Standard deviation over seeds (by n - 1). */
  readonly deviation: number | null;
  readonly min: number | null;
  readonly max: number | null;
};

/** One claim. */
export type ClaimRow = {
  readonly claim: string;
  readonly text: string;
  readonly paper: string;
  /** Mean differences with their intervals, or how many runs diverged. */
  readonly ours: string;
  readonly verdict: Verdict;
  readonly reason: string;
};

/** One comparison of a claim. */
export type ComparisonRow = {
  readonly claim: string;
  readonly comparison: string;
  readonly metric: string | null;
  readonly seeds: number;
  readonly mean: number | null;
  readonly deviation: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly verdict: Verdict;
  readonly reason: string;
};

/** Runs that were made alike. */
export type ProvenanceRow = {
  readonly commit: string;
  readonly backend: string;
  readonly threads: number;
  readonly processor: string;
  readonly node: string;
  readonly runs: number;
  /** The days of the first and the last. */
  readonly days: string;
  readonly seconds: number;
};

/** All of it. */
export interface Evidence {
  readonly study: string;
  readonly title: string;
  readonly profile: Profile;
  readonly metrics: Readonly<Record<string, StudyMetric>>;
  readonly arms: readonly ArmRow[];
  readonly claims: readonly ClaimRow[];
  readonly comparisons: readonly ComparisonRow[];
  readonly verdicts: readonly ClaimVerdict[];
  readonly provenance: readonly ProvenanceRow[];
  /** By arm and seed, with curves and tables. */
  readonly runs: readonly EvidenceRun[];
  /** Files that are not used, and why. */
  readonly problems: readonly string[];
}

/** Options of `loadEvidence`. */
export interface EvidenceOptions {
  /** `default` unless told. */
  readonly profile?: Profile;
  /** Where the results are: FOLDER/STUDY/PROFILE. The project's data/results unless told. */
  readonly folder?: string;
}

/**
 * What `npm run evidence` has found about a study, by name or as an object. Only results of the study's present settings count; without
 * any, there are rows without numbers and nothing is shown.
 * @throws where there is no such study, naming the nearest, or something is wrong with it.
 */
export async function loadEvidence(study: string | Study, options: EvidenceOptions = {}): Promise<Evidence> {
  const one = typeof study === 'string' ? await loadStudy(study) : study;
  const { profile = 'default', folder = resultsFolder } = options;
  checkStudy(one, profile);
  const { runs, problems } = await readRuns(folder, one, profile);
  const verdicts = one.claims(profile).map((claim) => judgeClaim(claim, runs, one.metrics));
  const titles = new Map(one.arms(profile).map(({ name, title }) => [name, title ?? name]));
  return {
    study: one.name,
    title: one.title,
    profile,
    metrics: one.metrics,
    arms: [...titles].flatMap(([arm, title]) =>
      Object.keys(one.metrics).map((metric) => armRow(one, runs, arm, title, metric)),
    ),
    claims: verdicts.map((verdict) => claimRow(verdict, titles, one.metrics)),
    comparisons: verdicts.flatMap((verdict) => comparisonRows(verdict, titles, one.metrics)),
    verdicts,
    provenance: provenanceRows(runs),
    runs,
    problems,
  };
}

function armRow(
  study: Study,
  runs: readonly EvidenceRun[],
  arm: string,
  title: string,
  metric: string,
): ArmRow {
  const own = runs.filter((run) => run.arm === arm);
  const values = own.flatMap((run) => metricValue(run, metric, study.metrics[metric]) ?? []);
  const { mean, deviation } = meanInterval(values);
  return {
    arm,
    title,
    metric,
    seeds: own.length,
    diverged: own.filter(({ diverged }) => diverged).length,
    values: values.length,
    mean,
    deviation,
    min: values.length > 0 ? Math.min(...values) : null,
    max: values.length > 0 ? Math.max(...values) : null,
  };
}

function claimRow(
  { claim, verdict, reason, comparisons }: ClaimVerdict,
  titles: ReadonlyMap<string, string>,
  metrics: Evidence['metrics'],
): ClaimRow {
  const ours = comparisons.map(({ comparison, mean, interval, reason: why }) => {
    if (comparison.kind === 'divergence') return `${titles.get(comparison.arm)}: ${why}`;
    if (mean === null) return 'none';
    const write = (value: number): string => signed(value, metrics[comparison.metric].digits);
    return interval === null
      ? write(mean)
      : `${write(mean)} (${write(interval[0])} to ${write(interval[1])})`;
  });
  return {
    claim: claim.name,
    text: claim.text,
    paper: claim.paper,
    ours: ours.join('; '),
    verdict,
    reason,
  };
}

function comparisonRows(
  { claim, comparisons }: ClaimVerdict,
  titles: ReadonlyMap<string, string>,
  metrics: Evidence['metrics'],
): ComparisonRow[] {
  return comparisons.map(({ comparison, seeds, mean, deviation, interval, verdict, reason }) => ({
    claim: claim.name,
    comparison: comparisonText(comparison, titles, metrics),
    metric: comparison.kind === 'divergence' ? null : comparison.metric,
    seeds: seeds.length,
    mean,
    deviation,
    low: interval?.[0] ?? null,
    high: interval?.[1] ?? null,
    verdict,
    reason,
  }));
}

function comparisonText(
  comparison: ClaimComparison,
  titles: ReadonlyMap<string, string>,
  metrics: Evidence['metrics'],
): string {
  const arm = titles.get(comparison.arm);
  if (comparison.kind === 'divergence')
    return `${arm}: ${comparison.diverges ? 'diverges' : 'does not diverge'}`;
  const [metric, than] = [metrics[comparison.metric].title, titles.get(comparison.than)];
  if (comparison.kind === 'equality')
    return `${metric}: ${arm} the same as ${than}, give or take ${formatNumber(comparison.margin)}`;
  const least = `by ${formatNumber(comparison.least)} or more`;
  if (comparison.kind === 'difference')
    return `${metric}: ${arm} ${comparison.direction} than ${than} ${least}`;
  const [baseArm, baseThan] = [comparison.base.arm, comparison.base.than].map((name) => titles.get(name));
  return `${metric}: ${arm} less ${than} ${comparison.direction} than ${baseArm} less ${baseThan} ${least}`;
}

function provenanceRows(runs: readonly EvidenceRun[]): ProvenanceRow[] {
  const groups = new Map<string, EvidenceRun[]>();
  for (const run of runs) {
    const { commit, dirty, backend, threads, processor, node } = run.provenance;
    const key = JSON.stringify([commit, dirty, backend, threads, processor, node]);
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return [...groups.values()].map((group) => {
    const { commit, dirty, backend, threads, processor, node } = group[0].provenance;
    const days = group.map(({ provenance }) => provenance.started.slice(0, 10)).sort();
    const name = commit === null ? 'unknown' : commit.slice(0, 10);
    return {
      commit: dirty === true ? `${name} with changes` : name,
      backend,
      threads,
      processor,
      node,
      runs: group.length,
      days: days[0] === days[days.length - 1] ? days[0] : `${days[0]} to ${days[days.length - 1]}`,
      seconds: Math.round(group.reduce((sum, { provenance }) => sum + provenance.seconds, 0)),
    };
  });
}

/** Arms with mean and spread over seeds, a row each. @param metric the study's first unless told */
export function armTable(evidence: Evidence, metric: string = Object.keys(evidence.metrics)[0]): Table {
  const found = evidence.metrics[metric] as StudyMetric | undefined;
  if (!found) {
    const names = Object.keys(evidence.metrics).join(', ');
    throw new Error(`armTable: the study has no metric '${metric}', only ${names}`);
  }
  const write = (value: TableCell): string =>
    typeof value === 'number' ? value.toFixed(found.digits ?? 3) : '';
  const numbers = ['mean', 'deviation', 'min', 'max'];
  return table(
    evidence.arms.filter((row) => row.metric === metric),
    {
      columns: ['title', ...numbers, 'seeds', 'diverged'],
      titles: {
        title: 'arm',
        mean: `${found.title}, mean`,
        deviation: 'standard deviation',
        min: 'least',
        max: 'most',
      },
      align: Object.fromEntries(numbers.map((name) => [name, 'right'])),
      format: Object.fromEntries(numbers.map((name) => [name, write])),
    },
  );
}

/** Claims with the paper's numbers, ours and the verdict, a row each. */
export function claimTable(evidence: Evidence): Table {
  return table(evidence.claims, {
    columns: ['text', 'paper', 'ours', 'verdict', 'reason'],
    titles: { text: 'claim', ours: 'ours: mean difference (95 % interval)', reason: 'because' },
  });
}

/** Every comparison that a verdict rests on, a row each. */
export function comparisonTable(evidence: Evidence): Table {
  const numbers = ['mean', 'deviation', 'low', 'high'];
  const digits = Math.max(...Object.values(evidence.metrics).map((metric) => metric.digits ?? 3));
  const write = (value: TableCell): string => (typeof value === 'number' ? signed(value, digits) : '');
  return table(evidence.comparisons, {
    columns: ['claim', 'comparison', 'seeds', ...numbers, 'verdict'],
    titles: {
      mean: 'mean difference',
      deviation: 'standard deviation',
      low: '95 % interval from',
      high: 'to',
    },
    align: Object.fromEntries(numbers.map((name) => [name, 'right'])),
    format: {
      ...Object.fromEntries(numbers.map((name) => [name, write])),
      deviation: (value) => write(value).replace('+', ''),
    },
  });
}

/** How the results were made, a row for each way. */
export function provenanceTable(evidence: Evidence): Table {
  return table(evidence.provenance, {
    columns: ['runs', 'days', 'seconds', 'commit', 'backend', 'processor', 'node'],
    titles: { seconds: 'time, all runs' },
    format: { seconds: (value) => formatDuration(Number(value)) },
  });
}

function signed(value: number, digits: number = 3): string {
  const text = value.toFixed(digits);
  // No "-0.000".
  const plain = Number(text) === 0 ? text.replace('-', '') : text;
  return value > 0 && Number(text) !== 0 ? `+${plain}` : plain.replace('-', '−');
}
