import { expect, test } from 'vitest';
import { fpnLevels } from '../../lib/boxes/fpn-levels';
import { toBoxArray } from '../../lib/boxes/geometry';
import { fixture } from './detection-fixture';

test("levels equal torchvision's LevelMapper, also at the limits between them", () => {
  const { boxes, levels } = fixture.regions.mapper;
  expect([...fpnLevels(toBoxArray(boxes))]).toEqual(levels);
  expect(new Set(levels)).toEqual(new Set([2, 3, 4, 5]));
});

test('by hand: 224 pixels are level 4, half of it level 3; another scale; empty and degenerate', () => {
  const boxes = toBoxArray([
    [0, 0, 224, 224],
    [0, 0, 112, 112],
    [0, 0, 448, 112],
    [5, 5, 5, 9],
    [9, 9, 0, 0],
    [0, 0, 4000, 4000],
  ]);
  expect([...fpnLevels(boxes)]).toEqual([4, 3, 4, 2, 2, 5]);
  expect([...fpnLevels(boxes, { canonicalSize: 112, minLevel: 3, maxLevel: 7 })]).toEqual([5, 4, 5, 3, 3, 7]);
  expect(fpnLevels(new Float32Array(0))).toEqual(new Int32Array(0));
});
