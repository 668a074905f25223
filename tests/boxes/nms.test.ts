import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { iou, toBoxArray } from '../../lib/boxes/geometry';
import { batchedNms, classwiseNms, nms } from '../../lib/boxes/nms';
import { topScores } from '../../lib/boxes/score-order';
import type { Box } from '../../lib/boxes/types';
import { createRandom, type Random } from '../../lib/tensor/random';
import { fixture } from './detection-fixture';

const fixtures = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'boxes.json'), 'utf8')) as {
  nms: { boxes: Box[]; scores: number[]; threshold: number; kept: number[] }[];
  classwise: { boxes: Box[]; scores: number[][]; kept: [number, number, number][] };
};
const none = new Float32Array(0);

/** The definition, with two loops. */
function slowNms(boxes: Box[], scores: Float32Array, threshold: number): number[] {
  const order = boxes.map((_, i) => i).sort((i, j) => scores[j] - scores[i]);
  const kept: number[] = [];
  for (const i of order) if (kept.every((j) => iou(boxes[i], boxes[j]) <= threshold)) kept.push(i);
  return kept;
}

describe('nms', () => {
  test.each(fixtures.nms.map((fixture, index) => ({ ...fixture, index })))(
    'equals the reference, case $index, IoU $threshold',
    ({ boxes, scores, threshold, kept }) => {
      expect([...nms(toBoxArray(boxes), Float32Array.from(scores), { iouThreshold: threshold })]).toEqual(
        kept,
      );
    },
  );

  test('by hand: an IoU equal to the threshold is kept', () => {
    const boxes = toBoxArray([
      [0, 0, 10, 10],
      [0, 0, 10, 5],
      [0, 0, 10, 6],
    ]);
    const scores = Float32Array.of(0.9, 0.8, 0.7);
    expect([...nms(boxes, scores, { iouThreshold: 0.5 })]).toEqual([0, 1]);
    expect([...nms(boxes, scores, { iouThreshold: 0.49 })]).toEqual([0]);
    expect([...nms(boxes, scores, { iouThreshold: 0.9 })]).toEqual([0, 1, 2]);
  });

  test('score threshold is exclusive, also where float32 rounds it up; topK cuts before, maxOutput after', () => {
    const boxes = toBoxArray([0, 0, 20, 40].map((x): Box => [x, 0, x + 10, 10]));
    const scores = Float32Array.of(0.5, 0.75, 0.25, 0.125);
    expect([...nms(boxes, scores)]).toEqual([1, 2, 3]);
    expect([...nms(boxes, scores, { scoreThreshold: 0.25 })]).toEqual([1]);
    expect([...nms(boxes, Float32Array.of(0.3, 0.1, 0.7, 0.4), { scoreThreshold: 0.3 })]).toEqual([2, 3]);
    expect([...nms(boxes, scores, { topK: 2 })]).toEqual([1]);
    expect([...nms(boxes, scores, { maxOutput: 2 })]).toEqual([1, 2]);
    expect([...nms(boxes, scores, { maxOutput: 0 })]).toEqual([]);
  });

  test('empty, degenerate and NaN', () => {
    expect(nms(none, none)).toEqual(new Int32Array(0));
    const boxes = toBoxArray([
      [5, 5, 5, 5],
      [5, 5, 5, 5],
      [NaN, 0, 1, 1],
      [0, 0, 9, 9],
    ]);
    expect([...nms(boxes, Float32Array.of(0.1, 0.2, 0.3, NaN))]).toEqual([2, 1, 0]);
    // A box with NaN among its corners meets no other, whichever corner it is, and however few or many boxes there are.
    for (const count of [2, 2000]) {
      for (let corner = 0; corner < 4; corner++) {
        const same = toBoxArray(Array.from({ length: count }, () => [0, 0, 10, 10] as const));
        same[corner] = NaN;
        const falling = Float32Array.from({ length: count }, (_, i) => count - i);
        expect([...nms(same, falling)], `${count} boxes, corner ${corner}`).toEqual([0, 1]);
      }
    }
    expect(() => nms(boxes, none)).toThrow('4 boxes, but 0 scores');
  });

  test.each([0.2, 0.3, 0.45, 0.5, 0.7, 0.95])(
    'many boxes through the grid, IoU %d: as the two loops say',
    (threshold) => {
      const random = createRandom(`nms ${threshold}`);
      // Sizes from 2 to 200 on a plane of 300 x 200, some exact copies and some degenerate.
      const boxes = Array.from({ length: 1500 }, (): Box => {
        const x = Math.fround(random.uniform(-100, 200));
        const y = Math.fround(random.uniform(0, 200));
        const size = 2 * 100 ** random.next();
        return [
          x,
          y,
          Math.fround(x + size * random.uniform(0.5, 1)),
          Math.fround(y + size * random.uniform(0.5, 1)),
        ];
      });
      for (let i = 0; i < 100; i++) boxes[random.integer(1500)] = boxes[random.integer(1500)];
      for (let i = 0; i < 10; i++) boxes[random.integer(1500)] = [50, 50, 50, 60];
      const scores = Float32Array.from(boxes, () => random.integer(500) / 500);
      const kept = [...nms(toBoxArray(boxes), scores, { iouThreshold: threshold })];
      expect(kept).toEqual(slowNms(boxes, scores, threshold));
      expect(kept.length).toBeLessThan(1500);
    },
  );

  test('many boxes without a finite extent, or all degenerate', () => {
    const boxes = new Float32Array(4 * 1200).fill(1);
    const scores = new Float32Array(1200);
    expect(nms(boxes, scores).length).toBe(1200);
    boxes.set([-Infinity, 0, Infinity, 10], 0);
    boxes.set([0, 0, 10, 10], 4);
    boxes.set([0, 0, 10, 10], 8);
    expect(nms(boxes, scores).length).toBe(1199);
  });
});

