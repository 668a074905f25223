/** Neighbours by cosine similarity: what a feature space holds close together. */
import { checkRows, type FeatureRows } from './rows';

/** The nearest rows of each query, the nearest first. */
export interface Neighbours {
  /** `[Q, k]`: indices of rows. -1 where a query has fewer than k to choose from. */
  readonly indices: Int32Array;
  /** `[Q, k]`: cosine similarities, -1 to 1. NaN beside -1. */
  readonly similarities: Float64Array;
}

/** Options of `nearestNeighbours`. */
export interface NearestNeighboursOptions {
  /** How many a query. Default 5. */
  readonly k?: number;
  /** Rows that a query may not have: itself, where queries are the rows. */
  readonly excluded?: (query: number, row: number) => boolean;
}

/**
 * The rows of highest cosine similarity to each query; of equal ones, that of the smallest index. A vector of zeros has no direction:
 * its similarity to all others counts as 0.
 * @param queries `[Q, dimensions]` row by row
 * @param rows `[N, dimensions]` row by row
 * @throws RangeError on lengths that don't fit, values that are not finite, or a k that is not a whole number above 0.
 */
export function nearestNeighbours(
  queries: FeatureRows,
  rows: FeatureRows,
  dimensions: number,
  options: NearestNeighboursOptions = {},
): Neighbours {
  const where = 'nearestNeighbours';
  const { k = 5, excluded } = options;
  if (!(Number.isInteger(k) && k > 0)) {
    throw new RangeError(`${where}: k is ${k}; it must be a whole number above 0`);
  }
  const queryCount = Math.floor(queries.length / dimensions);
  const count = Math.floor(rows.length / dimensions);
  checkRows(`${where}, queries`, queries, queryCount, dimensions);
  checkRows(`${where}, rows`, rows, count, dimensions);
  const from = unitRows(queries, dimensions);
  const to = queries === rows ? from : unitRows(rows, dimensions);
  const indices = new Int32Array(queryCount * k).fill(-1);
  const similarities = new Float64Array(queryCount * k).fill(NaN);
  for (let q = 0; q < queryCount; q++) {
    const base = q * k;
    let kept = 0;
    for (let row = 0; row < count; row++) {
      if (excluded?.(q, row)) continue;
      const similarity = inner(from, q * dimensions, to, row * dimensions, dimensions);
      if (kept === k && !(similarity > similarities[base + k - 1])) continue;
      // Behind those that are as near: rows come by index.
      let place = kept < k ? kept++ : k - 1;
      for (; place > 0 && similarities[base + place - 1] < similarity; place--) {
        similarities[base + place] = similarities[base + place - 1];
        indices[base + place] = indices[base + place - 1];
      }
      similarities[base + place] = similarity;
      indices[base + place] = row;
    }
  }
  return { indices, similarities };
}

/** Options of `neighbourAccuracy`. */
export interface NeighbourAccuracyOptions {
  /** Neighbours that vote. Default 5. */
  readonly k?: number;
  /**
   * Of each row, such as its image: rows of one group are no neighbours of each other. Objects of one image overlap and share their
   * surroundings, which would tell on features that know nothing of classes. Default: a row alone is left out of its own.
   */
  readonly groups?: readonly (string | number)[];
}

/** How well neighbours tell the class. */
export interface NeighbourAccuracy {
  /** Share of the rows whose label was told, 0 to 1; NaN without rows. */
  readonly accuracy: number;
  /** `[N]`: the label that the neighbours tell; -1 where a row has none. */
  readonly predicted: Int32Array;
  /** The share by label; NaN for labels below the highest that no row has. */
  readonly byLabel: Float64Array;
}

/**
 * Leave-one-out classification by the k nearest rows: each row is told by the others' labels. The most votes win; of labels with
 * as many, that of the nearest neighbour among them. No training, so that it says what features hold, not what a head could learn.
 * @param rows `[N, dimensions]` row by row
 * @param labels of each row, whole numbers from 0
 * @throws what `nearestNeighbours` throws, and RangeError on labels or groups of another length.
 */
export function neighbourAccuracy(
  rows: FeatureRows,
  dimensions: number,
  labels: readonly number[],
  options: NeighbourAccuracyOptions = {},
): NeighbourAccuracy {
  const { k = 5, groups } = options;
  checkRows('neighbourAccuracy', rows, labels.length, dimensions);
  const wrong = labels.findIndex((label) => !(Number.isInteger(label) && label >= 0));
  if (wrong >= 0) {
    throw new RangeError(
      `neighbourAccuracy: labels[${wrong}] is ${labels[wrong]}; it must be a whole number from 0`,
    );
  }
  if (groups && groups.length !== labels.length) {
    throw new RangeError(
      `neighbourAccuracy: ${groups.length} groups for ${labels.length} rows; give one a row`,
    );
  }
  const excluded = (query: number, row: number): boolean =>
    groups ? groups[query] === groups[row] : query === row;
  const { indices } = nearestNeighbours(rows, rows, dimensions, { k, excluded });
  const predicted = Int32Array.from(labels, (_, i) => {
    const near = [...indices.subarray(i * k, (i + 1) * k)].filter((index) => index >= 0);
    return majority(near.map((index) => labels[index]));
  });
  const seen = new Float64Array(labels.reduce((most, label) => Math.max(most, label + 1), 0));
  const told = new Float64Array(seen.length);
  labels.forEach((label, i) => {
    seen[label]++;
    if (predicted[i] === label) told[label]++;
  });
  const correct = told.reduce((sum, value) => sum + value, 0);
  return {
    accuracy: correct / labels.length,
    predicted,
    byLabel: told.map((value, label) => value / seen[label]),
  };
}

/** The label of most votes, of equal ones the first; -1 without votes. */
function majority(votes: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const vote of votes) counts.set(vote, (counts.get(vote) ?? 0) + 1);
  // A map keeps the order in which labels came, the nearest first.
  let best = -1;
  for (const [label, count] of counts) if (count > (counts.get(best) ?? 0)) best = label;
  return best;
}

function unitRows(rows: FeatureRows, dimensions: number): Float64Array {
  const out = Float64Array.from(rows);
  for (let start = 0; start < out.length; start += dimensions) {
    const row = out.subarray(start, start + dimensions);
    // By the largest entry first, so that squares neither vanish nor overflow.
    const largest = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    if (largest === 0) continue;
    const length = largest * Math.sqrt(row.reduce((sum, value) => sum + (value / largest) ** 2, 0));
    row.forEach((value, d) => (row[d] = value / length));
  }
  return out;
}

function inner(a: Float64Array, atA: number, b: Float64Array, atB: number, length: number): number {
  let sum = 0;
  for (let d = 0; d < length; d++) sum += a[atA + d] * b[atB + d];
  return sum;
}
