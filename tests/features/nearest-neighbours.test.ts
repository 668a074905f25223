import { describe, expect, test } from 'vitest';
import { nearestNeighbours, neighbourAccuracy } from '../../lib/features/nearest-neighbours';
import { createRandom } from '../../lib/tensor/random';
import { normals } from '../tensor/kernels/backends';

/** Cosine similarities by the definition. */
function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return ab / Math.sqrt(aa * bb);
}

describe('nearestNeighbours', () => {
  test('those of a full sort', () => {
    const [dimensions, k] = [6, 4];
    const queries = normals(9 * dimensions, 'queries');
    const rows = normals(31 * dimensions, 'rows');
    const found = nearestNeighbours(queries, rows, dimensions, { k });
    const part = (from: Float32Array, i: number): Float32Array =>
      from.subarray(i * dimensions, (i + 1) * dimensions);
    for (let q = 0; q < 9; q++) {
      const all = Array.from({ length: 31 }, (_, row) => cosine(part(queries, q), part(rows, row)));
      const order = all.map((_, i) => i).sort((a, b) => all[b] - all[a]);
      expect([...found.indices.subarray(q * k, (q + 1) * k)]).toEqual(order.slice(0, k));
      order.slice(0, k).forEach((row, i) => expect(found.similarities[q * k + i]).toBeCloseTo(all[row], 12));
    }
  });

  test('direction counts, length does not; ties by index; zeros are at 0; too few leave gaps', () => {
    const rows = Float64Array.from([0, 2, 3, 0, 0, 0, -1, 0, 1e-200, 0, 1e200, 0]);
    const { indices, similarities } = nearestNeighbours(Float64Array.from([5, 0]), rows, 2, { k: 8 });
    expect([...indices]).toEqual([1, 4, 5, 0, 2, 3, -1, -1]);
    expect([...similarities]).toEqual([1, 1, 1, 0, 0, -1, NaN, NaN]);
    const first = nearestNeighbours(Float64Array.from([5, 0]), rows, 2, { k: 2 });
    expect([...first.indices]).toEqual([1, 4]);
    const others = nearestNeighbours(rows, rows, 2, { k: 1, excluded: (query, row) => query === row });
    expect([...others.indices]).toEqual([1, 4, 0, 0, 1, 1]);
  });

  test('refuses what is no set of rows', () => {
    const rows = new Float32Array(6);
    expect(() => nearestNeighbours(rows, rows, 4)).toThrow('6 values are not 1 rows of 4');
    expect(() => nearestNeighbours(rows, rows, 3, { k: 0 })).toThrow('k is 0');
    expect(() => nearestNeighbours(Float32Array.of(1, NaN), rows, 2)).toThrow('queries: row 0 has NaN');
  });
});

describe('neighbourAccuracy', () => {
  /** Directions in the plane, degrees. */
  const plane = (degrees: readonly number[]): Float64Array =>
    Float64Array.from(degrees.flatMap((d) => [Math.cos((d * Math.PI) / 180), Math.sin((d * Math.PI) / 180)]));

  test('by hand: the majority, and on a tie the nearest', () => {
    // The neighbours of 0 degrees: 10 (label 1), then 21, 33 (label 0), then 46 (label 1).
    const rows = plane([0, 10, 21, 33, 46]);
    const labels = [0, 1, 0, 0, 1];
    const told = (k: number): number => neighbourAccuracy(rows, 2, labels, { k }).predicted[0];
    expect([1, 2, 3, 4].map(told)).toEqual([1, 1, 0, 1]);
    const { accuracy, byLabel, predicted } = neighbourAccuracy(rows, 2, labels, { k: 1 });
    // 10 has 0 next, 21 has 10, 33 has 21, 46 has 33.
    expect([...predicted]).toEqual([1, 0, 1, 0, 0]);
    expect([accuracy, ...byLabel]).toEqual([0.2, 1 / 3, 0]);
  });

  test('separate classes are told, random labels as often as chance has it', () => {
    const random = createRandom('labels');
    const labels = Array.from({ length: 300 }, (_, i) => i % 3);
    const apart = plane(labels.map((label) => label * 120 + random.uniform(-20, 20)));
    expect(neighbourAccuracy(apart, 2, labels).accuracy).toBe(1);
    const { accuracy } = neighbourAccuracy(apart, 2, random.shuffle(labels));
    // Four standard deviations of a binomial with n = 300, p = 1/3 are 0.11.
    expect(Math.abs(accuracy - 1 / 3)).toBeLessThan(0.11);
  });

  test('rows of one group are no neighbours', () => {
    const rows = plane([0, 1, 90, 91]);
    const labels = [0, 0, 1, 1];
    expect(neighbourAccuracy(rows, 2, labels, { k: 1 }).accuracy).toBe(1);
    const apart = neighbourAccuracy(rows, 2, labels, { k: 1, groups: ['a', 'a', 'b', 'b'] });
    expect([...apart.predicted]).toEqual([1, 1, 0, 0]);
    const alone = neighbourAccuracy(rows, 2, labels, { k: 3, groups: [1, 1, 1, 1] });
    expect([...alone.predicted, alone.accuracy]).toEqual([-1, -1, -1, -1, 0]);
    expect(() => neighbourAccuracy(rows, 2, labels, { groups: [1] })).toThrow('1 groups for 4 rows');
    expect(() => neighbourAccuracy(rows, 2, [0, 0, -1, 0])).toThrow('labels[2] is -1');
    expect(() => neighbourAccuracy(rows, 2, [0])).toThrow('8 values are not 1 rows of 2');
  });
});
