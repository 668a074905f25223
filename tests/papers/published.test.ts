import { expect, test } from 'vitest';
import { formatPublished } from 'detlab';

test('what is not verified says so wherever it is shown', () => {
  expect(formatPublished({ value: null, confidence: 'unverified', source: '' })).toBe(
    'diverged (unverified)',
  );
  expect(formatPublished({ value: 71, confidence: 'unverified', source: '' })).toBe('71.0 (unverified)');
  expect(formatPublished({ value: 67.6, confidence: 'paper', source: '' })).toBe('67.6');
});
