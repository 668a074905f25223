import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ciou, diou, pairwiseCiou, pairwiseDiou } from '../../lib/boxes/distance-iou';
import { boxesOfSize, giou, iou, toBoxArray } from '../../lib/boxes/geometry';
import type { Box } from '../../lib/boxes/types';
import { fixture } from './detection-fixture';

const empty = new Float32Array(0);

/** Boxes of quarters of a pixel, all four edges in any order, so degenerate ones too. */
const anyBox: fc.Arbitrary<Box> = fc
  .tuple(...([0, 1, 2, 3].map(() => fc.integer({ min: -200, max: 200 })) as [fc.Arbitrary<number>]))
  .map((edges) => (edges as number[]).map((v) => v / 4) as unknown as Box);

describe('DIoU and CIoU', () => {
  test('by hand', () => {
    // Apart by as much as they are wide: centres 2 apart, the box around both 3 by 1.
    expect(diou([0, 0, 1, 1], [2, 0, 3, 1])).toBeCloseTo(-4 / 10, 7);
    // The same centre, IoU 1/2; the ratios 2 and 1 turn the diagonals apart by atan 2 - pi/4.
    const v = (4 / Math.PI ** 2) * (Math.atan(2) - Math.PI / 4) ** 2;
    expect(diou([0, 0, 4, 2], [1, 0, 3, 2])).toBeCloseTo(0.5, 15);
    expect(ciou([0, 0, 4, 2], [1, 0, 3, 2])).toBeCloseTo(0.5 - v ** 2 / (0.5 + v), 7);
    expect(ciou([1, 2, 5, 9], [1, 2, 5, 9])).toBe(1);
  });

  test("equal torchvision's IoU, GIoU, DIoU and CIoU", () => {
    const { a, b, ...expected } = fixture.measures;
    const diouOfAll = pairwiseDiou(toBoxArray(a), toBoxArray(b));
    const ciouOfAll = pairwiseCiou(toBoxArray(a), toBoxArray(b));
    a.forEach((x, i) =>
      b.forEach((y, j) => {
        expect(iou(x, y)).toBeCloseTo(expected.iou[i][j], 14);
        expect(giou(x, y)).toBeCloseTo(expected.giou[i][j], 14);
        expect(diou(x, y)).toBeCloseTo(expected.diou[i][j], 14);
        expect(ciou(x, y)).toBeCloseTo(expected.ciou[i][j], 14);
        expect(diouOfAll[i * b.length + j]).toBe(Math.fround(diou(x, y)));
        expect(ciouOfAll[i * b.length + j]).toBe(Math.fround(ciou(x, y)));
      }),
    );
  });

  test('bounds and order hold for boxes of every kind, also degenerate ones', () => {
    fc.assert(
      fc.property(anyBox, anyBox, (a, b) => {
        expect(diou(a, b)).toBe(diou(b, a));
        expect(ciou(a, b)).toBe(ciou(b, a));
        expect(diou(a, b)).toBeLessThanOrEqual(iou(a, b));
        expect(ciou(a, b)).toBeLessThanOrEqual(diou(a, b));
        const [proper, other] = [a, b].map((r) => r[2] > r[0] && r[3] > r[1]);
        if (proper && other) expect(diou(a, b)).toBeGreaterThan(-1);
        if (proper && other) expect(ciou(a, b)).toBeGreaterThan(-2);
        expect(ciou(a, b)).not.toBeNaN();
      }),
    );
  });

  test('a larger epsilon pulls the penalty down; empty in, empty out', () => {
    expect(diou([0, 0, 1, 1], [2, 0, 3, 1], 10)).toBeCloseTo(-4 / 20, 15);
    const one = toBoxArray([[0, 0, 1, 1]]);
    for (const pairwise of [pairwiseDiou, pairwiseCiou]) {
      expect(pairwise(empty, one)).toEqual(empty);
      expect(pairwise(one, empty)).toEqual(empty);
    }
  });
});

test("boxes of a size: torchvision's remove_small_boxes", () => {
  const boxes = toBoxArray([
    [0, 0, 4, 4],
    [0, 0, 3.9, 9],
    [5, 5, 9, 9.5],
    [0, 0, 8, -8],
    [NaN, 0, 8, 8],
  ]);
  expect([...boxesOfSize(boxes, 4)]).toEqual(fixture.measures.large);
  expect(boxesOfSize(empty, 1)).toEqual(new Int32Array(0));
});