test('keeps what the definition keeps, for any boxes, scores and threshold', () => {
  const edge = fc.integer({ min: 0, max: 24 });
  const box = fc.tuple(edge, edge, edge, edge) as fc.Arbitrary<Box>;
  const score = fc.integer({ min: -3, max: 3 });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(box, score), { maxLength: 30 }),
      fc.constantFrom(0, 0.25, 1 / 3, 0.5, 0.9, 1),
      (items, threshold) => {
        const boxes = items.map(([b]) => b);
        const scores = Float32Array.from(items, ([, s]) => s);
        const kept = [...nms(toBoxArray(boxes), scores, { iouThreshold: threshold })];
        const order = boxes.map((_, i) => i).sort((i, j) => scores[j] - scores[i] || i - j);
        const expected: number[] = [];
        for (const i of order) {
          if (expected.every((j) => Math.fround(iou(boxes[i], boxes[j])) <= threshold)) expected.push(i);
        }
        expect(kept).toEqual(expected);
      },
    ),
  );
});

describe('against torchvision', () => {
  const boxes = toBoxArray(fixture.suppression.boxes);
  const scores = Float32Array.from(fixture.suppression.scores);
  const classes = Int32Array.from(fixture.suppression.classes);

  test.each(fixture.suppression.cases)(
    'nms and batched_nms, IoU $threshold',
    ({ threshold, nms: kept, batched }) => {
      expect([...nms(boxes, scores, { iouThreshold: threshold })]).toEqual(kept);
      expect([...batchedNms(boxes, scores, classes, { iouThreshold: threshold })]).toEqual(batched);
    },
  );

  test('IoU is rounded to float32 as there: a third of 3 is just above 1/3', () => {
    const two = toBoxArray([
      [0, 0, 3, 1],
      [0, 0, 1, 1],
    ]);
    expect([...nms(two, Float32Array.of(1, 0.5), { iouThreshold: 1 / 3 })]).toEqual([0]);
    expect([...nms(two, Float32Array.of(1, 0.5), { iouThreshold: Math.fround(1 / 3) })]).toEqual([0, 1]);
  });
});

