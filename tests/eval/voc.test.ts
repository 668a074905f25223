import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Box, Detection, GroundTruth } from '../../lib/boxes/types';
import {
  areaUnderCurve,
  averagePrecision,
  interpolatedAp,
  precisionRecall,
  vocRecalls,
} from '../../lib/eval/average-precision';
import { matchDetections, outcomes } from '../../lib/eval/detection-matching';
import { createVocEvaluator, evaluateVoc } from '../../lib/eval/voc';

type Kit = [label: number, box: [number, number, number, number]];
const cases = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'voc.json'), 'utf8')) as {
  classes: number;
  images: [objects: [...Kit, boolean][], detections: [...Kit, number][]][];
  results: {
    iouThreshold: number;
    method: '11-point' | 'all-point';
    classes: [ap: number | null, positives: number, tp: number, fp: number][];
  }[];
}[];

/** VOC's inclusive pixels to continuous coordinates, as the reader does it. */
const continuous = ([x1, y1, x2, y2]: Kit[1]): Box => [x1 - 1, y1 - 1, x2, y2];
const object = (box: Box, more: Partial<GroundTruth> = {}): GroundTruth => ({ box, label: 0, ...more });
const detection = (box: Box, score: number, label: number = 0): Detection => ({ box, score, label });
const far: Box = [500, 500, 510, 510];
const a: Box = [0, 0, 10, 10];
const b: Box = [100, 0, 110, 10];

