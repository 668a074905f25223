import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ClaimComparison, StudyMetric } from '../../lib/evidence/study';
import {
  combineVerdicts,
  judgeClaim,
  judgeComparison,
  type MeasuredRun,
  meanInterval,
  type Verdict,
} from '../../lib/evidence/verdict';

const metrics: Record<string, StudyMetric> = {
  map: { title: 'mAP', diverged: 0 },
  norm: { title: 'Gradient norm' },
};

/** Runs of seeds 1, 2, …; 'diverged' is one that did, null one without a value. */
function runs(
  arm: string,
  values: readonly (number | 'diverged' | null)[],
  metric: string = 'map',
): MeasuredRun[] {
  return values.map((value, i) => ({
    arm,
    seed: i + 1,
    diverged: value === 'diverged',
    metrics: { [metric]: value === 'diverged' ? null : value },
  }));
}

const higher: ClaimComparison = {
  kind: 'difference',
  metric: 'map',
  arm: 'a',
  than: 'b',
  direction: 'higher',
  least: 0.02,
};
const equal: ClaimComparison = { kind: 'equality', metric: 'map', arm: 'a', than: 'b', margin: 0.03 };

/** Of three differences. */
const ofDifferences = (comparison: ClaimComparison, differences: readonly number[]): Verdict =>
  judgeComparison(
    comparison,
    [
      ...runs('a', differences),
      ...runs(
        'b',
        differences.map(() => 0),
      ),
    ],
    metrics,
  ).verdict;

describe('mean and interval', () => {
  test('are those that a hand computes', () => {
    // Mean 2, deviations -1, 0, 1: standard deviation 1; half the interval is 4.302653 / sqrt(3) = 2.484138.
    const { mean, deviation, interval } = meanInterval([1, 2, 3]);
    expect(mean).toBe(2);
    expect(deviation).toBe(1);
    expect(interval![0]).toBeCloseTo(2 - 2.484138, 5);
    expect(interval![1]).toBeCloseTo(2 + 2.484138, 5);
    // 0.1, 0.2, 0.4, 0.5: mean 0.3, sum of squares 0.1, standard deviation sqrt(0.1 / 3); t(3) = 3.182446.
    const four = meanInterval([0.1, 0.2, 0.4, 0.5]);
    expect(four.deviation).toBeCloseTo(0.18257419, 7);
    expect(four.interval![0]).toBeCloseTo(0.3 - (3.182446 * 0.18257419) / 2, 6);
  });

  test('of one value or none say what they can', () => {
    expect(meanInterval([0.5])).toEqual({ mean: 0.5, deviation: null, interval: null });
    expect(meanInterval([])).toEqual({ mean: null, deviation: null, interval: null });
  });
});