describe('batched nms', () => {
  test('groups do not suppress each other; any numbers, in any order', () => {
    const boxes = new Float32Array(20).map((_, i) => [0, 0, 10, 10][i % 4]);
    const scores = Float32Array.of(0.1, 0.5, 0.3, 0.2, 0.4);
    expect([...batchedNms(boxes, scores, Int32Array.of(7, -3, 7, 7, -3))]).toEqual([1, 2]);
    expect([...batchedNms(boxes, scores, Int32Array.of(1, 2, 3, 4, 5))]).toEqual([1, 4, 2, 3, 0]);
    expect([...batchedNms(boxes, scores, Int32Array.of(1, 2, 3, 4, 5), { maxOutput: 2 })]).toEqual([1, 4]);
    expect([...batchedNms(boxes, scores, new Int32Array(5), { iouThreshold: 1, topK: 3 })]).toEqual([
      1, 4, 2,
    ]);
    expect([...batchedNms(boxes, scores, Int32Array.of(1, 2, 3, 4, 5), { scoreThreshold: 0.3 })]).toEqual([
      1, 4,
    ]);
  });

  test('equals suppression of one group after the other', () => {
    const random = createRandom('groups');
    const n = 2500;
    const boxes = Float32Array.from({ length: 4 * n }, (_, i) =>
      i % 4 < 2 ? random.uniform(0, 60) : random.uniform(60, 120),
    );
    const scores = Float32Array.from({ length: n }, () => random.integer(400) / 400);
    const groups = Int32Array.from({ length: n }, () => random.integer(5));
    const expected = [0, 1, 2, 3, 4].flatMap((g) => {
      const members = [...groups.keys()].filter((i) => groups[i] === g);
      const own = Float32Array.from(members.flatMap((i) => [...boxes.subarray(4 * i, 4 * i + 4)]));
      const kept = nms(
        own,
        Float32Array.from(members, (i) => scores[i]),
      );
      return [...kept].map((k) => members[k]);
    });
    expected.sort((i, j) => scores[j] - scores[i] || i - j);
    expect([...batchedNms(boxes, scores, groups)]).toEqual(expected);
    expect(expected.length).toBeLessThan(n);
  });

  test('empty, and lengths that differ', () => {
    expect(batchedNms(none, none, new Int32Array(0))).toEqual(new Int32Array(0));
    expect(() => batchedNms(new Float32Array(4), new Float32Array(1), new Int32Array(2))).toThrow(
      '1 boxes, but 1 scores and 2 groups',
    );
  });
});

describe('classwise nms', () => {
  test('equals the reference', () => {
    const { boxes, scores, kept } = fixtures.classwise;
    const result = classwiseNms(toBoxArray(boxes), Float32Array.from(scores.flat()), 3, {
      topK: 20,
      maxOutput: 15,
    });
    expect([...result.indices]).toEqual(kept.map(([index]) => index));
    expect([...result.labels]).toEqual(kept.map(([, label]) => label));
    expect([...result.scores]).toEqual(kept.map(([, , score]) => score));
  });

  test('classes do not suppress each other; equal scores come by class, then index', () => {
    const boxes = toBoxArray([
      [0, 0, 10, 10],
      [0, 0, 10, 10],
    ]);
    const { indices, labels } = classwiseNms(boxes, Float32Array.of(0.5, 0.5, 0.25, 0.5), 2);
    expect([...indices]).toEqual([0, 0]);
    expect([...labels]).toEqual([0, 1]);
  });

  test('a box a class', () => {
    const boxes = toBoxArray([
      [0, 0, 10, 10],
      [50, 50, 60, 60],
      [0, 0, 10, 10],
      [70, 70, 80, 80],
    ]);
    const { indices, labels } = classwiseNms(boxes, Float32Array.of(0.9, 0.8, 0.7, 0.6), 2);
    expect([...indices]).toEqual([0, 0, 1]);
    expect([...labels]).toEqual([0, 1, 1]);
  });

  test('nothing to keep; sizes that do not go together', () => {
    expect(classwiseNms(none, none, 3).indices.length).toBe(0);
    expect(classwiseNms(toBoxArray([[0, 0, 1, 1]]), Float32Array.of(0.01, 0.001), 2).indices.length).toBe(0);
    expect(() => classwiseNms(new Float32Array(4), new Float32Array(5), 2)).toThrow('5 scores of 2 classes');
    expect(() => classwiseNms(none, none, 0)).toThrow('classes must be a positive whole number, got 0');
  });
});

