import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { drawPartners, planEpoch } from '../../../lib/data/loader/plan';
import { createRandom } from '../../../lib/tensor/random';

describe('planEpoch', () => {
  const ids = Array.from({ length: 10 }, (_, i) => `image-${i}`);

  test('partners hang on seed, epoch and image alone, not on the batch', () => {
    const partnersOf = (
      batchSize: number,
      epoch: number,
      shuffle: number,
    ): Map<number, readonly number[]> => {
      const plan = planEpoch({ ids, batchSize, shuffle, partners: 3 }, epoch);
      const all = Array.from({ length: Math.ceil(10 / batchSize) }, (_, b) => plan.batch(b)).flat();
      return new Map(all.map(({ index, partners }) => [index, partners]));
    };
    const sorted = (map: Map<number, readonly number[]>): [number, readonly number[]][] =>
      [...map].sort(([a], [b]) => a - b);
    const first = partnersOf(4, 0, 7);
    expect(first.size).toBe(10);
    expect(sorted(partnersOf(3, 0, 7))).toEqual(sorted(first));
    expect(sorted(partnersOf(4, 1, 7))).not.toEqual(sorted(first));
    expect(sorted(partnersOf(4, 0, 8))).not.toEqual(sorted(first));
  });
});

describe('drawPartners', () => {
  test('others only, none twice while there are enough', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 9 }),
        fc.nat(8),
        fc.nat(20),
        fc.nat(),
        (total, at, count, seed) => {
          const self = at % total;
          const drawn = drawPartners(createRandom(seed), self, total, count);
          expect(drawn).toHaveLength(count);
          expect(drawn.every((i) => Number.isInteger(i) && i >= 0 && i < total && i !== self)).toBe(true);
          for (let from = 0; from < count; from += total - 1) {
            const round = drawn.slice(from, from + total - 1);
            expect(new Set(round).size).toBe(round.length);
          }
        },
      ),
    );
  });

  test('all others are equally likely; a lonely image is its own partner', () => {
    const counts = [0, 0, 0, 0];
    for (let seed = 0; seed < 3000; seed++) counts[drawPartners(createRandom(seed), 1, 4, 1)[0]]++;
    expect(counts[1]).toBe(0);
    // Three standard deviations of a binomial with n = 3000, p = 1/3 are 77.
    for (const other of [0, 2, 3]) expect(Math.abs(counts[other] - 1000)).toBeLessThan(77);
    expect(drawPartners(createRandom(0), 0, 1, 3)).toEqual([0, 0, 0]);
  });
});
