import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { principalComponents } from '../../lib/features/principal-components';
import { symmetricEigen } from '../../lib/features/symmetric-eigen';
import { expectClose, normals } from '../tensor/kernels/backends';

const { cases } = JSON.parse(
  readFileSync(path.join(__dirname, 'fixtures', 'principal-components.json'), 'utf8'),
) as {
  cases: {
    count: number;
    dimensions: number;
    rows: number[];
    components: number[];
    projection: number[];
    variances: number[];
    explained: number[];
  }[];
};

describe('principalComponents', () => {
  test.each(cases)("NumPy's of $count rows of $dimensions", (expected) => {
    const { count, dimensions, rows } = expected;
    const k = expected.variances.length;
    const found = principalComponents(Float32Array.from(rows), count, dimensions, k);
    expectClose(found.components, expected.components, 1e-8, 'components');
    expectClose(found.projection, expected.projection, 1e-8, 'projection');
    expectClose(found.variances, expected.variances, 1e-8, 'variances');
    expectClose(found.explained, expected.explained, 1e-10, 'explained');
  });

  test('a line in the plane: direction, sign and shares by hand', () => {
    // Along (-3, -4) / 5 and across it, variances 200 / 3 and 2 / 3.
    const rows = [
      [10, 0],
      [-10, 0],
      [0, 1],
      [0, -1],
    ];
    const turned = rows.flatMap(([a, b]) => [(-3 * a + 4 * b) / 5 + 7, (-4 * a - 3 * b) / 5 - 2]);
    const found = principalComponents(Float64Array.from(turned), 4, 2);
    expectClose(found.components, [0.6, 0.8, 0.8, -0.6], 1e-12, 'components');
    expectClose(found.mean, [7, -2], 1e-12, 'mean');
    expectClose(found.variances, [200 / 3, 2 / 3], 1e-12, 'variances');
    expectClose(found.explained, [200 / 202, 2 / 202], 1e-12, 'explained');
    expectClose(found.projection, [-10, 0, 10, 0, 0, 1, 0, -1], 1e-12, 'projection');
  });

  test('beyond the rank: zeros, by either matrix', () => {
    const [, , low] = cases;
    for (const count of [20, 6]) {
      const rows = Float64Array.from(low.rows.slice(0, count * 12));
      const { components, explained, projection } = principalComponents(rows, count, 12, 5);
      expect([...explained].map((share) => share > 0)).toEqual([true, true, true, false, false]);
      expect(components.subarray(3 * 12).every((value) => value === 0)).toBe(true);
      expect([3, 4].every((k) => projection[k] === 0)).toBe(true);
      expect(explained.reduce((a, b) => a + b)).toBeCloseTo(1, 10);
    }
    const same = principalComponents(new Float32Array(12).fill(3), 4, 3);
    expect([...same.explained, ...same.projection].every((value) => value === 0)).toBe(true);
  });

  test('refuses what has no components', () => {
    const rows = new Float32Array(12);
    expect(() => principalComponents(rows, 1, 12)).toThrow('count is 1');
    expect(() => principalComponents(rows, 4, 4)).toThrow('12 values are not 4 rows of 4');
    expect(() => principalComponents(rows, 4, 3, 4)).toThrow(
      'components is 4; 4 rows of 3 features have 1 to 3',
    );
    rows[7] = NaN;
    expect(() => principalComponents(rows, 4, 3)).toThrow('row 2 has NaN at place 1');
  });
});

test('symmetricEigen: A v = value v, unit vectors at right angles, largest first', () => {
  const n = 30;
  const noise = normals(n * n, 'eigen');
  const matrix = Float64Array.from(noise, (_, i) => noise[i] + noise[(i % n) * n + Math.floor(i / n)]);
  const { values, vectors } = symmetricEigen(matrix, n);
  expect([...values]).toEqual([...values].sort((a, b) => b - a));
  for (let k = 0; k < n; k++) {
    const v = vectors.subarray(k * n, (k + 1) * n);
    const image = Array.from({ length: n }, (_, i) =>
      v.reduce((sum, x, j) => sum + matrix[i * n + j] * x, 0),
    );
    expectClose(
      image,
      [...v].map((x) => x * values[k]),
      1e-12,
      `vector ${k}`,
    );
    const products = Array.from({ length: n }, (_, j) =>
      v.reduce((sum, x, d) => sum + x * vectors[j * n + d], 0),
    );
    expectClose(
      products,
      Array.from({ length: n }, (_, j) => (j === k ? 1 : 0)),
      1e-12,
      `vector ${k} with others`,
    );
  }
});
