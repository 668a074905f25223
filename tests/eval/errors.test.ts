import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Box, Detection, GroundTruth } from '../../lib/boxes/types';
import { type ErrorBreakdown, errorBreakdown } from '../../lib/eval/errors/breakdown';
import type { ErrorType } from '../../lib/eval/errors/image-errors';

const cases = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'tide.json'), 'utf8')) as {
  classes: number;
  images: [objects: [number, Box, boolean][], detections: [number, Box, number][]][];
  results: {
    iouThreshold: number;
    backgroundThreshold: number;
    ap: number;
    counts: number[];
    gains: number[];
    special: [number, number];
  }[];
}[];

const object = (box: Box, label: number = 0, more: Partial<GroundTruth> = {}): GroundTruth => ({
  box,
  label,
  ...more,
});
const detection = (box: Box, score: number, label: number = 0): Detection => ({ box, score, label });
const a: Box = [0, 0, 10, 10];
const b: Box = [100, 0, 110, 10];
const far: Box = [500, 500, 510, 510];
const breakDown = (objects: GroundTruth[], detections: Detection[]) =>
  errorBreakdown({ groundTruth: [objects], detections: [detections], classes: ['cat', 'dog'] });

describe('the error breakdown', () => {
  test.each(cases.flatMap((data, index) => data.results.map((expected) => ({ data, expected, index }))))(
    "equals the authors' code, case $index, IoU $expected.iouThreshold",
    ({ data: { classes, images }, expected }) => {
      const { iouThreshold, backgroundThreshold } = expected;
      const result = errorBreakdown({
        groundTruth: images.map(([objects]) =>
          objects.map(([label, box, crowd]) => ({ label, box, ...(crowd && { crowd }) })),
        ),
        detections: images.map(([, found]) => found.map(([label, box, score]) => ({ label, box, score }))),
        classes: Array.from({ length: classes }, (_, i) => `class ${i}`),
        iouThreshold,
        backgroundThreshold,
      });
      expect(Math.abs(result.ap - expected.ap)).toBeLessThan(1e-9);
      expect(result.errors.map(({ count }) => count)).toEqual(expected.counts);
      result.errors.forEach(({ apGain }, i) => {
        expect(Math.abs(apGain - expected.gains[i])).toBeLessThan(1e-9);
      });
      expect(Math.abs(result.falsePositives.apGain - expected.special[0])).toBeLessThan(1e-9);
      expect(Math.abs(result.falseNegatives.apGain - expected.special[1])).toBeLessThan(1e-9);
      expect(result.list).toHaveLength(expected.counts.reduce((sum, n) => sum + n, 0));
    },
  );

  test.each<[ErrorType, Detection]>([
    ['localisation', detection([0, 0, 10, 4], 0.8)], // IoU 0.4, of its class
    ['classification', detection([0, 0, 10, 9], 0.8, 1)],
    ['both', detection([0, 0, 10, 4], 0.8, 1)],
    ['background', detection(far, 0.8)],
    ['background', detection([9, 0, 19, 10], 0.8)], // IoU 1/19
  ])('by hand: %s', (type, found) => {
    const { errors, list } = breakDown([object(a), object(b)], [found, detection(b, 0.9)]);
    expect(list.filter((error) => error.detection).map((error) => error.type)).toEqual([type]);
    const mends = type === 'localisation' || type === 'classification';
    // Both objects are found once the error is mended; otherwise one is missed.
    expect(errors.map(({ count }) => count).reduce((sum, n) => sum + n, 0)).toBe(mends ? 1 : 2);
    expect(list.some((error) => error.type === 'missed' && error.object?.box === a)).toBe(!mends);
    const cost = errors.find((error) => error.type === type)!;
    if (mends) expect(cost.apGain).toBeGreaterThan(0.4);
  });

  test('a second detection is a duplicate, and what costs nothing gains nothing', () => {
    const { errors, list, ap } = breakDown([object(a)], [detection(a, 0.9), detection(a, 0.8)]);
    expect(ap).toBeCloseTo(1, 12);
    expect(list).toEqual([
      { type: 'duplicate', image: 0, detection: detection(a, 0.8), object: object(a), ignored: false },
    ]);
    expect(errors.every(({ apGain }) => apGain === 0)).toBe(true);
  });

  test('above its object a duplicate costs, and mending takes it away', () => {
    const input = [detection([0, 0, 10, 9.5], 0.95), detection(a, 0.9), detection(b, 0.5)];
    const { errors, ap } = breakDown([object(a), object(b)], input);
    // Precision 1, 1/2, 2/3: 51 recalls at 1, 50 at 2/3.
    expect(ap).toBeCloseTo((51 + (50 * 2) / 3) / 101, 12);
    expect(errors.find(({ type }) => type === 'duplicate')?.apGain).toBeCloseTo(1 - ap, 12);
  });

  test('a class without objects takes part with 0, as in the reference', () => {
    const { ap, perClass, errors } = breakDown([object(a)], [detection(a, 0.9), detection(far, 0.8, 1)]);
    expect(ap).toBeCloseTo(0.5, 12);
    expect(errors.find(({ type }) => type === 'background')?.apGain).toBeCloseTo(0.5, 12);
    expect(perClass).toMatchObject([
      { name: 'cat', label: 0, objects: 1, found: 1, background: 0 },
      { name: 'dog', label: 1, objects: 0, found: 0, background: 1, missed: 0 },
    ]);
  });

  test('crowds and difficult objects ask for nothing and forgive what lies in them', () => {
    for (const mark of [{ crowd: true }, { difficult: true }]) {
      const { ap, list, falsePositives, falseNegatives } = breakDown(
        [object([200, 0, 300, 100], 0, mark), object(a)],
        [detection([210, 10, 230, 30], 0.9), detection(a, 0.5)],
      );
      expect(ap).toBeCloseTo(1, 12);
      expect(list).toMatchObject([{ type: 'background', ignored: true }]);
      expect([falsePositives.count, falseNegatives.count]).toEqual([0, 0]);
    }
  });

  test('nothing found, nothing there, nothing at all', () => {
    const missed = breakDown([object(a)], []);
    expect([missed.ap, missed.falseNegatives.count]).toEqual([0, 1]);
    expect(missed.list).toMatchObject([{ type: 'missed', image: 0 }]);
    expect(breakDown([], [detection(a, 0.5)])).toMatchObject({ ap: 0, falsePositives: { count: 1 } });
    expect(breakDown([], []).ap).toBeNaN();
    // Mended, there is nothing left to be wrong; where there was nothing, there is nothing to gain.
    const gains = (breakdown: ErrorBreakdown): number[] => breakdown.errors.map(({ apGain }) => apGain);
    expect(gains(missed)).toEqual([0, 0, 0, 0, 0, 1]);
    expect(gains(breakDown([], [detection(a, 0.5)]))).toEqual([0, 0, 0, 0, 1, 0]);
    expect(gains(breakDown([], []))).toEqual([0, 0, 0, 0, 0, 0]);
    expect(errorBreakdown({ groundTruth: [], detections: [], classes: [] }).list).toEqual([]);
  });

  test('whatever is found, each detection is right or has one error, and each object is found, findable or missed', () => {
    const box = fc
      .tuple(fc.nat(12), fc.nat(12), fc.nat(9), fc.nat(9))
      .map(([x, y, w, h]): Box => [x, y, x + w + 1, y + h + 1]);
    const items = fc.array(
      fc.record({
        box,
        label: fc.nat(1),
        score: fc.nat(4).map((s) => s / 4),
        crowd: fc.constantFrom(false, false, true),
      }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(items, items, (objects, found) => {
        const { errors, list, perClass, falsePositives, falseNegatives } = breakDown(objects, found);
        const wanted = objects.filter(({ crowd }) => !crowd).length;
        const right = perClass.reduce((sum, one) => sum + one.found, 0);
        const ofDetections = list.filter(({ detection }) => detection);
        expect(right + ofDetections.length).toBe(found.length);
        expect(new Set(ofDetections.map(({ detection }) => detection)).size).toBe(ofDetections.length);
        expect(right + falsePositives.count + list.filter(({ ignored }) => ignored).length).toBe(
          found.length,
        );
        expect(falseNegatives.count).toBe(wanted - right);
        expect(list.length - ofDetections.length).toBeLessThanOrEqual(wanted - right);
        expect(errors.reduce((sum, { count }) => sum + count, 0)).toBe(list.length);
        // NaN where there is neither an object nor a detection.
        expect(errors.some(({ apGain }) => apGain < 0)).toBe(false);
      }),
      { numRuns: 200, seed: 4 },
    );
  });

  test('what cannot be is an error', () => {
    const good = { groundTruth: [[object(a)]], detections: [[]], classes: ['cat'] };
    expect(() => errorBreakdown({ ...good, backgroundThreshold: 0.5 })).toThrow('background 0.5, IoU 0.5');
    expect(() => errorBreakdown({ ...good, backgroundThreshold: 0 })).toThrow('background 0, IoU 0.5');
    expect(() => errorBreakdown({ ...good, maxDetections: 0 })).toThrow('got 0');
    expect(() => errorBreakdown({ ...good, detections: [[detection(a, NaN)]] })).toThrow(
      'errorBreakdown: detection 0 of image 0 has score NaN',
    );
  });
});
