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

  test('counts the anchors that an object has by threshold', () => {
    const all = toBoxes(anchors.boxes);
    for (const positiveIou of [0.2, 0.5]) {
      const { objects, all: share } = anchorCoverage(anchors, images, { positiveIou });
      const expected = boxes.map((box) => all.filter((a) => iou(a, box) >= positiveIou).length);
      expect(objects.map((object) => object.anchors)).toEqual(expected);
      expect(share.meanAnchors).toBe(expected.reduce((sum, n) => sum + n) / 4);
    }
    expect(result.objects[0].anchors).toBe(2); // both squares of its cell: IoU 1 and 1/2
  });

  test('shares by shape and by class', () => {
    const tall = { box: [10, 10, 20, 50] as Box, label: 2 };
    const flat = { box: [10, 10, 10, 50] as Box, label: 2 };
    const { byRatio, byLabel } = anchorCoverage(anchors, [...images, [tall, flat]]);
    expect(byRatio.map(({ group, objects }) => [group, objects])).toEqual([
      ['w/h under 0.5', 1],
      ['w/h 0.5-2', 4],
      ['w/h from 2', 0],
    ]);
    expect(byLabel.map(({ group, objects, shares }) => [group, objects, shares[1]])).toEqual([
      ['class 0', 2, 1],
      ['class 1', 2, 0],
      ['class 2', 2, 0],
    ]);
  });

  test('no objects: NaN shares, no error', () => {
    const nothing = anchorCoverage(anchors, [[], []]);
    expect(nothing.objects).toEqual([]);
    expect(nothing.all.shares).toEqual([NaN, NaN, NaN]);
  });
});
