import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Box, Detection } from '../../../lib/boxes/types';
import { EvaluationInputError } from '../../../lib/eval/problems';
import { precisionIndex, recallIndex } from '../../../lib/eval/coco/accumulate';
import { createCocoEvaluator, evaluateCoco } from '../../../lib/eval/coco/evaluate';
import type { CocoObject } from '../../../lib/eval/coco/types';
import { type ScalarData, scalarClass } from './scalar';

const object = (box: Box, more: Partial<CocoObject> = {}): CocoObject => ({ box, label: 0, ...more });
const detection = (box: Box, score: number, label: number = 0): Detection => ({ box, score, label });
const one = (objects: CocoObject[], detections: Detection[]): ScalarData => ({
  groundTruth: [objects],
  detections: [detections],
  classes: ['thing'],
});
const a: Box = [0, 0, 10, 10];
const b: Box = [100, 0, 110, 10];
const far: Box = [500, 500, 510, 510];

describe('COCO evaluation by hand', () => {
  test('found, missed, wrong', () => {
    // IoU of the first 8/10: right at 0.5 to 0.8, seven of ten thresholds, recall 1/2 there: 51 of the 101 recalls.
    const result = evaluateCoco(
      one([object(a), object(b)], [detection([0, 0, 10, 8], 0.9), detection(far, 0.8)]),
    );
    expect(result.ap).toBeCloseTo(0.7 * (51 / 101), 12);
    expect(result.ap50).toBeCloseTo(51 / 101, 12);
    expect(result.ap75).toBeCloseTo(51 / 101, 12);
    expect(result.ar1).toBeCloseTo(0.35, 12);
    expect(result.ar100).toBeCloseTo(0.35, 12);
    expect([result.apSmall, result.arSmall]).toEqual([result.ap, result.ar100]);
    expect([result.apMedium, result.apLarge, result.arLarge]).toEqual([NaN, NaN, NaN]);
    expect(result.stats.slice(4, 6)).toEqual([-1, -1]);
    expect(result.images).toBe(1);
    expect(result.perClass[0]).toMatchObject({ name: 'thing', label: 0, objects: 2, detections: 2 });
  });

  test('a second detection of an object is wrong, and of two objects the free one is taken', () => {
    const twice = evaluateCoco(one([object(a)], [detection(a, 0.9), detection(a, 0.8), detection(b, 0.7)]));
    expect(twice.ap).toBe(twice.ap50);
    expect(twice.ap).toBeCloseTo(1, 12);
    const near: Box = [2, 0, 12, 10];
    // Both overlap `a` most; the second then takes the other, which VOC's rule does not allow.
    const result = evaluateCoco(
      one([object(a), object(near)], [detection(a, 0.9), detection([0.5, 0, 10.5, 10], 0.8)]),
    );
    expect(result.ap50).toBeCloseTo(1, 12);
  });

  test('crowds: any number of detections inside is ignored, none is demanded', () => {
    const crowd = object([0, 0, 300, 300], { crowd: true });
    const inside = Array.from({ length: 5 }, (_, i) => detection([20 * i, 0, 20 * i + 18, 18], 0.9));
    const result = evaluateCoco(one([crowd, object(far)], [...inside, detection(far, 0.5)]));
    expect(result.ap).toBeCloseTo(1, 12);
    expect(result.perClass[0].objects).toBe(1);
    // Half of the detection lies inside: enough at 0.5 only.
    const half = evaluateCoco(
      one([crowd, object(far)], [detection([290, 0, 310, 20], 0.9), detection(far, 0.5)]),
    );
    expect(half.ap50).toBeCloseTo(1, 12);
    expect(half.ap75).toBeCloseTo(1 / 2, 12);
  });

  test('difficult objects are ignored, or counted when told so', () => {
    const input = one([object(a, { difficult: true }), object(b)], [detection(b, 0.5)]);
    expect(evaluateCoco(input).ar100).toBe(1);
    expect(evaluateCoco({ ...input, difficult: 'count' }).ar100).toBe(0.5);
  });

  test('the area decides the size, not the box; a limit belongs to both sides', () => {
    const outline = one([object([0, 0, 100, 100], { area: 32 ** 2 })], [detection([0, 0, 100, 100], 0.9)]);
    const result = evaluateCoco(outline);
    expect(result.bySize.map(({ name, objects }) => [name, objects])).toEqual([
      ['all', 1],
      ['small', 1],
      ['medium', 1],
      ['large', 0],
    ]);
    expect(result.apSmall).toBeCloseTo(1, 12);
    expect(result.apLarge).toBeNaN();
    const tiny = evaluateCoco({ ...outline, areaRanges: [{ name: 'tiny', from: 0, to: 100 }] });
    expect(tiny.bySize.map(({ name, objects, ap }) => [name, objects, ap])).toEqual([
      ['all', 1, result.ap],
      ['tiny', 0, NaN],
    ]);
    expect(tiny.apSmall).toBeNaN();
  });

  test('only the best of each image and class count', () => {
    const stray = Array.from({ length: 100 }, (_, i) => detection([10 * i, 300, 10 * i + 5, 305], 0.9));
    const input = one([object(a)], [...stray, detection(a, 0.5), detection(a, 0.8, 1)]);
    expect(evaluateCoco({ ...input, classes: ['thing', 'other'] }).ar100).toBe(0);
    const more = evaluateCoco({ ...input, classes: ['thing', 'other'], maxDetections: [1, 10, 101] });
    expect(more.ar100).toBe(1);
    expect(more.ar10).toBe(0);
    expect(more.ap50).toBeCloseTo(1 / 101, 12);
  });

  test('equal scores: by the order given within an image, by the ids across images', () => {
    const run = (ids: (string | number)[]) =>
      evaluateCoco({
        groundTruth: [[object(a)], []],
        detections: [[detection(a, 0.5)], [detection(a, 0.5)]],
        classes: ['thing'],
        ids,
      }).ap;
    expect(run([3, 20])).toBeCloseTo(1, 12);
    expect(run([20, 3])).toBeCloseTo(0.5, 12);
    // Texts of digits are numbers; others go by their letters.
    expect(run(['3', '20'])).toBeCloseTo(1, 12);
    expect(run(['x3', 'x20'])).toBeCloseTo(0.5, 12);
  });

  test('without classes a detection of any class finds the object', () => {
    const input = { ...one([object(a)], [detection(a, 0.5, 1)]), classes: ['x', 'y'] };
    expect(evaluateCoco(input).ap).toBe(0);
    const result = evaluateCoco({ ...input, classAgnostic: true });
    expect(result.ap).toBeCloseTo(1, 12);
    expect(result.perClass.map(({ name }) => name)).toEqual(['all classes']);
  });

  test('nothing to find, nothing found, nothing at all', () => {
    for (const input of [one([], [detection(a, 0.5)]), one([], []), { ...one([], []), classes: [] }]) {
      const result = evaluateCoco(input);
      expect(result.ap).toBeNaN();
      expect(result.stats).toEqual(Array.from({ length: 12 }, () => -1));
    }
    const none = evaluateCoco({ groundTruth: [], detections: [], classes: ['thing'] });
    expect(none.ap).toBeNaN();
    const missed = evaluateCoco(one([object(a)], []));
    expect([missed.ap, missed.ar100, missed.apSmall]).toEqual([0, 0, 0]);
  });

  test('image by image equals all at once, as often as asked', () => {
    const evaluator = createCocoEvaluator(['thing']);
    evaluator.add('x', [object(a)], [detection(a, 0.5)]);
    expect(evaluator.result().ap).toBeCloseTo(1, 12);
    evaluator.add('y', [object(b)], []);
    expect(evaluator.images).toBe(2);
    expect(evaluator.result().ar100).toBe(0.5);
    expect(() => evaluator.add('y', [], [])).toThrow('image y was added before');
    expect(() => evaluator.add('z', [object([5, 5, 5, 9])], [detection(a, NaN)])).toThrow(
      /2 problems[^]*object 0 of image z[^]*detection 0 of image z has score NaN/,
    );
    expect(evaluator.images).toBe(2);
    expect(evaluator.result().ar100).toBe(0.5);
  });
});

