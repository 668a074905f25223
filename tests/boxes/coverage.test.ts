import { describe, expect, test } from 'vitest';
import { gridAnchors } from '../../lib/boxes/anchors';
import { anchorCoverage } from '../../lib/boxes/coverage';
import { iou, toBoxes } from '../../lib/boxes/geometry';
import type { Box } from '../../lib/boxes/types';

// 4 squares of 25 (and of 25 sqrt 2) on the fine map, one of 50 (and of 100) on the coarse one.
const anchors = gridAnchors({
  imageWidth: 100,
  imageHeight: 100,
  maps: [
    [2, 2],
    [1, 1],
  ],
  sizes: [25, 50, 200],
  ratios: [],
});

describe('anchor coverage', () => {
  const boxes: Box[] = [
    [12.5, 12.5, 37.5, 37.5], // an anchor of the fine level
    [25, 25, 75, 75], // the coarse level's
    [0, 0, 5, 5], // hardly covered, and only by the coarse level's larger square
    [200, 200, 300, 300], // outside
  ];
  const images = [
    boxes.slice(0, 2).map((box) => ({ box, label: 0 })),
    [],
    boxes.slice(2).map((box) => ({ box, label: 1 })),
  ];
  const result = anchorCoverage(anchors, images, { sizeLimits: [10, 60] });

  test('each object has its best anchor, its level and the IoU', () => {
    expect(result.objects.map(({ image, object }) => [image, object])).toEqual([
      [0, 0],
      [0, 1],
      [2, 0],
      [2, 1],
    ]);
    expect(result.objects.map(({ level }) => level)).toEqual([0, 1, 1, -1]);
    const all = toBoxes(anchors.boxes);
    result.objects.forEach(({ iou: best, anchor }, i) => {
      expect(best).toBeCloseTo(Math.max(...all.map((a) => iou(a, boxes[i]))), 6);
      if (anchor >= 0) expect(iou(all[anchor], boxes[i])).toBeCloseTo(best, 6);
    });
    expect(result.objects[0].iou).toBe(1);
    expect(result.objects[3]).toMatchObject({ iou: 0, anchor: -1, size: 100 });
  });

  test('shares by level and by size', () => {
    expect(result.all).toMatchObject({ objects: 4, shares: [0.5, 0.5, 0.5] });
    expect(result.byLevel.map(({ group, objects }) => [group, objects])).toEqual([
      ['level 0', 1],
      ['level 1', 2],
    ]);
    expect(result.byLevel[1].shares).toEqual([0.5, 0.5, 0.5]);
    expect(result.bySize.map(({ group, objects, shares }) => [group, objects, shares[1]])).toEqual([
      ['under 10 px', 1, 0],
      ['10-60 px', 2, 1],
      ['from 60 px', 1, 0],
    ]);
  });

  test('no objects: NaN shares, no error', () => {
    const nothing = anchorCoverage(anchors, [[], []]);
    expect(nothing.objects).toEqual([]);
    expect(nothing.all.shares).toEqual([NaN, NaN, NaN]);
  });
});
