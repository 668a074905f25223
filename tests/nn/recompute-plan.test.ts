/** Plans of recomputation against all there are: every way to cut a short chain into segments that are stored or recomputed. */
import { describe, expect, it } from 'vitest';
import {
  type ChainLayer,
  createRandom,
  equalSegmentsPlan,
  planExtraCost,
  planForBudget,
  planPeakBytes,
  planPeakLimit,
  type PlanSegment,
  type RecomputePlan,
  segmentLengthCurve,
  squareRootPlan,
  storedPlan,
} from 'detlab';

const equal = (count: number, keptBytes = 1, outputBytes = 1): ChainLayer[] =>
  Array.from({ length: count }, () => ({ keptBytes, outputBytes, cost: 1 }));

function randomLayers(count: number, seed: string, whole: boolean): ChainLayer[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => {
    const outputBytes = whole ? random.integer(6) : random.uniform(0, 6);
    const keptBytes = outputBytes + (whole ? random.integer(10) : random.uniform(0, 10));
    return { outputBytes, keptBytes, cost: whole ? random.integer(5) : random.uniform(0, 5) };
  });
}

/** Every plan: the cuts by the bits of a number, what is recomputed by those of another. */
function allPlans(count: number): RecomputePlan[] {
  const cuttings = Array.from({ length: 2 ** (count - 1) }, (_, cuts) => {
    const lengths: number[] = [1];
    for (let i = 1; i < count; i++) {
      if ((cuts >> (i - 1)) & 1) lengths.push(1);
      else lengths[lengths.length - 1]++;
    }
    return lengths;
  });
  return cuttings.flatMap((lengths) =>
    Array.from({ length: 2 ** lengths.length }, (_, bits) =>
      lengths.map((length, i): PlanSegment => ({ length, recompute: ((bits >> i) & 1) === 1 })),
    ),
  );
}

/** Step by step what is kept: forward all layers, then backward one segment after another. */
function simulatedPeak(layers: readonly ChainLayer[], plan: RecomputePlan, afterBytes: number): number {
  const held: number[] = [];
  const total = () => held.reduce((sum, bytes) => sum + bytes, 0);
  let start = 0;
  for (const { length, recompute } of plan) {
    const own = layers.slice(start, (start += length));
    const all = own.map(({ keptBytes }) => keptBytes).reduce((a, b) => a + b);
    held.push(recompute ? own[length - 1].outputBytes : all);
  }
  let peak = total() + afterBytes;
  for (const { length, recompute } of [...plan].reverse()) {
    const own = layers.slice(start - length, start);
    start -= length;
    if (recompute) held[held.length - 1] = own.reduce((sum, { keptBytes }) => sum + keptBytes, 0);
    peak = Math.max(peak, total());
    held.pop();
  }
  return peak;
}

describe('squareRootPlan', () => {
  it('has ceil(sqrt(n)) segments that differ by one layer at most, the last of them stored', () => {
    for (let n = 1; n <= 70; n++) {
      const plan = squareRootPlan(n);
      const lengths = plan.map(({ length }) => length);
      expect(plan).toHaveLength(Math.ceil(Math.sqrt(n)));
      expect(lengths.reduce((a, b) => a + b)).toBe(n);
      expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
      expect(plan.map(({ recompute }) => recompute)).toEqual(lengths.map((_, i) => i < lengths.length - 1));
      expect(squareRootPlan(n, true).every(({ recompute }) => recompute)).toBe(true);
    }
  });

  it('needs sqrt(n) - 1 outputs and sqrt(n) layers, and computes all but the last segment twice', () => {
    const layers = equal(16, 3, 2);
    expect(planPeakBytes(layers, squareRootPlan(16))).toBe(3 * 2 + 4 * 3);
    expect(planExtraCost(layers, squareRootPlan(16))).toBe(12);
    expect(planPeakBytes(layers, storedPlan(16))).toBe(48);
    expect(planExtraCost(layers, storedPlan(16))).toBe(0);
  });

  it('recomputes its last segment for nothing, unless something large follows', () => {
    const layers = equal(16, 3, 2);
    const peak = (last: boolean, afterBytes: number): number =>
      planPeakBytes(layers, squareRootPlan(16, last), { afterBytes });
    expect([peak(false, 0), peak(true, 0)]).toEqual([18, 18]);
    expect([peak(false, 30), peak(true, 30)]).toEqual([48, 38]);
  });
});

it('counts the peak as a simulation of the two passes does', () => {
  for (const whole of [true, false]) {
    const layers = randomLayers(7, `peak ${whole}`, whole);
    for (const plan of allPlans(7)) {
      for (const afterBytes of [0, 20]) {
        expect(planPeakBytes(layers, plan, { afterBytes })).toBeCloseTo(
          simulatedPeak(layers, plan, afterBytes),
          9,
        );
      }
    }
  }
});

