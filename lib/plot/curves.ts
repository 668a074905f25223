/** What is done to a curve before it is drawn: smoothing, thinning, averaging over seeds, finding where it diverged. */

/** A point of a curve; `y` is `null` where there is nothing to draw. */
export interface CurvePoint {
  x: number;
  y: number | null;
  /** The value before smoothing, where there is smoothing: it decides which points survive thinning. */
  raw?: number | null;
  /** Least and greatest value over seeds, where there are several. */
  low?: number;
  high?: number;
}

/**
 * Exponential moving average, corrected for its start (Kingma and Ba, 2015, section 3): after the first value it is that
 * value, not a fraction of it. Non-finite values give `null` and leave the average as it was.
 * @param weight how much of the past is kept, in [0, 1); 0 changes nothing.
 */
export function exponentialMovingAverage(
  values: readonly (number | null)[],
  weight: number,
): (number | null)[] {
  if (!(weight >= 0 && weight < 1)) throw new RangeError(`smoothing is a number in [0, 1), got ${weight}`);
  let average = 0;
  let mass = 0;
  return values.map((value) => {
    if (value === null || !Number.isFinite(value)) return null;
    average = weight * average + (1 - weight) * value;
    mass = weight * mass + (1 - weight);
    return average / mass;
  });
}

/**
 * Index of the first value of the non-finite tail: the step at which a run diverged for good. `undefined` when the last value
 * is finite (a NaN in the middle is a gap) or there are no values.
 */
export function divergedAt(values: ArrayLike<number>): number | undefined {
  if (values.length === 0 || Number.isFinite(values[values.length - 1])) return undefined;
  let i = values.length - 1;
  while (i > 0 && !Number.isFinite(values[i - 1])) i--;
  return i;
}

/**
 * Thins a curve to about `limit` points: of each bucket of neighbours the lowest and the highest stay, so that no spike is
 * lost. First and last points stay; gaps (`null`) stay as one `null`. Curves that are short enough come back as they are.
 */
export function decimate(points: readonly CurvePoint[], limit: number): CurvePoint[] {
  if (!(limit >= 4))
    throw new RangeError(`decimate: a curve needs at least 4 points, got a limit of ${limit}`);
  if (points.length <= limit) return [...points];
  const bucket = (points.length - 2) / (limit / 2 - 1);
  const kept = new Set<number>([0, points.length - 1]);
  for (let start = 1; start < points.length - 1; start += bucket) {
    const from = Math.floor(start);
    const to = Math.min(points.length - 1, Math.floor(start + bucket));
    let lowest = -1;
    let highest = -1;
    let gap = -1;
    for (let i = from; i < to; i++) {
      const y = height(points[i]);
      if (y === null) gap = gap < 0 ? i : gap;
      else {
        if (lowest < 0 || y < (height(points[lowest]) as number)) lowest = i;
        if (highest < 0 || y > (height(points[highest]) as number)) highest = i;
      }
    }
    for (const i of [lowest, highest, gap]) if (i >= 0) kept.add(i);
  }
  return [...kept].sort((a, b) => a - b).map((i) => points[i]);
}

const height = (point: CurvePoint): number | null => (point.raw === undefined ? point.y : point.raw);

/** Mean, least and greatest over seeds at each index, of the runs that are still finite there; `null` where none is. */
export function averageRuns(runs: readonly ArrayLike<number>[]): {
  mean: (number | null)[];
  low: (number | null)[];
  high: (number | null)[];
} {
  const length = runs.reduce((most, run) => Math.max(most, run.length), 0);
  const mean: (number | null)[] = [];
  const low: (number | null)[] = [];
  const high: (number | null)[] = [];
  for (let i = 0; i < length; i++) {
    let sum = 0;
    let count = 0;
    let least = Infinity;
    let most = -Infinity;
    for (const run of runs) {
      const value = run[i];
      if (!Number.isFinite(value)) continue;
      sum += value;
      count++;
      least = Math.min(least, value);
      most = Math.max(most, value);
    }
    mean.push(count > 0 ? sum / count : null);
    low.push(count > 0 ? least : null);
    high.push(count > 0 ? most : null);
  }
  return { mean, low, high };
}
