import fc from 'fast-check';
import { expect, test } from 'vitest';
import { descendingOrder, groupByKey } from '../../lib/eval/stable-order';

test('by hand: the highest first, equal ones as they came', () => {
  expect([...descendingOrder([0.5, 0.9, 0.5, 0.9, -1, 0.5])]).toEqual([1, 3, 0, 2, 5, 4]);
  expect([...descendingOrder([])]).toEqual([]);
  expect([...descendingOrder([Infinity, 7, -Infinity])]).toEqual([0, 1, 2]);
});

test('equals the stable sort of arrays at any length', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { maxLength: 200, size: 'max' }), (scores) => {
      const expected = scores.map((_, i) => i).sort((a, b) => scores[b] - scores[a]);
      expect([...descendingOrder(Float64Array.from(scores))]).toEqual(expected);
    }),
    { numRuns: 100, seed: 1 },
  );
});

test('groups keep the order given', () => {
  const keys = Int32Array.of(2, 0, 2, 3, 0);
  expect([...groupByKey(keys, 5).order]).toEqual([1, 4, 0, 2, 3]);
  expect([...groupByKey(keys, 5).starts]).toEqual([0, 2, 2, 4, 5, 5]);
  expect([...groupByKey(keys, 5, Uint32Array.of(4, 2, 1)).order]).toEqual([4, 1, 2]);
  expect([...groupByKey(new Int32Array(0), 0).starts]).toEqual([0]);
});