describe('score order', () => {
  test('descending over the whole range of floats, equal ones by index, zeros equal, NaN never', () => {
    const values = [0, -0, 1e-45, -1e-45, Infinity, -Infinity, 1, -1, NaN, 3e38, -3e38, 1, 0];
    const scores = Float32Array.from(values);
    const order = topScores(scores, 0, 1, scores.length, -Infinity, scores.length);
    expect([...order]).toEqual([4, 9, 6, 11, 2, 0, 1, 12, 3, 7, 10, 5]);
  });

  test('equals a sort with a comparator, with stride and offset', () => {
    const random = createRandom('order');
    const scores = Float32Array.from({ length: 3000 }, () => random.integer(50) - 25);
    const expected = Array.from({ length: 1000 }, (_, i) => i)
      .filter((i) => scores[1 + 3 * i] > -20)
      .sort((i, j) => scores[1 + 3 * j] - scores[1 + 3 * i] || i - j)
      .slice(0, 700);
    expect([...topScores(scores, 1, 3, 1000, -20, 700)]).toEqual(expected);
  });

  test.each<[string, (random: Random) => number]>([
    ['of any size', (random) => random.normal() * 10 ** random.uniform(-40, 38)],
    ['near each other', (random) => 1 + random.next() / 1000],
    ['of an untrained network', (random) => -4.5952 + random.next() / 5000],
    ['all equal', () => -0.5],
    ['few kinds', (random) => random.pick([-Infinity, -1, -0, 0, 1e-45, -1e-45, 3, Infinity, NaN])],
    ['mostly the lowest', (random) => (random.next() < 0.9999 ? -Infinity : NaN)],
  ])('the best of many, %s: as sorting all of them says', (_, value) => {
    const random = createRandom('many');
    const scores = Float32Array.from({ length: 40_001 }, () => value(random));
    const all = Array.from({ length: 20_000 }, (_, i) => i)
      .filter((i) => !Number.isNaN(scores[1 + 2 * i]))
      .sort((i, j) =>
        scores[1 + 2 * i] === scores[1 + 2 * j] ? i - j : scores[1 + 2 * j] - scores[1 + 2 * i],
      );
    for (const topK of [0, 1, 7, 1000, 4000, 2.5, 30_000]) {
      expect([...topScores(scores, 1, 2, 20_000, -Infinity, topK)]).toEqual(all.slice(0, Math.floor(topK)));
    }
    const above = all.filter((i) => scores[1 + 2 * i] > Math.fround(0.1));
    expect([...topScores(scores, 1, 2, 20_000, 0.1, 300)]).toEqual(above.slice(0, 300));
  });

  test('more boxes than a packed key has room for', () => {
    const count = 2 ** 21 + 3;
    const scores = new Float32Array(count);
    scores.set([1, 2, 2], 2 ** 21);
    const best = [2 ** 21 + 1, 2 ** 21 + 2, 2 ** 21];
    expect([...topScores(scores, 0, 1, count, 0, 10)]).toEqual(best);
    expect([...topScores(scores, 0, 1, count, -Infinity, 5)]).toEqual([...best, 0, 1]);
    const all = topScores(scores, 0, 1, count, -Infinity, count);
    expect([...all.subarray(0, 5), all[count - 1], all.length]).toEqual([...best, 0, 1, 2 ** 21 - 1, count]);
  });
});
