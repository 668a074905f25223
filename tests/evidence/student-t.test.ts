import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { studentT, studentTQuantile } from '../../lib/evidence/student-t';

/** Critical values as statistical tables print them (NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2). */
const published: readonly (readonly [
  freedom: number,
  p95: number,
  p975: number,
  p99: number,
  p995: number,
])[] = [
  [1, 6.314, 12.706, 31.821, 63.657],
  [2, 2.92, 4.303, 6.965, 9.925],
  [3, 2.353, 3.182, 4.541, 5.841],
  [4, 2.132, 2.776, 3.747, 4.604],
  [5, 2.015, 2.571, 3.365, 4.032],
  [9, 1.833, 2.262, 2.821, 3.25],
  [10, 1.812, 2.228, 2.764, 3.169],
  [30, 1.697, 2.042, 2.457, 2.75],
  [100, 1.66, 1.984, 2.364, 2.626],
];

describe('quantiles', () => {
  test.each(published)('of %d degrees of freedom are the published ones', (freedom, ...values) => {
    [0.95, 0.975, 0.99, 0.995].forEach((probability, i) => {
      expect(Math.abs(studentTQuantile(probability, freedom) - values[i])).toBeLessThan(5.1e-4);
    });
  });

  test('of one and two degrees of freedom have a closed form', () => {
    for (const p of [0.5 + 2 ** -30, 0.5001, 0.6, 0.9, 0.975, 0.9999]) {
      expect(studentTQuantile(p, 1) / Math.tan(Math.PI * (p - 0.5))).toBeCloseTo(1, 11);
      expect(studentTQuantile(p, 2) / ((2 * p - 1) * Math.sqrt(2 / (4 * p * (1 - p))))).toBeCloseTo(1, 11);
    }
  });

  test('of many degrees of freedom are the normal ones', () => {
    expect(studentTQuantile(0.975, 1e7)).toBeCloseTo(1.959964, 5);
  });

  test('undo the distribution, and are symmetric', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.001, max: 0.999, noNaN: true }),
        fc.double({ min: 0.5, max: 500, noNaN: true }),
        (p, freedom) => {
          const t = studentTQuantile(p, freedom);
          expect(studentT(t, freedom)).toBeCloseTo(p, 9);
          expect(studentTQuantile(1 - p, freedom)).toBeCloseTo(-t, 6);
        },
      ),
    );
  });

  test.each([
    [0, 3],
    [1, 3],
    [NaN, 3],
    [0.9, 0],
    [0.9, -1],
    [0.9, NaN],
  ])('p %d, %d degrees of freedom are refused', (p, freedom) => {
    expect(() => studentTQuantile(p, freedom)).toThrow(RangeError);
  });
});

test('the distribution ends at 0 and 1', () => {
  expect(studentT(-Infinity, 2)).toBe(0);
  expect(studentT(Infinity, 2)).toBe(1);
  expect(studentT(0, 2)).toBe(0.5);
  // (1 + t / sqrt(2 + t²)) / 2 for two degrees of freedom.
  expect(studentT(1.5, 2)).toBeCloseTo(0.5 + 1.5 / (2 * Math.sqrt(4.25)), 12);
});