describe('wrong input', () => {
  const wrong = {
    groundTruth: [[object(a), object([5, 5, 5, 9]), object([0, 0, NaN, 1])], [object(b, { label: 3 })]],
    detections: [
      [detection(a, 1.5), detection([9, 9, 4, 4], 0.5), detection([0, 10, 0, 20], 0.4)],
      [detection(b, NaN), detection([0, 0, Infinity, 9], 0.2, -1)],
    ],
    classes: ['thing'],
    ids: ['first', 'second'],
  };

  test('is told all at once, with image and index', () => {
    let error: unknown;
    try {
      evaluateCoco(wrong);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(EvaluationInputError);
    const { problems, message } = error as EvaluationInputError;
    expect(message.split('\n')).toEqual([
      'COCO evaluation: 7 problems',
      '  object 1 of image first has box [5, 5, 5, 9] (x2 must be above x1, y2 above y1; is it [x, y, width, height]?)',
      '  object 2 of image first has box [0, 0, NaN, 1] (a box is four numbers, [x1, y1, x2, y2])',
      '  detection 0 of image first has score 1.5 (a score lies in [0, 1])',
      '  detection 1 of image first has box [9, 9, 4, 4] (x2 must be above x1, y2 above y1; is it [x, y, width, height]?)',
      '  object 0 of image second has label 3, but there are 1 classes, from 0 to 0',
      '  detection 0 of image second has score NaN',
      '  detection 1 of image second has box [0, 0, Infinity, 9] (a box is four numbers, [x1, y1, x2, y2]) and label -1, but there are 1 classes, from 0 to 0',
      "Mend it, or leave it out with invalid: 'drop'",
    ]);
    expect(problems[0]).toMatchObject({ what: 'object', index: 1, image: 'first', kept: false });
  });

  test('is left out when told so, and listed; a detection without extent counts', () => {
    const result = evaluateCoco({ ...wrong, invalid: 'drop' });
    expect(result.perClass[0]).toMatchObject({ objects: 1, detections: 1 });
    expect(result.problems).toHaveLength(8);
    expect(result.problems.filter(({ kept }) => kept).map(({ problem }) => problem)).toEqual([
      'detection 2 of image first has box [0, 10, 0, 20], without extent',
    ]);
    expect(() => evaluateCoco({ ...wrong, invalid: 'official' })).toThrow('3 problems');
    expect(() => evaluateCoco({ ...wrong, invalid: 'skip' as never })).toThrow("got 'skip'");
  });

  test('a long list is cut in the message, not in the error', () => {
    const many = one(
      [],
      Array.from({ length: 50 }, () => detection(a, 2)),
    );
    try {
      evaluateCoco(many);
      expect.unreachable();
    } catch (error) {
      expect((error as EvaluationInputError).problems).toHaveLength(50);
      expect((error as Error).message.split('\n')).toHaveLength(23);
      expect((error as Error).message).toContain('and 30 more');
    }
  });

  test('what is no box at all is told like the rest', () => {
    const broken = one(
      [object(undefined as never), object([1, 2, 3] as never)],
      [detection(null as never, 0.5)],
    );
    expect(() => evaluateCoco(broken)).toThrow(
      /object 0 [^\n]*undefined[^]*\[1, 2, 3\][^]*detection 0 [^\n]*null/,
    );
  });

  test('lists that do not go together, ids that come twice, settings that cannot be', () => {
    const good = one([object(a)], []);
    expect(() => evaluateCoco({ ...good, detections: [] })).toThrow('ground truth of 1 images');
    expect(() => evaluateCoco({ ...good, ids: [1, 2] })).toThrow('2 ids for 1 images');
    const twice = {
      groundTruth: [[object(a)], [object(a)]],
      detections: [[], []],
      classes: ['x'],
      ids: [4, 4],
    };
    expect(() => evaluateCoco(twice)).toThrow('image 4 was added before');
    expect(evaluateCoco({ ...twice, invalid: 'drop' }).perClass[0].objects).toBe(1);
    expect(() => evaluateCoco({ ...good, iouThresholds: [0] })).toThrow('iouThresholds');
    expect(() => evaluateCoco({ ...good, maxDetections: [1, 1, 2] })).toThrow('maxDetections');
    expect(() => evaluateCoco({ ...good, areaRanges: [{ name: 'x', from: 2, to: 1 }] })).toThrow(
      "'x' is empty",
    );
    expect(() => evaluateCoco({ ...good, difficult: 'skip' as never })).toThrow("got 'skip'");
  });
});

describe('equals plain loops over plain objects', () => {
  // Small whole numbers: many equal overlaps, equal scores, sizes on the limits.
  const box = fc
    .tuple(fc.integer({ max: 12, min: 0 }), fc.integer({ max: 12, min: 0 }), fc.nat(9), fc.nat(9))
    .map(([x, y, w, h]): Box => [x, y, x + w + 1, y + h + 1]);
  const label = fc.nat(1);
  const data = fc
    .array(
      fc.record({
        objects: fc.array(
          fc.record({
            box,
            label,
            crowd: fc.constantFrom(false, false, true),
            difficult: fc.constantFrom(false, false, true),
            area: fc.option(fc.nat(120), { nil: undefined }),
          }),
          { maxLength: 6 },
        ),
        detections: fc.array(fc.record({ box, label, score: fc.nat(4).map((s) => s / 4) }), { maxLength: 9 }),
      }),
      { maxLength: 4 },
    )
    .map((images) => ({
      groundTruth: images.map(({ objects }) => objects),
      detections: images.map(({ detections }) => detections),
      classes: ['x', 'y'],
    }));
  const areaRanges = [
    { name: 'small', from: 0, to: 20 },
    { name: 'large', from: 20, to: 1e10 },
  ];

  test('at every threshold, size and limit', () => {
    fc.assert(
      fc.property(data, (input) => {
        const iouThresholds = [0.25, 0.5, 1];
        const maxDetections = [1, 2, 100] as const;
        const { grid } = evaluateCoco({ ...input, iouThresholds, maxDetections, areaRanges });
        let worst = 0;
        const off = (value: number, expected: number = -1): void => {
          worst = Math.max(worst, Math.abs(value - expected));
        };
        const ranges = [[0, 1e10], ...areaRanges.map(({ from, to }) => [from, to])];
        for (const t of iouThresholds.keys())
          for (const k of input.classes.keys())
            for (const a of ranges.keys())
              for (const m of maxDetections.keys()) {
                const range = ranges[a] as [number, number];
                const expected = scalarClass(input, k, iouThresholds[t], maxDetections[m], range);
                off(grid.recall[recallIndex(grid, t, k, a, m)], expected?.recall);
                for (let r = 0; r < 101; r++) {
                  off(grid.precision[precisionIndex(grid, t, r, k, a, m)], expected?.precision[r]);
                }
              }
        expect(worst).toBeLessThan(1e-9);
      }),
      { numRuns: 150, seed: 5 },
    );
  });

  test('and neither the order of distinct scores nor that of the images matters', () => {
    fc.assert(
      fc.property(data, (input) => {
        // Distinct scores: what is left is the order of lists.
        let next = 0;
        const detections = input.detections.map((items) =>
          items.map((item) => ({ ...item, score: (item.score * 4 + (next++ % 997) / 1000) / 6 })),
        );
        const ids = detections.map((_, i) => i);
        const plain = evaluateCoco({ ...input, detections, ids });
        const turned = evaluateCoco({
          classes: input.classes,
          groundTruth: [...input.groundTruth].reverse(),
          detections: detections.map((items) => [...items].reverse()).reverse(),
          ids: [...ids].reverse(),
        });
        expect(turned.stats).toEqual(plain.stats);
      }),
      { numRuns: 60, seed: 6 },
    );
  });
});