describe('segmentLengthCurve', () => {
  it.each([16, 25, 36, 49, 64])(
    'of %i equal layers is lowest at the square root, by about 2 sqrt(n)',
    (n) => {
      const curve = segmentLengthCurve(equal(n));
      const root = Math.sqrt(n);
      const peaks = curve.map(({ peakBytes }) => peakBytes);
      expect(Math.min(...peaks)).toBe(2 * root - 1);
      expect(curve[root - 1]).toEqual({
        segmentLength: root,
        segments: root,
        peakBytes: 2 * root - 1,
        extraCost: n - root,
      });
      expect(peaks[0]).toBe(n);
      expect(peaks[n - 1]).toBe(n);
      expect(curve[n - 1].extraCost).toBe(0);
    },
  );

  it('is lowest at sqrt(n output / kept) where a layer keeps more than its output', () => {
    const peaks = segmentLengthCurve(equal(64, 4, 1)).map(({ peakBytes }) => peakBytes);
    expect(peaks.indexOf(Math.min(...peaks)) + 1).toBe(4);
  });
});

describe('planForBudget', () => {
  it('is as cheap as the best of all plans, for every budget that changes anything', () => {
    for (let seed = 0; seed < 24; seed++) {
      const whole = seed % 2 === 0;
      const layers = randomLayers(2 + (seed % 6), `budget ${seed}`, whole);
      const afterBytes = seed % 3 === 0 ? 12 : 0;
      const plans = allPlans(layers.length).map((plan) => ({
        peak: planPeakBytes(layers, plan, { afterBytes }),
        cost: planExtraCost(layers, plan),
      }));
      const limit = Math.min(...plans.map(({ peak }) => peak));
      expect(planPeakLimit(layers, { afterBytes })).toBeCloseTo(limit, 9);
      for (const budget of new Set(plans.map(({ peak }) => peak))) {
        const room = budget + 1e-9;
        const plan = planForBudget(layers, room, { afterBytes });
        const cheapest = Math.min(...plans.filter(({ peak }) => peak <= room).map(({ cost }) => cost));
        expect(planPeakBytes(layers, plan, { afterBytes })).toBeLessThanOrEqual(room + 1e-9);
        expect(planExtraCost(layers, plan)).toBeCloseTo(cheapest, 9);
      }
      const tooSmall = limit * 0.99 - 1e-6;
      expect(() => planForBudget(layers, tooSmall, { afterBytes })).toThrow(RangeError);
    }
  });

  it('ends segments where a map is kept in any case', () => {
    for (let seed = 0; seed < 3; seed++) {
      const layers = randomLayers(6, `ends ${seed}`, true);
      const ends = [2, 5];
      const plans = allPlans(6).filter((plan) => {
        let count = 0;
        const own = new Set(plan.map(({ length }) => (count += length)));
        return ends.every((end) => own.has(end));
      });
      const peaks = plans.map((plan) => planPeakBytes(layers, plan));
      expect(planPeakLimit(layers, { ends })).toBe(Math.min(...peaks));
      for (const budget of peaks) {
        const plan = planForBudget(layers, budget, { ends });
        const costs = plans.filter((_, i) => peaks[i] <= budget).map((one) => planExtraCost(layers, one));
        expect(planExtraCost(layers, plan)).toBe(Math.min(...costs));
        expect(plans).toContainEqual(plan);
      }
    }
  });

  it('recomputes nothing where all fits, and names the smallest peak where nothing does', () => {
    const layers = equal(16, 3, 2);
    expect(planForBudget(layers, 48)).toEqual([{ length: 16, recompute: false }]);
    const limit = planPeakLimit(layers);
    expect(planPeakBytes(layers, planForBudget(layers, limit))).toBe(limit);
    expect(() => planForBudget(layers, limit - 1)).toThrow(
      `the smallest peak of this chain of 16 layers is ${limit} bytes`,
    );
  });

  it('may cut unequal layers better than the square root', () => {
    // a trunk's: large maps first
    const layers = Array.from({ length: 16 }, (_, i) => ({
      keptBytes: 3 * 2 ** (4 - Math.floor(i / 4)),
      outputBytes: 2 ** (4 - Math.floor(i / 4)),
      cost: 1,
    }));
    const root = planPeakBytes(layers, squareRootPlan(16));
    const plan = planForBudget(layers, root);
    expect(planExtraCost(layers, plan)).toBeLessThan(planExtraCost(layers, squareRootPlan(16)));
    expect(planPeakLimit(layers)).toBeLessThan(root);
  });

  it('plans long chains of unequal layers', () => {
    const layers = randomLayers(60, 'long', false);
    const [low, high] = [planPeakLimit(layers), planPeakBytes(layers, storedPlan(60))];
    let last = Infinity;
    for (const share of [0, 0.1, 0.3, 0.6, 1]) {
      const budget = low + share * (high - low) + 1e-9;
      const plan = planForBudget(layers, budget);
      expect(planPeakBytes(layers, plan)).toBeLessThanOrEqual(budget + 1e-9);
      const cost = planExtraCost(layers, plan);
      expect(cost).toBeLessThanOrEqual(last);
      last = cost;
    }
    expect(last).toBe(0);
  });
});

it('refuses what is no plan for the chain', () => {
  const layers = equal(4);
  expect(() => planPeakBytes(layers, storedPlan(5))).toThrow('5 layers (5), the chain has 4');
  expect(() => planExtraCost(layers, [{ length: 0, recompute: true }])).toThrow('one layer or more');
  expect(() => squareRootPlan(0)).toThrow('one layer or more, got 0');
  expect(() => equalSegmentsPlan(4, 0)).toThrow('one layer or more, got 0');
});
