/** COCO's figures against pycocotools. */
import { describe, expect, test } from 'vitest';
import { precisionIndex } from '../../../lib/eval/coco/accumulate';
import { evaluateCoco } from '../../../lib/eval/coco/evaluate';
import { evaluateCocoJson, fromCocoJson } from '../../../lib/eval/coco/json';
import { cocoIouThresholds, cocoRecallThresholds } from '../../../lib/eval/coco/parameters';
import { cocoCurves, cocoSummary } from '../../../lib/eval/coco/summary';
import { cocoFiles, cocoFixtures } from './fixtures';

const { cases, random } = cocoFixtures;

/** The largest difference of two lists of the same length. */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

test('thresholds are the official ones to the bit', () => {
  expect(cocoIouThresholds).toEqual(cocoFixtures.iouThresholds);
  expect(cocoRecallThresholds).toEqual(cocoFixtures.recallThresholds);
});

describe('equals pycocotools', () => {
  test.each(cases)('$name', (data) => {
    const { options, expected } = data;
    const result = evaluateCocoJson({
      ...cocoFiles(data),
      invalid: 'official',
      ...(options.class_agnostic && { classAgnostic: true }),
      ...(options.max_detections && { maxDetections: options.max_detections }),
      ...(options.thresholds && { iouThresholds: options.thresholds }),
    });
    const { grid } = result;
    expect([grid.thresholds, grid.recalls, grid.classes, grid.sizes, grid.limits]).toEqual(expected.shape);
    expect(difference(result.stats, expected.stats)).toBeLessThan(1e-9);
    expect(difference(grid.recall, expected.recall)).toBeLessThan(1e-9);
    const means = new Float64Array(expected.precision.length);
    const [curves, scores]: [number[], number[]] = [[], []];
    let at = 0;
    for (let t = 0; t < grid.thresholds; t++)
      for (let k = 0; k < grid.classes; k++)
        for (let a = 0; a < grid.sizes; a++)
          for (let m = 0; m < grid.limits; m++, at++) {
            for (let r = 0; r < grid.recalls; r++) {
              means[at] += grid.precision[precisionIndex(grid, t, r, k, a, m)] / grid.recalls;
            }
          }
    for (let r = 0; r < grid.recalls; r++)
      for (let k = 0; k < grid.classes; k++) {
        curves.push(grid.precision[precisionIndex(grid, 0, r, k, 0, grid.limits - 1)]);
        scores.push(grid.scores[precisionIndex(grid, 0, r, k, 0, grid.limits - 1)]);
      }
    expect(difference(means, expected.precision)).toBeLessThan(1e-9);
    expect(difference(curves, expected.curves)).toBeLessThan(1e-9);
    expect(difference(scores, expected.scores)).toBeLessThan(1e-9);
  });

  test(`${random.length} small random data sets`, () => {
    let varied = new Set<number>();
    random.forEach((data, i) => {
      const result = evaluateCocoJson(cocoFiles(data));
      expect(difference(result.stats, data.stats), `data set ${i}`).toBeLessThan(1e-9);
      varied = varied.add(Math.round(100 * result.ap));
    });
    // The sets are not all alike.
    expect(varied.size).toBeGreaterThan(30);
  });

  test('from plain objects too, given whole pixels, in any order of the images', () => {
    for (const data of [cases[1], ...random.filter((_, i) => i % 2 === 0)]) {
      const expected = 'expected' in data ? data.expected.stats : data.stats;
      const { ids, groundTruth, detections, classes } = fromCocoJson(
        cocoFiles(data).groundTruth,
        cocoFiles(data).detections,
      );
      const turned = { ids, groundTruth, detections, classes };
      expect(difference(evaluateCoco(turned).stats, expected)).toBeLessThan(1e-9);
      const reversed = {
        ids: [...ids].reverse().map((id) => String(id)),
        groundTruth: [...groundTruth].reverse(),
        detections: [...detections].reverse(),
        classes,
      };
      expect(difference(evaluateCoco(reversed).stats, expected)).toBeLessThan(1e-9);
    }
  });

  test('as printed', () => {
    const result = evaluateCocoJson(cocoFiles(cases[0]));
    expect(cocoSummary(result)).toBe(cocoFixtures.summary.trimEnd());
  });

  test('curves are the grid, with the class named', () => {
    const data = cases[0];
    const result = evaluateCocoJson(cocoFiles(data));
    const curves = cocoCurves(result);
    expect(curves.map(({ name }) => name)).toEqual(
      result.perClass.filter(({ objects }) => objects > 0).map(({ name }) => name),
    );
    for (const curve of curves) {
      const expected = Array.from(
        { length: 101 },
        (_, r) => data.expected.curves[r * data.categories.length + curve.label],
      );
      expect(difference(curve.precision, expected)).toBeLessThan(1e-9);
      expect(curve.averagePrecision).toBeCloseTo(result.perClass[curve.label].ap50, 12);
      expect(curve.recall[50]).toBe(0.5);
    }
    expect(() => cocoCurves(result, { iouThreshold: 0.4 })).toThrow('IoU 0.4 was not measured');
    expect(() => cocoCurves(result, { area: 'tiny' })).toThrow('there are all, small, medium, large');
    expect(() => cocoCurves(result, { labels: [9] })).toThrow('there is no class 9');
  });
});
