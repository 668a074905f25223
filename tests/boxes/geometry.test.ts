import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  boxArea,
  boxAreas,
  clipBox,
  clipBoxes,
  cxcywhToXyxy,
  giou,
  intersectionArea,
  iou,
  isDegenerate,
  pairwiseGiou,
  pairwiseIou,
  scaleBoxes,
  toBoxArray,
  toBoxes,
  xywhToXyxy,
  xyxyToCxcywh,
  xyxyToXywh,
} from '../../lib/boxes/geometry';
import type { Box } from '../../lib/boxes/types';
import { createRandom } from '../../lib/tensor/random';

const { pairs } = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'boxes.json'), 'utf8')) as {
  pairs: { a: Box[]; b: Box[]; iou: number[][]; giou: number[][] };
};
const empty = new Float32Array(0);

describe('conversions', () => {
  const boxes = toBoxArray([
    [10, 20, 30, 60],
    [0, 0, 1, 3],
  ]);

  test('to centre and size, to corner and size, by hand', () => {
    expect([...xyxyToCxcywh(boxes)]).toEqual([20, 40, 20, 40, 0.5, 1.5, 1, 3]);
    expect([...xyxyToXywh(boxes)]).toEqual([10, 20, 20, 40, 0, 0, 1, 3]);
    expect([...scaleBoxes(boxes, 2, 0.5)]).toEqual([20, 10, 60, 30, 0, 0, 2, 1.5]);
  });

  test('and back', () => {
    expect(cxcywhToXyxy(xyxyToCxcywh(boxes))).toEqual(boxes);
    expect(xywhToXyxy(xyxyToXywh(boxes))).toEqual(boxes);
    expect(toBoxes(boxes)).toEqual([
      [10, 20, 30, 60],
      [0, 0, 1, 3],
    ]);
  });

  test('empty in, empty out; the input is never changed', () => {
    for (const convert of [xyxyToCxcywh, cxcywhToXyxy, xyxyToXywh, xywhToXyxy]) {
      expect(convert(empty)).toEqual(empty);
      const before = [...boxes];
      convert(boxes);
      expect([...boxes]).toEqual(before);
    }
    expect(toBoxes(toBoxArray([]))).toEqual([]);
  });

  test('a length that is no multiple of 4 is an error that says so', () => {
    expect(() => xyxyToCxcywh(new Float32Array(6))).toThrow('4 numbers a box, but this one has 6');
  });
});

describe('clip and area', () => {
  test('clips to the image; a box outside becomes degenerate', () => {
    const boxes: Box[] = [
      [-5, 2, 12, 30],
      [40, 40, 50, 50],
    ];
    expect([...clipBoxes(toBoxArray(boxes), 10, 20)]).toEqual([0, 2, 10, 20, 10, 20, 10, 20]);
    expect(clipBox(boxes[0], 10, 20)).toEqual([0, 2, 10, 20]);
    expect(isDegenerate(clipBox(boxes[1], 10, 20))).toBe(true);
  });

  test('area is 0 for degenerate boxes, even when both sides are negative', () => {
    const boxes: Box[] = [
      [1, 1, 4, 3],
      [4, 3, 1, 1],
      [1, 1, 1, 9],
      [NaN, 0, 1, 1],
    ];
    expect(boxes.map(boxArea)).toEqual([6, 0, 0, 0]);
    expect([...boxAreas(toBoxArray(boxes))]).toEqual([6, 0, 0, 0]);
    expect(boxes.map(isDegenerate)).toEqual([false, true, true, true]);
    expect(isDegenerate([0, 0, Infinity, 1])).toBe(true);
    expect(boxAreas(empty)).toEqual(empty);
  });
});

