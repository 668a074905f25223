import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { iou } from '../../lib/boxes/geometry';
import type { Box, Detection, GroundTruth } from '../../lib/boxes/types';
import { confusionMatrix, type ConfusionMatrixInput } from '../../lib/eval/confusion-matrix';

const object = (box: Box, label: number = 0, more: Partial<GroundTruth> = {}): GroundTruth => ({
  box,
  label,
  ...more,
});
const detection = (box: Box, score: number, label: number = 0): Detection => ({ box, score, label });
const a: Box = [0, 0, 10, 10];
const b: Box = [100, 0, 110, 10];
const far: Box = [500, 500, 510, 510];
const classes = ['cat', 'dog'];
const run = (objects: GroundTruth[], detections: Detection[], more: Partial<ConfusionMatrixInput> = {}) =>
  confusionMatrix({ groundTruth: [objects], detections: [detections], classes, ...more });

describe('the confusion matrix', () => {
  test('by hand: right, confused, missed, of nothing', () => {
    const result = run(
      [object(a, 0), object(b, 0), object([200, 0, 210, 10], 1)],
      [detection(a, 0.9, 0), detection(b, 0.8, 1), detection(far, 0.7, 1)],
    );
    expect(result.labels).toEqual(['cat', 'dog', 'background']);
    expect(result.matrix).toEqual([
      [1, 1, 0],
      [0, 0, 1],
      [0, 1, 0],
    ]);
    expect(result.shares[0]).toEqual([0.5, 0.5, 0]);
    expect([result.recall, result.precision]).toEqual([1 / 3, 1 / 3]);
  });

  test('the higher overlap goes first; of equal ones the higher score', () => {
    const near: Box = [1, 0, 11, 10];
    expect(run([object(a)], [detection(near, 0.9, 1), detection(a, 0.5, 0)]).matrix).toEqual([
      [1, 0, 0],
      [0, 0, 0],
      [0, 1, 0],
    ]);
    expect(run([object(a)], [detection(a, 0.5, 1), detection(a, 0.9, 0)]).matrix[0]).toEqual([1, 0, 0]);
    // The detection that loses `a` still has `near`.
    expect(run([object(a), object(near)], [detection(a, 0.9), detection(a, 0.8)]).matrix[0]).toEqual([
      2, 0, 0,
    ]);
  });

  test('thresholds are inclusive', () => {
    const half: Box = [0, 0, 10, 5];
    expect(run([object(a)], [detection(half, 0.25)]).matrix[0][0]).toBe(1);
    expect(run([object(a)], [detection(half, 0.25)], { scoreThreshold: 0.26 }).matrix[0]).toEqual([0, 0, 1]);
    expect(run([object(a)], [detection(half, 0.25)], { iouThreshold: 0.51 }).matrix[0]).toEqual([0, 0, 1]);
    expect(() => run([], [], { iouThreshold: 0 })).toThrow('got 0');
    expect(() => run([], [], { scoreThreshold: NaN })).toThrow('got NaN');
  });

  test('crowds and difficult objects ask for nothing and forgive what lies in them', () => {
    const crowd = object([0, 0, 100, 100], 0, { crowd: true });
    const inside = [detection([0, 0, 9, 9], 0.9, 1), detection([50, 50, 59, 59], 0.9)];
    expect(
      run([crowd], inside)
        .matrix.flat()
        .every((value) => value === 0),
    ).toBe(true);
    expect(run([crowd], [detection([96, 0, 106, 10], 0.9)]).matrix[2][0]).toBe(1);
    const hard = object(a, 0, { difficult: true });
    expect(run([hard], [detection(a, 0.9), detection(far, 0.9)]).matrix[2]).toEqual([1, 0, 0]);
  });

  test('nothing found, nothing there, nothing at all', () => {
    expect(run([object(a)], []).matrix[0]).toEqual([0, 0, 1]);
    expect(run([], [detection(a, 0.9)]).matrix[2]).toEqual([1, 0, 0]);
    const none = confusionMatrix({ groundTruth: [], detections: [], classes: [] });
    expect(none.matrix).toEqual([[0]]);
    expect(none.shares).toEqual([[null]]);
    expect([none.recall, none.precision]).toEqual([NaN, NaN]);
  });

  test('equals plain loops: the best pair left, again and again', () => {
    const box = fc
      .tuple(fc.nat(8), fc.nat(8), fc.nat(9), fc.nat(9))
      .map(([x, y, w, h]): Box => [x, y, x + w + 1, y + h + 1]);
    const label = fc.nat(1);
    const objects = fc.array(fc.record({ box, label }), { maxLength: 6 });
    const detections = fc.array(
      fc.record({ box, label, score: fc.double({ min: 0, max: 1, noNaN: true }) }),
      {
        maxLength: 8,
      },
    );
    fc.assert(
      fc.property(objects, detections, (wanted, found) => {
        const counted = found.filter(({ score }) => score >= 0.25);
        const expected = [0, 1, 2].map(() => [0, 0, 0]);
        const left = { objects: [...wanted], detections: [...counted] };
        for (;;) {
          let best: { overlap: number; g: number; d: number } | undefined;
          left.objects.forEach((one, g) =>
            left.detections.forEach((other, d) => {
              const overlap = iou(one.box, other.box);
              const better =
                !best ||
                overlap > best.overlap ||
                (overlap === best.overlap && other.score > left.detections[best.d].score);
              if (overlap >= 0.5 && better) best = { overlap, g, d };
            }),
          );
          if (!best) break;
          const [one] = left.objects.splice(best.g, 1);
          const [other] = left.detections.splice(best.d, 1);
          expected[one.label][other.label]++;
        }
        for (const one of left.objects) expected[one.label][2]++;
        for (const other of left.detections) expected[2][other.label]++;
        expect(run(wanted, found).matrix).toEqual(expected);
      }),
      { numRuns: 300, seed: 8 },
    );
  });

  test('wrong input is told at once', () => {
    expect(() => run([object([3, 3, 1, 1])], [detection(a, 7)])).toThrow(
      /2 problems[^]*object 0[^]*detection 0/,
    );
    expect(run([object([3, 3, 1, 1])], [detection(a, 7)], { invalid: 'drop' }).problems).toHaveLength(2);
  });
});