describe('a difference', () => {
  test.each<[string, number[], Verdict]>([
    ['clear and large enough', [0.1, 0.11, 0.12], 'shown'],
    ['clear, the other way', [-0.1, -0.11, -0.12], 'contradicted'],
    ['large, but the seeds disagree', [0.01, 0.1, 0.4], 'not shown at this scale'],
    ['clear, but not worth the name', [0.01, 0.011, 0.012], 'not shown at this scale'],
    ['clear the other way, but not worth the name', [-0.01, -0.011, -0.012], 'not shown at this scale'],
    ['just the least one', [0.02, 0.02, 0.02], 'shown'],
    ['none', [0, 0, 0], 'not shown at this scale'],
    ['of two seeds', [0.1, 0.1], 'not shown at this scale'],
  ])('that is %s', (_, differences, verdict) => {
    expect(ofDifferences(higher, differences)).toBe(verdict);
  });

  test('is taken seed by seed, whatever the order of the runs and the seeds that only one arm has', () => {
    const a = runs('a', [0.5, 0.6, 0.7, 0.9]).reverse();
    const b = [...runs('b', [0.4, 0.5, 0.6]), { arm: 'b', seed: 7, diverged: false, metrics: { map: 0 } }];
    const { seeds, differences, mean, verdict } = judgeComparison(higher, [...b, ...a], metrics);
    expect(seeds).toEqual([1, 2, 3]);
    expect(differences.map((one) => one.toFixed(6))).toEqual(['0.100000', '0.100000', '0.100000']);
    expect(mean).toBeCloseTo(0.1, 12);
    expect(verdict).toBe('shown');
  });

  test('may be one downwards', () => {
    const lower: ClaimComparison = { ...higher, direction: 'lower' };
    expect(ofDifferences(lower, [-0.1, -0.11, -0.12])).toBe('shown');
    expect(ofDifferences(lower, [0.1, 0.11, 0.12])).toBe('contradicted');
  });

  test('of diverged runs takes what the metric says', () => {
    const found = judgeComparison(
      higher,
      [...runs('a', [0.5, 0.5, 0.5]), ...runs('b', ['diverged', 'diverged', 0.1])],
      metrics,
    );
    expect(found.differences).toEqual([0.5, 0.5, 0.4]);
    expect(found.verdict).toBe('shown');
  });

  test.each([
    ['diverged' as const, 'b of seed 2 diverged and has no value of norm'],
    [null, 'b of seed 2 has no value of norm'],
  ])('is none where a value is missing: %s', (value, reason) => {
    const comparison: ClaimComparison = { ...higher, metric: 'norm', direction: 'lower' };
    const found = judgeComparison(
      comparison,
      [...runs('a', [1, 1, 1], 'norm'), ...runs('b', [5, value, 5], 'norm')],
      metrics,
    );
    expect(found).toMatchObject({ verdict: 'not shown at this scale', reason, mean: null, differences: [] });
  });

  test.each([
    [0, 'no seed, 3 are needed'],
    [1, 'only one seed, 3 are needed'],
    [2, 'only 2 seeds, 3 are needed'],
  ])('of %d seeds says so', (count, reason) => {
    const values = [0.1, 0.2].slice(0, count);
    const found = judgeComparison(higher, [...runs('a', values), ...runs('b', [0, 0, 0])], metrics);
    expect(found.reason).toBe(reason);
    expect(found.differences).toEqual(values);
  });
});

describe('an equality', () => {
  test.each<[string, number[], Verdict]>([
    ['within the margin', [0.001, -0.002, 0.003], 'shown'],
    ['exact', [0, 0, 0], 'shown'],
    ['at the margin', [0.03, 0.03, 0.03], 'shown'],
    ['on average, but the seeds differ', [-0.1, 0, 0.1], 'not shown at this scale'],
    ['clearly wrong', [0.1, 0.101, 0.102], 'contradicted'],
    ['clearly wrong downwards', [-0.1, -0.101, -0.102], 'contradicted'],
    ['of two seeds', [0, 0], 'not shown at this scale'],
  ])('that is %s', (_, differences, verdict) => {
    expect(ofDifferences(equal, differences)).toBe(verdict);
  });
});

describe('a difference that grows', () => {
  const grows: ClaimComparison = {
    kind: 'interaction',
    metric: 'map',
    arm: 'a',
    than: 'b',
    base: { arm: 'c', than: 'd' },
    direction: 'higher',
    least: 0.02,
  };
  const of = (
    values: readonly (readonly (number | 'diverged')[])[],
    change: object = {},
  ): ReturnType<typeof judgeComparison> =>
    judgeComparison(
      { ...grows, ...change } as ClaimComparison,
      ['a', 'b', 'c', 'd'].flatMap((arm, i) => runs(arm, values[i])),
      metrics,
    );
  const four = [
    [0.5, 0.6, 0.7],
    [0.4, 0.55, 0.6],
    [0.3, 0.3, 0.3],
    [0.4, 0.5, 0.4],
  ];

  test('is taken seed by seed', () => {
    const { differences, verdict, seeds } = of(four);
    // (0.5 - 0.4) - (0.3 - 0.4), and so on.
    expect(differences.map((value) => value.toFixed(6))).toEqual(['0.200000', '0.250000', '0.200000']);
    expect([seeds, verdict]).toEqual([[1, 2, 3], 'shown']);
    expect(of(four, { direction: 'lower' }).verdict).toBe('contradicted');
    expect(of(four, { least: 0.3 }).verdict).toBe('not shown at this scale');
  });

  test('takes seeds that all four arms have, and a diverged run’s value', () => {
    const [a, b, c, d] = four;
    expect(of([a, b, c, d.slice(0, 2)])).toMatchObject({
      seeds: [1, 2],
      reason: 'only 2 seeds, 3 are needed',
    });
    const { differences } = of([a, b, ['diverged', 0.3, 0.3], d]);
    expect(differences[0]).toBeCloseTo(0.1 - (0 - 0.4), 12);
  });
});

