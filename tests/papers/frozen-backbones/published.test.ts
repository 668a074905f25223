import { expect, test } from 'vitest';
import {
  frozenCoco,
  frozenHelpfulShare,
  frozenLvis,
  frozenRateConflict,
  frozenReleasedRecipes,
  type FrozenResult,
  frozenStepOperations,
  frozenTable3,
  frozenTrunkParameters,
} from 'detlab';

test('table 3: one frozen trunk, and the more is trained the better freezing does', () => {
  for (const { parameters, trainableShare } of frozenTable3) {
    const frozen = parameters.value! * (1 - trainableShare.value!);
    // The shares have three digits.
    expect(Math.abs(frozen - frozenTrunkParameters.value!)).toBeLessThan(0.0005 * parameters.value! + 0.05);
  }
  const trained = frozenTable3.map((row) => row.parameters.value! * row.trainableShare.value!);
  expect(trained.map((millions) => Number(millions.toFixed(1)))).toEqual([21.8, 40.9, 71.2]);
  const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
  const [shares, deltas] = (['trainableShare', 'delta'] as const).map((key) =>
    frozenTable3.map((row) => row[key].value!),
  );
  expect(shares).toEqual(sorted(shares));
  expect(deltas).toEqual(sorted(deltas));
  // The sign changes about where the review says.
  expect(deltas.map(Math.sign)).toEqual([-1, 1, 1]);
  expect(shares[0]).toBeLessThan(frozenHelpfulShare.value!);
  expect(Math.round(shares[1] * 10) / 10).toBe(frozenHelpfulShare.value);
});

test('the result tables’ differences are those that the reviews print', () => {
  const gains = (rows: readonly FrozenResult[], to: 'frozen' | 'adapted'): number[] =>
    rows.flatMap((row) => {
      const number = row[to]?.value;
      return typeof number === 'number' ? [Number((number - row.fineTuned.value!).toFixed(1))] : [];
    });
  expect(gains(frozenCoco, 'frozen')).toEqual([1.7, 2.1, 1.1, 1.5]);
  expect(gains(frozenCoco, 'adapted')).toEqual([2.5, 3]);
  expect(gains(frozenLvis, 'frozen')).toEqual([1.5, 1.8, 1.7, 1.5]);
  // AP50 is above mAP, and the mAP of masks below that of boxes: what the second heading must be.
  const [map, ap50, box, mask] = frozenCoco.map(({ frozen }) => frozen.value!);
  expect(ap50).toBeGreaterThan(map);
  expect(mask).toBeLessThan(box);
  expect(frozenStepOperations.frozen.value! / frozenStepOperations.fineTuned.value!).toBeCloseTo(0.7);
});

test('the released schedules: steps, epochs and drops agree', () => {
  // Of train2017.
  const images = 118_287;
  for (const { batchSize, epochs, steps, stepsPerEpoch, drops, rates } of frozenReleasedRecipes) {
    if (stepsPerEpoch !== undefined) {
      expect(stepsPerEpoch).toBe(Math.floor(images / batchSize));
      expect(stepsPerEpoch * epochs).toBe(steps);
    }
    const perEpoch = stepsPerEpoch ?? images / batchSize;
    // Rounded up in one place, down in another.
    expect(Math.abs(perEpoch * epochs - steps)).toBeLessThan(1);
    for (const { epoch, step } of drops) expect(Math.abs(perEpoch * epoch - step)).toBeLessThan(1);
    expect(rates[0] / rates[1]).toBeCloseTo(10);
    expect(rates[1] / rates[2]).toBeCloseTo(10);
  }
  expect(frozenReleasedRecipes.map(({ epochs }) => epochs)).toEqual([72, 600, 72, 600]);
});

test('the release’s rate is twice a review’s, and marked as the surer', () => {
  const { released, reviewed } = frozenRateConflict;
  expect(released.value! / reviewed.value!).toBe(2);
  expect([released.confidence, reviewed.confidence]).toEqual(['paper', 'secondary']);
});
