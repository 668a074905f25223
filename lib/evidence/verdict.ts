/** What the results say about a claim, by one rule for all papers. */
import type { Claim, ClaimComparison, DivergenceComparison, StudyMetric } from './study';
import { studentTQuantile } from './student-t';

/** How a claim came out. */
export type Verdict = 'shown' | 'not shown at this scale' | 'contradicted';

/** Fewer seeds decide nothing. */
export const leastSeeds: number = 3;
/** Of the intervals. */
const confidence: number = 0.95;

/** The rule in words, for a reader. */
export const verdictRule: string =
  `Runs are paired by seed: arms of the same seed begin alike and see the same data. For each pair the
difference of the metric is taken; from the differences follow their mean, their standard deviation and Student's 95 % confidence interval
of the mean. A difference is **shown** when the whole interval lies on the claim's side of zero and the mean is at least the smallest difference
worth the name, which the claim states beforehand; **contradicted** when the same holds on the other side; else **not shown at this scale**.
Where a claim says that a difference grows from one setting to another, the difference of the two differences is taken, seed by seed.
Equality is shown when the whole interval lies within the stated margin, contradicted when it lies wholly outside. A claim about divergence is
shown when all runs of the arm do as it says, contradicted when none does. A claim made of several comparisons is shown when all of them are,
contradicted when one of them is. Fewer than three seeds show nothing. A diverged run counts as the value that the metric gives it (an
mAP of 0); where the metric gives none, the comparison is not shown. The intervals are not corrected for the number of comparisons.`.replaceAll(
    '\n',
    ' ',
  );

/** A run as far as a verdict needs it. */
export interface MeasuredRun {
  readonly arm: string;
  readonly seed: number;
  readonly diverged: boolean;
  readonly metrics: Readonly<Record<string, number | null>>;
}

/** What one comparison gave. */
export interface ComparisonVerdict {
  readonly comparison: ClaimComparison;
  readonly verdict: Verdict;
  /** Why, in a few words. */
  readonly reason: string;
  /** Seeds that it rests on. */
  readonly seeds: readonly number[];
  /** `arm` less `than`, seed by seed; of an interaction less the base's, too. */
  readonly differences: readonly number[];
  /** Of the differences; `null` where there are none. */
  readonly mean: number | null;
  /** Their standard deviation; `null` for fewer than two. */
  readonly deviation: number | null;
  /** 95 % confidence interval of the mean difference; `null` for fewer than two. */
  readonly interval: readonly [low: number, high: number] | null;
}

/** What a claim came to. */
export interface ClaimVerdict {
  readonly claim: Claim;
  readonly verdict: Verdict;
  readonly reason: string;
  readonly comparisons: readonly ComparisonVerdict[];
}

/** Decides a claim by the runs that there are; of runs with the same arm and seed the first counts. */
export function judgeClaim(
  claim: Claim,
  runs: readonly MeasuredRun[],
  metrics: Readonly<Record<string, StudyMetric>>,
): ClaimVerdict {
  const comparisons = claim.comparisons.map((comparison) => judgeComparison(comparison, runs, metrics));
  const verdict = combineVerdicts(comparisons.map((one) => one.verdict));
  const decisive = comparisons.filter((one) => one.verdict === verdict);
  const reason = [...new Set(decisive.map((one) => one.reason))].join('; ');
  return { claim, verdict, reason, comparisons };
}

/** Shown if all are, contradicted if any is. */
export function combineVerdicts(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes('contradicted')) return 'contradicted';
  const all = verdicts.length > 0 && verdicts.every((verdict) => verdict === 'shown');
  return all ? 'shown' : 'not shown at this scale';
}