describe('divergence', () => {
  test.each<[boolean, readonly ('diverged' | number)[], Verdict, string]>([
    [true, ['diverged', 'diverged', 'diverged'], 'shown', '3 of 3 runs diverged'],
    [true, [0.1, 0.1, 0.1], 'contradicted', '0 of 3 runs diverged'],
    [true, ['diverged', 0.1, 'diverged'], 'not shown at this scale', '2 of 3 runs diverged'],
    [false, [0.1, 0.1, 0.1], 'shown', '0 of 3 runs diverged'],
    [false, ['diverged', 'diverged', 'diverged'], 'contradicted', '3 of 3 runs diverged'],
    [true, ['diverged', 'diverged'], 'not shown at this scale', 'only 2 seeds, 3 are needed'],
  ])('claimed %s, found %j', (diverges, values, verdict, reason) => {
    const found = judgeComparison({ kind: 'divergence', arm: 'a', diverges }, runs('a', values), metrics);
    expect(found).toMatchObject({ verdict, reason });
  });
});

test('a claim is shown when all of its comparisons are, contradicted when one is', () => {
  const none = 'not shown at this scale' as const;
  expect(combineVerdicts(['shown', 'shown'])).toBe('shown');
  expect(combineVerdicts(['shown', none])).toBe(none);
  expect(combineVerdicts([none, 'contradicted', 'shown'])).toBe('contradicted');
  expect(combineVerdicts([])).toBe(none);
  const claim = { name: 'x', text: 'x', paper: 'x', comparisons: [higher, equal] };
  const found = judgeClaim(claim, [...runs('a', [0.1, 0.1, 0.1]), ...runs('b', [0, 0, 0])], metrics);
  expect(found.comparisons.map(({ verdict }) => verdict)).toEqual(['shown', 'contradicted']);
  expect(found).toMatchObject({
    verdict: 'contradicted',
    reason: 'the whole interval is outside the margin',
  });
});

describe('whatever the values', () => {
  const values = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 0, maxLength: 8 });
  const mirrored: Record<Verdict, Verdict> = {
    shown: 'contradicted',
    contradicted: 'shown',
    'not shown at this scale': 'not shown at this scale',
  };

  test('the opposite claim has the opposite verdict, and so has the claim with its arms exchanged', () => {
    fc.assert(
      fc.property(values, values, fc.double({ min: 1e-3, max: 0.5, noNaN: true }), (a, b, least) => {
        const all = [...runs('a', a), ...runs('b', b)];
        const judge = (change: object): Verdict =>
          judgeComparison({ ...higher, least, ...change } as ClaimComparison, all, metrics).verdict;
        const verdict = judge({});
        expect(judge({ direction: 'lower' })).toBe(mirrored[verdict]);
        expect(judge({ arm: 'b', than: 'a' })).toBe(mirrored[verdict]);
        expect(judge({ arm: 'b', than: 'a', direction: 'lower' })).toBe(verdict);
      }),
    );
  });

  test('equality does not ask which arm is named first', () => {
    fc.assert(
      fc.property(values, values, fc.double({ min: 1e-3, max: 0.5, noNaN: true }), (a, b, margin) => {
        const all = [...runs('a', a), ...runs('b', b)];
        const judge = (change: object): Verdict =>
          judgeComparison({ ...equal, margin, ...change } as ClaimComparison, all, metrics).verdict;
        expect(judge({ arm: 'b', than: 'a' })).toBe(judge({}));
      }),
    );
  });

  test('a stricter claim is not shown where a weaker one is not, and three seeds are needed', () => {
    fc.assert(
      fc.property(values, fc.double({ min: 1e-3, max: 0.2, noNaN: true }), (differences, least) => {
        const weak = ofDifferences({ ...higher, least }, differences);
        const strict = ofDifferences({ ...higher, least: 2 * least }, differences);
        if (strict !== 'not shown at this scale') expect(strict).toBe(weak);
        if (differences.length < 3) expect(weak).toBe('not shown at this scale');
      }),
    );
  });
});