describe('IoU and GIoU', () => {
  test('by hand', () => {
    const a: Box = [0, 0, 2, 2];
    const b: Box = [1, 1, 3, 3];
    expect(intersectionArea(a, b)).toBe(1);
    expect(iou(a, b)).toBe(1 / 7);
    expect(giou(a, b)).toBeCloseTo(1 / 7 - 2 / 9, 15);
    expect(iou(a, a)).toBe(1);
    expect(giou(a, a)).toBe(1);
    // Apart by as much as they are wide: the hull is 3 x 1, a third of it uncovered.
    expect(iou([0, 0, 1, 1], [2, 0, 3, 1])).toBe(0);
    expect(giou([0, 0, 1, 1], [2, 0, 3, 1])).toBeCloseTo(-1 / 3, 15);
  });

  test('equal the reference, one by one and in bulk', () => {
    const bulkIou = pairwiseIou(toBoxArray(pairs.a), toBoxArray(pairs.b));
    const bulkGiou = pairwiseGiou(toBoxArray(pairs.a), toBoxArray(pairs.b));
    pairs.a.forEach((a, i) =>
      pairs.b.forEach((b, j) => {
        expect(iou(a, b)).toBeCloseTo(pairs.iou[i][j], 14);
        expect(giou(a, b)).toBeCloseTo(pairs.giou[i][j], 14);
        const at = i * pairs.b.length + j;
        expect(bulkIou[at]).toBeCloseTo(pairs.iou[i][j], 7);
        expect(bulkGiou[at]).toBeCloseTo(pairs.giou[i][j], 6);
      }),
    );
    expect(bulkIou.some((value) => value > 0 && value < 1)).toBe(true);
  });

  test('degenerate boxes have IoU 0 with everything, and nothing is NaN', () => {
    const odd: Box[] = [
      [1, 1, 1, 1],
      [3, 3, 0, 0],
      [0, 0, 5, 0],
      [NaN, 0, 5, 5],
      [0, 0, Infinity, 5],
      [-Infinity, -Infinity, Infinity, Infinity],
      [0, 0, 5, 5],
    ];
    const bulk = pairwiseIou(toBoxArray(odd), toBoxArray(odd));
    odd.forEach((a, i) =>
      odd.forEach((b, j) => {
        const both = i === odd.length - 1 && j === odd.length - 1;
        if (i < 4 || j < 4) expect(iou(a, b)).toBe(0);
        if (both) expect(iou(a, b)).toBe(1);
        expect(iou(a, b)).not.toBeNaN();
        expect(bulk[i * odd.length + j]).toBe(Math.fround(iou(a, b)));
      }),
    );
    for (const b of odd.filter((box) => !box.some(Number.isNaN))) expect(giou(odd[0], b)).not.toBeNaN();
    expect(giou([1, 1, 1, 1], [1, 1, 1, 1])).toBe(0);
    expect(giou([0, 0, 0, 0], [9, 9, 9, 9])).toBe(-1);
  });

  test('empty inputs give empty outputs', () => {
    const one = toBoxArray([[0, 0, 1, 1]]);
    for (const pairwise of [pairwiseIou, pairwiseGiou]) {
      expect(pairwise(empty, one)).toEqual(empty);
      expect(pairwise(one, empty)).toEqual(empty);
      expect(pairwise(empty, empty)).toEqual(empty);
    }
  });

  test('bounds hold for boxes of every kind, and the pairwise form is the single one, rounded', () => {
    const edge = fc.oneof(fc.integer({ min: -50, max: 50 }), fc.constantFrom(0, 0.5, 1e-3, 1e6));
    const box = fc.tuple(edge, edge, edge, edge).map((b): Box => [...toBoxArray([b])] as unknown as Box);
    fc.assert(
      fc.property(fc.array(box, { maxLength: 6 }), fc.array(box, { maxLength: 6 }), (a, b) => {
        const bulk = pairwiseIou(toBoxArray(a), toBoxArray(b));
        const bulkGiou = pairwiseGiou(toBoxArray(a), toBoxArray(b));
        a.forEach((x, i) =>
          b.forEach((y, j) => {
            const [overlap, general] = [iou(x, y), giou(x, y)];
            expect(overlap).toBeGreaterThanOrEqual(0);
            expect(overlap).toBeLessThanOrEqual(1);
            expect(general).toBeLessThanOrEqual(overlap);
            expect(general).toBeGreaterThanOrEqual(-1);
            expect(bulk[i * b.length + j]).toBe(Math.fround(overlap));
            expect(bulkGiou[i * b.length + j]).toBe(Math.fround(general));
          }),
        );
        expect(bulk.length).toBe(a.length * b.length);
      }),
    );
  });

  test('symmetric, unchanged by shift and scale, and GIoU <= IoU, on random boxes', () => {
    const random = createRandom('geometry');
    const box = (): Box => {
      const x = random.uniform(-50, 50);
      const y = random.uniform(-50, 50);
      return [x, y, x + random.uniform(1, 60), y + random.uniform(1, 60)];
    };
    for (let i = 0; i < 500; i++) {
      const a = box();
      const b = box();
      const move = ([x1, y1, x2, y2]: Box): Box => [2 * x1 + 8, 2 * y1 - 16, 2 * x2 + 8, 2 * y2 - 16];
      expect(iou(a, b)).toBe(iou(b, a));
      expect(giou(a, b)).toBe(giou(b, a));
      expect(iou(move(a), move(b))).toBeCloseTo(iou(a, b), 12);
      expect(giou(a, b)).toBeLessThanOrEqual(iou(a, b));
      expect(giou(a, b)).toBeGreaterThan(-1);
    }
  });
});