describe('VOC evaluation', () => {
  const runs = cases.flatMap(({ results, ...data }, index) =>
    results.map(({ classes: rows, ...settings }) => ({ ...data, ...settings, rows, index })),
  );
  test.each(runs)(
    'equals the development kit, case $index, IoU $iouThreshold, $method',
    ({ classes, images, rows, iouThreshold, method }) => {
      const names = Array.from({ length: classes }, (_, i) => `class ${i}`);
      const result = evaluateVoc({
        groundTruth: images.map(([objects]) =>
          objects.map(([label, box, difficult]) => ({ label, box: continuous(box), difficult })),
        ),
        detections: images.map(([, detections]) =>
          detections.map(([label, box, score]) => ({ label, box: continuous(box), score })),
        ),
        classes: names,
        iouThreshold,
        method,
      });
      const aps: number[] = [];
      rows.forEach(([ap, positives, tp, fp], label) => {
        const row = result.perClass[label];
        expect([row.positives, row.truePositives, row.falsePositives]).toEqual([positives, tp, fp]);
        if (ap === null) {
          expect(row.ap).toBeNaN();
        } else {
          expect(Math.abs(row.ap - ap)).toBeLessThan(1e-12);
          aps.push(ap);
        }
        expect(row.recall.length).toBe(tp + fp);
      });
      expect(result.map).toBeCloseTo(aps.reduce((sum, ap) => sum + ap, 0) / aps.length, 12);
      expect(result.withoutObjects).toEqual([names[names.length - 1]]);
    },
  );

  test('by hand: found, duplicate, missed', () => {
    const result = evaluateVoc({
      groundTruth: [[object(a), object(b)]],
      detections: [[detection(a, 0.9), detection(a, 0.8), detection(b, 0.7), detection(far, 0.6)]],
      classes: ['thing'],
    });
    const [row] = result.perClass;
    expect(row.recall).toEqual([0.5, 0.5, 1, 1]);
    expect(row.precision).toEqual([1, 1 / 2, 2 / 3, 2 / 4]);
    expect(row.scores).toEqual([0.9, 0.8, 0.7, 0.6]);
    // Six recalls (0 to 0.5) at precision 1, five at 2/3; the area is half of each.
    expect(row.ap).toBeCloseTo((6 + 5 * (2 / 3)) / 11, 12);
    const area = evaluateVoc({
      groundTruth: [[object(a), object(b)]],
      detections: [[detection(a, 0.9), detection(a, 0.8), detection(b, 0.7), detection(far, 0.6)]],
      classes: ['thing'],
      method: 'all-point',
    });
    expect(area.map).toBeCloseTo(0.5 + 0.5 * (2 / 3), 12);
  });

  test('difficult objects are neither a reward nor a fault, however often they are found', () => {
    const { perClass } = evaluateVoc({
      groundTruth: [[object(a, { difficult: true }), object(b)]],
      detections: [[detection(a, 0.9), detection(a, 0.8), detection(b, 0.7)]],
      classes: ['thing'],
    });
    expect(perClass[0]).toMatchObject({
      positives: 1,
      truePositives: 1,
      falsePositives: 0,
      recall: [1],
      precision: [1],
    });
    expect(perClass[0].ap).toBeCloseTo(1, 12);
  });

  test('a detection goes to the object it overlaps most, even if that one is taken', () => {
    const near: Box = [2, 0, 12, 10]; // IoU with a: 8/12
    const verdicts = matchDetections([object(a), object(near)], [a, [0.5, 0, 10.5, 10]], {
      iouThreshold: 0.5,
    });
    expect(verdicts).toEqual([outcomes.truePositive, outcomes.falsePositive]);
  });

  test('IoU equal to the threshold counts', () => {
    const half: Box = [0, 0, 10, 5];
    expect(matchDetections([object(a)], [half], { iouThreshold: 0.5 })).toEqual([outcomes.truePositive]);
    expect(matchDetections([object(a)], [half], { iouThreshold: 0.51 })).toEqual([outcomes.falsePositive]);
  });

  test('classes are apart; one without objects is NaN and left out of the mean; one without detections is 0', () => {
    const result = evaluateVoc({
      groundTruth: [[object(a, { label: 0 })], [object(a, { label: 2 })], []],
      detections: [[detection(a, 0.9, 0), detection(a, 0.9, 1)], [], []],
      classes: ['found', 'absent', 'missed'],
    });
    expect(result.perClass.map(({ ap }) => ap)).toEqual([1, NaN, 0]);
    expect(result.map).toBeCloseTo(0.5, 12);
    expect(result.withoutObjects).toEqual(['absent']);
  });

  test('nothing at all', () => {
    const result = evaluateVoc({ groundTruth: [], detections: [], classes: ['thing'] });
    expect(result.map).toBeNaN();
    expect(result.perClass[0]).toMatchObject({ positives: 0, recall: [], precision: [] });
  });

  test('a range of sizes: objects outside are ignored, and so are stray detections of that size', () => {
    const large: Box = [0, 100, 50, 150];
    const evaluator = createVocEvaluator(['thing']);
    evaluator.add(
      'one',
      [object(a), object(large)],
      [detection(a, 0.9), detection(large, 0.8), detection([200, 200, 260, 260], 0.7), detection(far, 0.6)],
    );
    const small = evaluator.result({ areaRange: [0, 32 ** 2] }).perClass[0];
    expect(small).toMatchObject({ positives: 1, truePositives: 1, falsePositives: 1, scores: [0.9, 0.6] });
    const big = evaluator.result({ areaRange: [32 ** 2, Infinity] }).perClass[0];
    expect(big).toMatchObject({ positives: 1, truePositives: 1, falsePositives: 1, scores: [0.8, 0.7] });
    expect(evaluator.result().perClass[0]).toMatchObject({
      positives: 2,
      truePositives: 2,
      falsePositives: 2,
    });
  });

  test('image by image equals all at once, and stricter thresholds find less', () => {
    const evaluator = createVocEvaluator(['thing'], { method: 'all-point' });
    evaluator.add('x', [object(a)], [detection([0, 0, 10, 8], 0.5)]);
    expect(evaluator.images).toBe(1);
    expect(evaluator.result().map).toBe(1);
    evaluator.add('y', [object(b)], []);
    expect(evaluator.result().map).toBe(0.5);
    expect(evaluator.result({ iouThreshold: 0.9 }).map).toBe(0);
  });

  test('equal scores count in the order the images were added', () => {
    const run = (order: readonly string[]) => {
      const evaluator = createVocEvaluator(['thing']);
      for (const id of order) evaluator.add(id, id === 'hit' ? [object(a)] : [], [detection(a, 0.5)]);
      return evaluator.result().perClass[0].precision;
    };
    expect(run(['hit', 'miss'])).toEqual([1, 0.5]);
    expect(run(['miss', 'hit'])).toEqual([0, 0.5]);
  });

  test('errors name image, index, value and the fix', () => {
    const evaluator = createVocEvaluator(['thing']);
    expect(() => evaluator.add('i', [object(a, { label: 1 })], [])).toThrow(
      'object 0 of image i has label 1',
    );
    expect(() => evaluator.add('i', [], [detection(a, NaN)])).toThrow('detection 0 of image i has score NaN');
    expect(() => evaluator.add('i', [], [detection([0, 0, NaN, 1], 1)])).toThrow('has box [0, 0, NaN, 1]');
    evaluator.add('i', [], []);
    expect(() => evaluator.add('i', [], [])).toThrow('image i was added before');
    expect(() => evaluator.result({ iouThreshold: 0 })).toThrow(
      'iouThreshold must be above 0 and at most 1, got 0',
    );
    expect(() => evaluator.result({ method: '12-point' as never })).toThrow("got '12-point'");
    expect(() => evaluateVoc({ groundTruth: [[]], detections: [], classes: [] })).toThrow(
      'ground truth of 1 images',
    );
  });

  test('everything wrong in all images is told at once, or left out and listed', () => {
    const input = {
      groundTruth: [[object(a), object([9, 9, 5, 12])], [object(b, { label: 4 })]],
      detections: [[detection(a, 0.9), detection(a, 2)], [detection(b, NaN)]],
      classes: ['thing'],
      ids: ['000001', '000002'],
    };
    expect(() => evaluateVoc(input)).toThrow(
      /VOC evaluation: 4 problems[^]*object 1 of image 000001[^]*score 2[^]*object 0 of image 000002[^]*score NaN/,
    );
    const result = evaluateVoc({ ...input, invalid: 'drop' });
    expect(result.problems.map(({ what, image, index }) => [what, image, index])).toEqual([
      ['object', '000001', 1],
      ['detection', '000001', 1],
      ['object', '000002', 0],
      ['detection', '000002', 0],
    ]);
    expect(result.perClass[0]).toMatchObject({ positives: 1, truePositives: 1, falsePositives: 0 });
    const evaluator = createVocEvaluator(['thing'], { invalid: 'drop' });
    evaluator.add('x', [object(a)], [detection(a, NaN), detection(a, 0.5)]);
    expect(evaluator.result().problems).toHaveLength(1);
    expect(evaluator.result().map).toBeCloseTo(1, 12);
  });
});

describe('average precision', () => {
  test('the curve by hand', () => {
    const curve = precisionRecall([1, 0, 1], 4);
    expect(curve).toEqual({ recall: [0.25, 0.25, 0.5], precision: [1, 0.5, 2 / 3] });
    expect(areaUnderCurve(curve)).toBeCloseTo(0.25 + 0.25 * (2 / 3), 15);
    // Recalls 0, 0.1, 0.2 at 1; 0.3, 0.4, 0.5 at 2/3; nothing further.
    expect(averagePrecision(curve, '11-point')).toBeCloseTo((3 + 3 * (2 / 3)) / 11, 15);
    expect(interpolatedAp(curve, [0, 0.5, 1])).toBeCloseTo((1 + 2 / 3) / 3, 15);
  });

  test('an empty curve is 0; the 11 recalls are what NumPy steps through', () => {
    expect(averagePrecision({ recall: [], precision: [] }, '11-point')).toBe(0);
    expect(averagePrecision({ recall: [], precision: [] }, 'all-point')).toBe(0);
    expect(vocRecalls.length).toBe(11);
    expect(vocRecalls[3]).toBe(0.30000000000000004);
    expect(vocRecalls[10]).toBe(1);
  });
});
