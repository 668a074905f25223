import { describe, expect, test } from 'vitest';
import { cosineSchedule, efficientDetSchedule, linearScaling, megDetSchedule, stepSchedule } from 'detlab';

describe('stepSchedule', () => {
  test('drops at its milestones and warms up linearly', () => {
    const rate = stepSchedule({ base: 0.05, milestones: [10, 20], warmupSteps: 4, warmupFrom: 0.2 });
    expect(rate(0)).toBeCloseTo(0.01, 12);
    expect(rate(2)).toBeCloseTo(0.03, 12);
    expect(rate(4)).toBeCloseTo(0.05, 12);
    expect(rate(9)).toBeCloseTo(0.05, 12);
    expect(rate(10)).toBeCloseTo(0.005, 12);
    expect(rate(20)).toBeCloseTo(0.0005, 12);
  });

  test('takes a factor for each milestone', () => {
    const rate = stepSchedule({ base: 0.4, milestones: [1, 2, 3], factor: [0.1, 0.1, 0.5] });
    [0.4, 0.04, 0.004, 0.002].forEach((expected, step) => expect(rate(step)).toBeCloseTo(expected, 12));
    expect(() => stepSchedule({ base: 1, milestones: [1, 2], factor: [0.1] })).toThrow(
      /1 factors for 2 milestones/,
    );
  });

  test('refuses a rate that is not positive, milestones out of order, a warm-up that is no number of steps', () => {
    expect(() => stepSchedule({ base: 0 })).toThrow(/positive number, got 0/);
    expect(() => stepSchedule({ base: NaN })).toThrow(/got NaN/);
    expect(() => stepSchedule({ base: 1, milestones: [20, 10] })).toThrow(/\[20, 10\]/);
    expect(() => stepSchedule({ base: 1, warmupSteps: NaN })).toThrow(
      /warmupSteps must be 0 or more, got NaN/,
    );
  });
});

describe('cosineSchedule', () => {
  test('goes from the base to the final rate, after a linear warm-up', () => {
    const rate = cosineSchedule({ base: 1, steps: 110, warmupSteps: 10, warmupFrom: 0, final: 0.2 });
    expect([0, 5, 10, 60, 110].map(rate)).toEqual([
      0,
      0.5,
      1,
      expect.closeTo(0.6, 12),
      expect.closeTo(0.2, 12),
    ]);
    expect(rate(35)).toBeCloseTo(0.2 + 0.8 * 0.5 * (1 + Math.SQRT1_2), 12);
  });

  test('refuses a warm-up that leaves no step', () => {
    expect(() => cosineSchedule({ base: 1, steps: 10, warmupSteps: 10 })).toThrow(/10 steps leave none/);
  });
});

describe('the papers', () => {
  test('EfficientDet: 0.16 at 128 images, one epoch from a tenth, the cosine counted from step 0', () => {
    const rate = efficientDetSchedule({ batchSize: 128, stepsPerEpoch: 100, epochs: 300 });
    expect(rate(0)).toBeCloseTo(0.016, 12);
    expect(rate(50)).toBeCloseTo((0.016 + 0.16) / 2, 12);
    // det_model_fn.py: 0.5 lr (1 + cos(pi step / (total - warmup)))
    expect(rate(100)).toBeCloseTo(0.08 * (1 + Math.cos((Math.PI * 100) / 29900)), 12);
    expect(rate(29900)).toBeCloseTo(0, 12);
  });

  test('MegDet: from the rate of 16 images to k times that, then three drops', () => {
    const rate = megDetSchedule({ batchSize: 256, warmupSteps: 100, milestones: [1000, 1500, 1800] });
    expect([0, 50, 100, 1000, 1500, 1800].map(rate)).toEqual(
      [0.02, 0.17, 0.32, 0.032, 0.0032, 0.0016].map((value) => expect.closeTo(value, 12)),
    );
    expect(linearScaling({ rate: 0.02, batchSize: 16 }, 8)).toBe(0.01);
    expect(() => linearScaling({ rate: 0.02, batchSize: 16 }, 0)).toThrow(/positive number, got 0/);
  });
});
