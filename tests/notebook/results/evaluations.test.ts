import { describe, expect, test } from 'vitest';
import {
  type EvaluationInput,
  confusionMatrix,
  createVocEvaluator,
  type Detection,
  errorBreakdown,
  evaluateCoco,
  evaluateVoc,
} from 'detlab';
import { shownResult } from '../../../lib/notebook/engine/result';

async function textOf(value: unknown): Promise<string[]> {
  const { bundle } = (await shownResult(value))!;
  expect(Object.keys(bundle)).toEqual(['text/html', 'text/markdown', 'text/plain']);
  return String(bundle['text/plain']).split('\n');
}

const cat: Detection = { box: [0, 0, 20, 20], label: 0, score: 0.9 };
/** Two cats and a dog; found are one cat twice, the dog as a cat, and something where nothing is. */
const input: EvaluationInput = {
  classes: ['cat', 'dog', 'cow'],
  groundTruth: [
    [
      { box: [0, 0, 20, 20], label: 0 },
      { box: [50, 50, 150, 150], label: 0 },
    ],
    [{ box: [0, 0, 50, 50], label: 1 }],
  ],
  detections: [
    [cat, { ...cat, score: 0.8 }, { ...cat, box: [200, 200, 220, 220], score: 0.3 }],
    [{ ...cat, box: [0, 0, 50, 50], score: 0.7 }],
  ],
};

describe('an evaluation is shown', () => {
  test("Pascal VOC's by its classes", async () => {
    const evaluator = createVocEvaluator(['cat', 'dog']);
    evaluator.add('1', [{ box: [0, 0, 9, 9], label: 0 }], [{ ...cat, box: [0, 0, 9, 9] }]);
    expect(await textOf(evaluator.result())).toEqual([
      'mAP 1.000 (11-point, IoU 0.5); 1 class without objects left out',
      'class          AP  objects  true positives  false positives',
      '─────  ──────────  ───────  ──────────────  ───────────────',
      'cat         1.000        1               1                0',
      'dog    no objects        0               0                0',
    ]);
  });

  test("COCO's by its classes and sizes", async () => {
    expect(await textOf(evaluateCoco(input))).toEqual([
      'AP 0.252 (COCO, IoU 0.5 to 0.95), 2 images',
      'class  objects     AP   AP50   AP75  small  medium  large  AR100',
      '─────  ───────  ─────  ─────  ─────  ─────  ──────  ─────  ─────',
      'all          3  0.252  0.252  0.252  1.000   0.000  0.000  0.250',
      'cat          2  0.505  0.505  0.505  1.000          0.000  0.500',
      'dog          1  0.000  0.000  0.000          0.000         0.000',
      'cow          0',
    ]);
    const few = await textOf(evaluateCoco({ ...input, iouThresholds: [0.5], maxDetections: [1, 2, 3] }));
    expect(few[0]).toBe('AP 0.252 (COCO, IoU 0.5), 2 images');
    expect(few[1].endsWith(' AR3')).toBe(true);
  });

  test('with what is wrong with its input, and cut to what can be read', async () => {
    const broken = { ...input, detections: [[{ ...cat, label: 7 }], []], invalid: 'drop' as const };
    expect((await textOf(evaluateCoco(broken)))[0]).toMatch(/2 images; 1 problem in the input$/);
    expect((await textOf(evaluateVoc(broken)))[0]).toMatch(/left out; 1 problem in the input$/);
    const many = { ...input, classes: [...input.classes, ...Array.from({ length: 200 }, (_, i) => `c${i}`)] };
    for (const evaluate of [evaluateCoco, evaluateVoc]) {
      const lines = await textOf(evaluate(many));
      expect(lines[0]).toContain('; the first 100 of 203 classes');
      expect(lines).toHaveLength(3 + 100 + (evaluate === evaluateCoco ? 1 : 0));
    }
    const matrix = await textOf(confusionMatrix(many));
    expect(matrix[0]).toContain('; the first 20 of 203 classes');
    expect(matrix).toHaveLength(3 + 21);
    expect(matrix[23].startsWith('background')).toBe(true);
  });

  test('errors by their type', async () => {
    expect(await textOf(errorBreakdown(input))).toEqual([
      'AP 0.252 at IoU 0.5, and what it would gain without the errors of one type',
      'error                what                                    count  AP gained if mended',
      '───────────────────  ──────────────────────────────────────  ─────  ───────────────────',
      'classification       on an object, but of another class          1                0.500',
      'localisation         of the right class, but too far off         0                0.000',
      'both                 too far off an object of another class      0                0.000',
      'duplicate            a second detection of an object             1                0.000',
      'background           where there is nothing                      1                0.000',
      'missed               an object that no detection comes near      1                0.248',
      'all false positives  detections that find nothing                3                0.000',
      'all false negatives  objects not found                           2                0.748',
    ]);
  });

  test('confusions by class and class', async () => {
    const two = confusionMatrix({ ...input, classes: ['cat', 'dog'] });
    expect(await textOf(two)).toEqual([
      'There (rows) and found (columns), score from 0.25, IoU from 0.5: precision 0.250, recall 0.333',
      'there \\ found  cat  dog  background',
      '─────────────  ───  ───  ──────────',
      'cat              1    0           1',
      'dog              1    0           0',
      'background       2    0           0',
    ]);
    const none = confusionMatrix({ ...input, detections: [[], []] });
    expect((await textOf(none))[0]).toContain('precision none, recall 0.000');
  });
});
