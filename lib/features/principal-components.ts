/** Principal component analysis: high-dimensional features as points that can be drawn. */
import { checkRows, type FeatureRows } from './rows';
import { symmetricEigen } from './symmetric-eigen';

/** N rows of D features along their k directions of most variance. */
export interface PrincipalComponents {
  /** `[N, k]`, row by row: each row less the mean, along each component. */
  readonly projection: Float64Array;
  /** `[k, D]`, unit vectors, the one of most variance first. The entry of largest magnitude is positive. */
  readonly components: Float64Array;
  /** `[D]`: the rows' mean. */
  readonly mean: Float64Array;
  /** `[k]`: variance along each component, with divisor N - 1. */
  readonly variances: Float64Array;
  /** `[k]`: share of the rows' whole variance, 0 to 1. */
  readonly explained: Float64Array;
}

/**
 * Principal components, by the eigenvectors of the smaller of the rows' covariance `[D, D]` and their inner products `[N, N]`: fit for
 * up to some hundred rows, or some hundred features. Directions beyond the rows' rank have no variance: their component, projection
 * and share are zeros. Where two components have the same variance, any two directions of their plane are right, and one pair is given.
 * @param rows `[N, D]` row by row, finite
 * @param count N, at least 2
 * @param dimensions D
 * @param components k, at most min(N, D). Default 2
 * @throws RangeError on numbers that don't fit, and on rows with NaN or infinity.
 */
export function principalComponents(
  rows: FeatureRows,
  count: number,
  dimensions: number,
  components: number = 2,
): PrincipalComponents {
  const where = 'principalComponents';
  if (!(Number.isInteger(count) && count > 1)) {
    throw new RangeError(`${where}: count is ${count}; variance needs a whole number of rows, at least 2`);
  }
  checkRows(where, rows, count, dimensions);
  const most = Math.min(count, dimensions);
  if (!(Number.isInteger(components) && components > 0 && components <= most)) {
    throw new RangeError(
      `${where}: components is ${components}; ${count} rows of ${dimensions} features have 1 to ${most}`,
    );
  }
  const mean = new Float64Array(dimensions);
  for (let i = 0; i < rows.length; i++) mean[i % dimensions] += rows[i] / count;
  const centred = Float64Array.from(rows, (value, i) => value - mean[i % dimensions]);
  const whole = centred.reduce((sum, value) => sum + value * value, 0);

  const byFeatures = dimensions <= count;
  const { values, vectors } = byFeatures
    ? symmetricEigen(products(transposed(centred, count, dimensions), dimensions, count), dimensions)
    : symmetricEigen(products(centred, count, dimensions), count);
  const found = new Float64Array(components * dimensions);
  const sums = new Float64Array(components);
  for (let k = 0; k < components; k++) {
    // What rounding leaves of a variance that is 0.
    if (!(values[k] > 1e-12 * whole)) continue;
    sums[k] = values[k];
    const vector = vectors.subarray(k * most, (k + 1) * most);
    const component = byFeatures ? vector : combined(vector, centred, dimensions);
    found.set(normalised(component), k * dimensions);
  }
  return {
    projection: projected(centred, found, count, dimensions, components),
    components: found,
    mean,
    variances: sums.map((sum) => sum / (count - 1)),
    explained: sums.map((sum) => (whole === 0 ? 0 : sum / whole)),
  };
}

/** `[n, n]`: inner products of n rows, the upper half. */
function products(rows: Float64Array, n: number, length: number): Float64Array {
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = i; j < n; j++) {
      let sum = 0;
      for (let d = 0; d < length; d++) sum += rows[i * length + d] * rows[j * length + d];
      out[i * n + j] = sum;
    }
  }
  return out;
}

function transposed(rows: Float64Array, count: number, length: number): Float64Array {
  const out = new Float64Array(rows.length);
  for (let i = 0; i < count; i++) for (let d = 0; d < length; d++) out[d * count + i] = rows[i * length + d];
  return out;
}

/** The sum of rows, each times its weight: an eigenvector of the inner products gives one of the covariance so. */
function combined(weights: Float64Array, rows: Float64Array, length: number): Float64Array {
  const out = new Float64Array(length);
  for (let i = 0; i < rows.length; i++) out[i % length] += weights[Math.floor(i / length)] * rows[i];
  return out;
}

/** Of length 1, the entry of largest magnitude positive; of entries that differ by rounding alone, the first. */
function normalised(vector: Float64Array): Float64Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  const largest = vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const leading = vector.find((value) => Math.abs(value) >= largest * (1 - 1e-9))!;
  return vector.map((value) => (Math.sign(leading) * value) / length);
}

function projected(
  centred: Float64Array,
  components: Float64Array,
  count: number,
  dimensions: number,
  k: number,
): Float64Array {
  const out = new Float64Array(count * k);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < k; c++) {
      let sum = 0;
      for (let d = 0; d < dimensions; d++)
        sum += centred[i * dimensions + d] * components[c * dimensions + d];
      out[i * k + c] = sum;
    }
  }
  return out;
}
