import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { evaluateCoco } from '../../../lib/eval/coco/evaluate';
import { apByFrequency, evaluateLvis, frequencyOf } from '../../../lib/eval/coco/lvis';

const { cases } = JSON.parse(readFileSync(path.join(__dirname, '..', 'fixtures', 'lvis.json'), 'utf8')) as {
  cases: {
    images: [id: number, negative: number[], partly: number[]][];
    categories: [id: number, frequency: string][];
    annotations: number[][];
    results: number[][];
    expected: number[];
  }[];
};

function files({ images, categories, annotations, results }: (typeof cases)[number]) {
  return {
    groundTruth: {
      images: images.map(([id, neg_category_ids, not_exhaustive_category_ids]) => ({
        id,
        neg_category_ids,
        not_exhaustive_category_ids,
      })),
      categories: categories.map(([id, frequency]) => ({ id, name: String(id), frequency })),
      annotations: annotations.map(([id, image_id, category_id, x, y, w, h, area, ignore]) => ({
        id,
        image_id,
        category_id,
        bbox: [x, y, w, h],
        area,
        ignore,
      })),
    },
    detections: results.map(([image_id, category_id, x, y, w, h, score]) => ({
      image_id,
      category_id,
      bbox: [x, y, w, h],
      score,
    })),
  };
}

describe("LVIS's evaluation", () => {
  test.each(cases.map((data, index) => ({ data, index })))(
    'equals the lvis package, case $index',
    ({ data }) => {
      const result = evaluateLvis(files(data));
      const { stats } = result;
      const groups = [result.apRare, result.apCommon, result.apFrequent].map((ap) =>
        Number.isNaN(ap) ? -1 : ap,
      );
      const found = [...stats.slice(0, 6), ...groups, stats[8], ...stats.slice(9)];
      expect(found).toHaveLength(data.expected.length);
      found.forEach((value, i) => expect(Math.abs(value - data.expected[i])).toBeLessThan(1e-9));
    },
  );

  test('what cannot be is an error', () => {
    const { groundTruth, detections } = files(cases[1]);
    const without = { ...groundTruth, categories: [{ id: 1, name: 'thing' }], annotations: [] };
    expect(() => evaluateLvis({ groundTruth: without, detections: [] })).toThrow(
      "category 1 ('thing') has no frequency",
    );
    expect(() => evaluateLvis({ groundTruth, detections, maxDetections: 0 })).toThrow('got 0');
    const stray = [{ ...detections[0], image_id: -5 }];
    expect(() => evaluateLvis({ groundTruth, detections: stray })).toThrow(
      'LVIS evaluation: detection 0 (image -5',
    );
  });
});

describe('frequencies', () => {
  test('LVIS v1 draws the lines at 10 and 100 images', () => {
    const found = [0, 1, 10, 11, 100, 101].map((count) => frequencyOf(count));
    expect(found).toEqual(['rare', 'rare', 'rare', 'common', 'common', 'frequent']);
  });

  test('lines elsewhere, for smaller sets', () => {
    const found = [3, 4, 10, 11].map((count) => frequencyOf(count, { rare: 3, common: 10 }));
    expect(found).toEqual(['rare', 'common', 'common', 'frequent']);
    expect(frequencyOf(50, { rare: 3 })).toBe('common');
    expect(() => frequencyOf(1, { rare: 20, common: 10 })).toThrow(
      'up to 20 images and common ones up to 10',
    );
    expect(() => frequencyOf(1, { common: NaN })).toThrow(RangeError);
  });

  test('the mean of the classes of each, those with nothing to find left out', () => {
    const box = [0, 0, 10, 10] as const;
    const result = evaluateCoco({
      groundTruth: [[0, 1, 2].map((label) => ({ box, label }))],
      detections: [[{ box, label: 0, score: 0.5 }]],
      classes: ['a', 'b', 'c', 'd'],
    });
    const groups = apByFrequency(result, ['frequent', 'frequent', 'rare', 'common']);
    expect(groups.apFrequent).toBeCloseTo(0.5, 12);
    expect([groups.apRare, groups.apCommon]).toEqual([0, NaN]);
    expect(() => apByFrequency(result, [])).toThrow('0 frequencies for 4 classes');
  });
});
