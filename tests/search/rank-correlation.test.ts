import { describe, expect, test } from 'vitest';
import { createRandom, kendallTau, spearmanRho } from 'detlab';

describe('rank correlations', () => {
  test('of lists that rank alike, and of one turned over', () => {
    expect(kendallTau([1, 5, 3], [10, 30, 20])).toBe(1);
    expect(kendallTau([1, 5, 3], [30, 10, 20])).toBe(-1);
    expect(spearmanRho([1, 5, 3], [10, 30, 20])).toBeCloseTo(1, 12);
    expect(spearmanRho([1, 5, 3], [30, 10, 20])).toBeCloseTo(-1, 12);
  });

  test('worked by hand, with ties', () => {
    // Pairs of [1,2,2,3] and [1,3,2,2]: (1,2) (1,3) (1,4) agree, (2,3) is a tie in a, (2,4) differs, (3,4) is a tie in b.
    expect(kendallTau([1, 2, 2, 3], [1, 3, 2, 2])).toBeCloseTo((3 - 1) / Math.sqrt(5 * 5), 12);
    // Ranks 1, 2.5, 2.5, 4 and 1, 4, 2.5, 2.5: covariance 2.25 over variances of 4.5.
    expect(spearmanRho([1, 2, 2, 3], [1, 3, 2, 2])).toBeCloseTo(2.25 / 4.5, 12);
    // Ten values without ties: 1 - 6 * sum d^2 / (n (n^2 - 1)).
    const iq = [106, 86, 100, 101, 99, 103, 97, 113, 112, 110];
    const hours = [7, 0, 27, 50, 28, 29, 20, 12, 6, 17];
    expect(spearmanRho(iq, hours)).toBeCloseTo(1 - (6 * 194) / (10 * 99), 12);
  });

  test('do not change when both lists are stretched, and nearly vanish for noise', () => {
    const random = createRandom(1);
    const a = Array.from({ length: 400 }, () => random.normal());
    const b = Array.from({ length: 400 }, () => random.normal());
    expect(Math.abs(kendallTau(a, b))).toBeLessThan(0.15);
    expect(Math.abs(spearmanRho(a, b))).toBeLessThan(0.2);
    const mixed = a.map((value, i) => value + b[i]);
    const stretched = a.map((value) => Math.exp(value));
    expect(kendallTau(stretched, mixed)).toBe(kendallTau(a, mixed));
    expect(spearmanRho(stretched, mixed)).toBeCloseTo(spearmanRho(a, mixed), 12);
  });

  test('a failed candidate ranks last; lists without differences have none; lists must fit', () => {
    expect(kendallTau([-Infinity, 1, 2], [0, 5, 6])).toBe(1);
    expect(kendallTau([-Infinity, -Infinity, 2], [0, 5, 6])).toBeCloseTo(2 / Math.sqrt(2 * 3), 12);
    expect(kendallTau([1, 1], [1, 2])).toBeNaN();
    expect(spearmanRho([1, 1], [1, 2])).toBeNaN();
    expect(() => kendallTau([1], [1, 2])).toThrow(/1 scores beside 2/);
    expect(() => spearmanRho([1, 2], [NaN, 2])).toThrow(/score 0 is not a number/);
  });
});
