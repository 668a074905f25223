import { expect, test } from 'vitest';
import { formatPublished, megDetBatches, megDetBnSizes, megDetRates, megDetTimes } from 'detlab';

test('what is not verified says so wherever it is shown', () => {
  expect(formatPublished({ value: null, confidence: 'unverified', source: '' })).toBe(
    'diverged (unverified)',
  );
  expect(formatPublished({ value: 71, confidence: 'unverified', source: '' })).toBe('71.0 (unverified)');
  expect(formatPublished({ value: 67.6, confidence: 'paper', source: '' })).toBe('67.6');
});

test('MegDet’s figures agree with one another, and the remembered ones are marked', () => {
  // the linear scaling rule, and sixteen times the devices in an eighth of the time
  expect(megDetRates[256].value! / megDetRates[16].value!).toBeCloseTo(256 / 16);
  expect(megDetTimes[8].value! / megDetTimes[128].value!).toBeCloseTo(8.1, 1);
  const hours = megDetBatches.flatMap((row) => row.hours?.value ?? []);
  expect(hours).toEqual([...hours].sort((a, b) => b - a));
  for (const { ap, outcome } of megDetBatches) expect(ap?.value === null).toBe(outcome === 'fails');
  expect(Object.values(megDetBnSizes).map((ap) => formatPublished(ap))).toEqual([
    '31.5 (unverified)',
    '34.9 (unverified)',
    '35.9 (unverified)',
  ]);
});
