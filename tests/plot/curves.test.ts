import { describe, expect, it } from 'vitest';
import { averageRuns, decimate, divergedAt, exponentialMovingAverage } from '../../lib/plot/curves';

describe('exponentialMovingAverage', () => {
  it('starts at the first value and follows the recurrence', () => {
    // By hand: 3; (0.25*3 + 0.5*2.8) / 0.75; (0.125*3 + 0.25*2.8 + 0.5*2.9) / 0.875.
    const smooth = exponentialMovingAverage([3, 2.8, 2.9], 0.5);
    expect(smooth[0]).toBeCloseTo(3, 12);
    expect(smooth[1]).toBeCloseTo(2.15 / 0.75, 12);
    expect(smooth[2]).toBeCloseTo(2.525 / 0.875, 12);
  });

  it('changes nothing at weight 0, keeps constants, and skips what is not finite', () => {
    expect(exponentialMovingAverage([5, 1, 4], 0)).toEqual([5, 1, 4]);
    for (const value of exponentialMovingAverage([2, 2, 2, 2], 0.97)) expect(value).toBeCloseTo(2, 12);
    const smooth = exponentialMovingAverage([1, NaN, null, 1], 0.9);
    expect(smooth.slice(1, 3)).toEqual([null, null]);
    expect(smooth[3]).toBeCloseTo(1, 12);
    expect(() => exponentialMovingAverage([1], 1)).toThrow(/got 1/);
  });
});

it('divergedAt finds the start of the non-finite tail', () => {
  expect(divergedAt([1, 2, NaN, Infinity])).toBe(2);
  expect(divergedAt([1, NaN, 2])).toBeUndefined();
  expect(divergedAt([NaN, NaN])).toBe(0);
  expect(divergedAt([])).toBeUndefined();
});

describe('decimate', () => {
  const points = Array.from({ length: 1000 }, (_, x) => ({ x, y: Math.sin(x / 30) as number | null }));

  it('keeps ends, extremes and order', () => {
    const spiky = points.map((point) =>
      point.x === 517 ? { ...point, y: 50 } : point.x === 518 ? { ...point, y: -50 } : point,
    );
    const kept = decimate(spiky, 60);
    expect(kept.length).toBeLessThanOrEqual(64);
    expect(kept[0].x).toBe(0);
    expect(kept[kept.length - 1].x).toBe(999);
    expect(kept.map((point) => point.y)).toEqual(expect.arrayContaining([50, -50]));
    for (let i = 1; i < kept.length; i++) expect(kept[i].x).toBeGreaterThan(kept[i - 1].x);
  });

  it('keeps gaps as gaps and short curves as they are', () => {
    const gap = points.map((point) => (point.x >= 300 && point.x < 400 ? { ...point, y: null } : point));
    expect(decimate(gap, 60).some((point) => point.y === null)).toBe(true);
    expect(decimate(points.slice(0, 50), 60)).toEqual(points.slice(0, 50));
    expect(() => decimate(points, 3)).toThrow(/at least 4/);
  });
});

it('averageRuns gives mean, least and greatest of the runs that are finite there', () => {
  expect(
    averageRuns([
      [1, 2, 3, NaN],
      [3, NaN, 5],
    ]),
  ).toEqual({
    mean: [2, 2, 4, null],
    low: [1, 2, 3, null],
    high: [3, 2, 5, null],
  });
});
