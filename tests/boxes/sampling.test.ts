import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toBoxArray } from '../../lib/boxes/geometry';
import { balancedSample, hardExamples, hardNegatives } from '../../lib/boxes/sampling';
import { createRandom } from '../../lib/tensor/random';

describe('hard negatives', () => {
  const labels = Int32Array.of(2, -1, -1, -2, -1, -1, -1);
  const losses = Float32Array.of(9, 0.1, 0.5, 8, 0.5, 0.3, 0.5);

  test('three for each positive, the hardest, equal losses in the order of the anchors; ignored anchors never', () => {
    expect([...hardNegatives(losses, labels)]).toEqual([0, 0, 1, 0, 1, 0, 1]);
    expect([...hardNegatives(losses, labels, { ratio: 2 })]).toEqual([0, 0, 1, 0, 1, 0, 0]);
    expect([...hardNegatives(losses, labels, { ratio: 1.5 })]).toEqual([0, 0, 1, 0, 0, 0, 0]);
  });

  test('as many as there are when there are too few', () => {
    expect([...hardNegatives(losses, labels, { ratio: 100 })]).toEqual([0, 1, 1, 0, 1, 1, 1]);
  });

  test('without positives: none, or the number asked for', () => {
    const background = new Int32Array(7).fill(-1);
    expect([...hardNegatives(losses, background)]).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect([...hardNegatives(losses, background, { minNegatives: 2 })]).toEqual([1, 0, 0, 1, 0, 0, 0]);
  });

  test('anchors that are not eligible are left out', () => {
    const eligible = Uint8Array.of(1, 1, 0, 1, 1, 1, 1);
    expect([...hardNegatives(losses, labels, { ratio: 2 }, eligible)]).toEqual([0, 0, 0, 0, 1, 0, 1]);
  });

  test('empty, and lengths that differ', () => {
    expect(hardNegatives(new Float32Array(0), new Int32Array(0)).length).toBe(0);
    expect(() => hardNegatives(losses, new Int32Array(3))).toThrow('7 losses, but 3 labels');
  });
});

describe('balanced random sample', () => {
  // 30 positives, 100 background, 20 ignored, mixed.
  const labels = Int32Array.from({ length: 150 }, (_, i) =>
    i % 5 === 0 ? i % 3 : i % 15 === 1 || i % 15 === 2 ? -2 : -1,
  );
  const count = (values: Int32Array, test: (label: number) => boolean): number => values.filter(test).length;

  test("takes what torchvision's sampler takes: a share of positives, then background", () => {
    expect([count(labels, (l) => l >= 0), count(labels, (l) => l === -1)]).toEqual([30, 100]);
    const take = (size: number, positiveFraction: number): [number, number] => {
      const { positives, negatives } = balancedSample(labels, {
        size,
        positiveFraction,
        random: createRandom(1),
      });
      return [positives.length, negatives.length];
    };
    expect(take(40, 0.5)).toEqual([20, 20]);
    expect(take(80, 0.5)).toEqual([30, 50]); // as many positives as there are; background fills up
    expect(take(120, 0.25)).toEqual([30, 90]);
    expect(take(10, 0.25)).toEqual([2, 8]); // rounded down
    expect(take(300, 0.5)).toEqual([30, 100]);
    expect(take(0, 0.5)).toEqual([0, 0]);
    expect(balancedSample(labels, { random: createRandom(1) }).negatives.length).toBe(100);
  });

  test('each index once, ascending, of the right kind; the seed fixes it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -2, max: 3 }), { maxLength: 60 }),
        fc.integer({ min: 0, max: 40 }),
        fc.integer(),
        (values, size, seed) => {
          const all = Int32Array.from(values);
          const { positives, negatives } = balancedSample(all, { size, random: createRandom(seed) });
          expect(positives.every((a) => all[a] >= 0)).toBe(true);
          expect(negatives.every((a) => all[a] === -1)).toBe(true);
          for (const list of [positives, negatives]) {
            expect([...list]).toEqual([...new Set(list)].sort((a, b) => a - b));
          }
          expect(positives.length + negatives.length).toBeLessThanOrEqual(size);
          expect(balancedSample(all, { size, random: createRandom(seed) })).toEqual({ positives, negatives });
        },
      ),
    );
  });

  test('every candidate is as likely as another', () => {
    const random = createRandom('fair');
    const hits = new Int32Array(labels.length);
    for (let i = 0; i < 3000; i++) {
      const { positives, negatives } = balancedSample(labels, { size: 40, random });
      for (const a of [...positives, ...negatives]) hits[a]++;
    }
    labels.forEach((label, a) => {
      const expected = label >= 0 ? (3000 * 20) / 30 : label === -1 ? (3000 * 20) / 100 : 0;
      expect(Math.abs(hits[a] - expected)).toBeLessThanOrEqual(5 * Math.sqrt(expected));
    });
  });

  test('options that cannot be', () => {
    expect(() => balancedSample(labels, { positiveFraction: 2, random: createRandom(1) })).toThrow(
      'positiveFraction in [0, 1], got 256 and 2',
    );
  });
});

describe('online hard examples', () => {
  const losses = Float32Array.of(0.5, 2, 0.1, 1.5, NaN, 2);

  test('the highest losses, equal ones by index, never NaN', () => {
    expect([...hardExamples(losses)]).toEqual([1, 5, 3, 0, 2]);
    expect([...hardExamples(losses, undefined, { count: 2 })]).toEqual([1, 5]);
  });

  test('those that overlap a harder one are passed over', () => {
    const boxes = toBoxArray([
      [0, 0, 10, 10],
      [0, 0, 10, 9],
      [50, 0, 60, 10],
      [0, 0, 10, 6],
      [70, 0, 80, 10],
      [30, 0, 40, 10],
    ]);
    expect([...hardExamples(losses, boxes)]).toEqual([1, 5, 3, 2]);
    expect([...hardExamples(losses, boxes, { iouThreshold: 0.5 })]).toEqual([1, 5, 2]);
    expect(hardExamples(new Float32Array(0), new Float32Array(0)).length).toBe(0);
    expect(() => hardExamples(losses, new Float32Array(4))).toThrow('6 losses, but 1 boxes');
  });
});