/** Decides one comparison. */
export function judgeComparison(
  comparison: ClaimComparison,
  runs: readonly MeasuredRun[],
  metrics: Readonly<Record<string, StudyMetric>>,
): ComparisonVerdict {
  if (comparison.kind === 'divergence') return judgeDivergence(comparison, runs);
  const { metric, arm, than } = comparison;
  const base = comparison.kind === 'interaction' ? [comparison.base.arm, comparison.base.than] : [];
  const [ours, ...others] = [arm, than, ...base].map((name) => bySeed(runs, name));
  const seeds = [...ours.keys()]
    .filter((seed) => others.every((other) => other.has(seed)))
    .sort((a, b) => a - b);
  const differences: number[] = [];
  for (const seed of seeds) {
    const values: number[] = [];
    for (const run of [ours, ...others].map((found) => found.get(seed)!)) {
      const value = metricValue(run, metric, metrics[metric]);
      if (value === null) {
        const why = run.diverged ? 'diverged and has no value' : 'has no value';
        return undecided(comparison, seeds, `${run.arm} of seed ${seed} ${why} of ${metric}`);
      }
      values.push(value);
    }
    const [first, second, baseFirst = 0, baseSecond = 0] = values;
    differences.push(first - second - (baseFirst - baseSecond));
  }
  const statistics = meanInterval(differences);
  if (seeds.length < leastSeeds)
    return { ...undecided(comparison, seeds, tooFew(seeds.length)), ...statistics, differences };
  const [low, high] = statistics.interval!;
  const [verdict, reason] =
    comparison.kind === 'equality'
      ? judgeEquality(comparison.margin, low, high)
      : judgeDifference(
          comparison.direction === 'higher' ? 1 : -1,
          comparison.least,
          statistics.mean!,
          low,
          high,
        );
  return { comparison, verdict, reason, seeds, differences, ...statistics };
}

function judgeDifference(
  side: 1 | -1,
  least: number,
  mean: number,
  low: number,
  high: number,
): [Verdict, string] {
  // Results are kept to six digits: a mean that is `least` on paper must not miss it by a rounding error.
  const enough = Math.abs(mean) >= least * (1 - 1e-9);
  const onSide = low > 0 ? 1 : high < 0 ? -1 : 0;
  if (onSide === 0) return ['not shown at this scale', 'the interval has zero in it'];
  if (!enough) return ['not shown at this scale', `the mean difference is below ${least}`];
  return onSide === side
    ? ['shown', 'the whole interval is on the claim’s side']
    : ['contradicted', 'the whole interval is on the other side'];
}

function judgeEquality(margin: number, low: number, high: number): [Verdict, string] {
  const bound = margin * (1 + 1e-9);
  if (low >= -bound && high <= bound) return ['shown', 'the whole interval is within the margin'];
  if (low > bound || high < -bound) return ['contradicted', 'the whole interval is outside the margin'];
  return ['not shown at this scale', 'the interval reaches beyond the margin'];
}

function judgeDivergence(comparison: DivergenceComparison, runs: readonly MeasuredRun[]): ComparisonVerdict {
  const own = [...bySeed(runs, comparison.arm).values()].sort((a, b) => a.seed - b.seed);
  const seeds = own.map(({ seed }) => seed);
  if (own.length < leastSeeds) return undecided(comparison, seeds, tooFew(own.length));
  const diverged = own.filter((run) => run.diverged).length;
  const asClaimed = comparison.diverges ? diverged : own.length - diverged;
  const verdict: Verdict =
    asClaimed === own.length ? 'shown' : asClaimed === 0 ? 'contradicted' : 'not shown at this scale';
  return { ...undecided(comparison, seeds, `${diverged} of ${own.length} runs diverged`), verdict };
}

function undecided(comparison: ClaimComparison, seeds: readonly number[], reason: string): ComparisonVerdict {
  const none = { differences: [], mean: null, deviation: null, interval: null };
  return { comparison, verdict: 'not shown at this scale', reason, seeds, ...none };
}

function tooFew(count: number): string {
  return `${count === 0 ? 'no seed' : count === 1 ? 'only one seed' : `only ${count} seeds`}, ${leastSeeds} are needed`;
}

function bySeed(runs: readonly MeasuredRun[], arm: string): Map<number, MeasuredRun> {
  const found = new Map<number, MeasuredRun>();
  for (const run of runs) if (run.arm === arm && !found.has(run.seed)) found.set(run.seed, run);
  return found;
}

/** A run's value of a metric, by which it is compared: that of a diverged run is the metric's. `null`: it has none. */
export function metricValue(run: MeasuredRun, name: string, metric: StudyMetric | undefined): number | null {
  const value = run.diverged ? metric?.diverged : run.metrics[name];
  return value !== undefined && value !== null && Number.isFinite(value) ? value : null;
}

/** Mean, standard deviation (by n - 1) and Student's 95 % confidence interval of the mean; `null` where there are too few values. */
export function meanInterval(values: readonly number[]): {
  mean: number | null;
  deviation: number | null;
  interval: readonly [low: number, high: number] | null;
} {
  const n = values.length;
  if (n === 0) return { mean: null, deviation: null, interval: null };
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n === 1) return { mean, deviation: null, interval: null };
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1));
  const half = (studentTQuantile(0.5 + confidence / 2, n - 1) * deviation) / Math.sqrt(n);
  return { mean, deviation, interval: [mean - half, mean + half] };
}
