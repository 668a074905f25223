/** From a second stage's predictions to detections; tests/models/two-stage compares them with torchvision's. */
import { describe, expect, test } from 'vitest';
import { cascadeCoders, regionDetections } from 'detlab';

const size = { width: 100, height: 60 };
const boxes = Float32Array.from([10, 10, 30, 30, 11, 10, 31, 30, 60, 20, 90, 50]);
/** Background, cat, dog. */
const classScores = Float32Array.from([0.1, 0.8, 0.1, 0.3, 0.6, 0.1, 0.9, 0.04, 0.06]);
/** Offsets of 0 but for the third region's dog: 15 pixels to the right, twice as high. */
const boxDeltas = new Float32Array(3 * 3 * 4);
boxDeltas.set([5, 0, 0, 5 * Math.log(2)], (2 * 3 + 2) * 4);

describe('regionDetections', () => {
  test('decodes each class by its own offsets, cuts to the image, suppresses within a class', () => {
    const found = regionDetections({ boxes, classScores, boxDeltas }, size);
    expect(found.map(({ label }) => label)).toEqual([0, 1, 1]);
    expect(found[0]).toEqual({ box: [10, 10, 30, 30], label: 0, score: Math.fround(0.8) });
    // The second region's cat lies on the first one's; both dogs score the same: the earlier region's is kept.
    expect(found[1]).toEqual({ box: [10, 10, 30, 30], label: 1, score: Math.fround(0.1) });
    const [x1, y1, x2, y2] = found[2].box;
    expect([x1, y1, x2, y2].map((v) => Math.round(v * 1e4) / 1e4)).toEqual([75, 5, 100, 60]);
  });

  test('takes one box for all classes, another coder, thresholds and a limit', () => {
    const shared = new Float32Array(12);
    shared.set([30, 0, 0, 0], 0);
    const options = { coder: cascadeCoders[2], scoreThreshold: 0.5, iouThreshold: 0.9 };
    const found = regionDetections({ boxes, classScores, boxDeltas: shared }, size, options);
    expect(found.map(({ box }) => box.map((v) => Math.round(v * 1e4) / 1e4))).toEqual([
      [30, 10, 50, 30],
      [11, 10, 31, 30],
    ]);
    expect(regionDetections({ boxes, classScores, boxDeltas }, size, { maxOutput: 1 })).toHaveLength(1);
  });

  test('drops what is too small once it is cut to the image', () => {
    const outside = boxDeltas.slice();
    // The first region's cat beyond the right border.
    outside[4] = 50;
    const found = regionDetections({ boxes, classScores, boxDeltas: outside }, size);
    expect(found.filter(({ label }) => label === 0)).toEqual([
      { box: [11, 10, 31, 30], label: 0, score: Math.fround(0.6) },
    ]);
    expect(regionDetections({ boxes, classScores, boxDeltas }, size, { minSize: 26 })).toEqual([]);
  });

  test('gives nothing for no regions, and says what does not go together', () => {
    const none = new Float32Array(0);
    expect(regionDetections({ boxes: none, classScores: none, boxDeltas: none }, size)).toEqual([]);
    expect(() => regionDetections({ boxes, classScores, boxDeltas: none }, size)).toThrow(
      /9 scores and 0 deltas do not go with 3 boxes/,
    );
    const diverged = classScores.slice();
    diverged[5] = NaN;
    expect(() => regionDetections({ boxes, classScores: diverged, boxDeltas }, size)).toThrow(
      /the score of region 1, class 1 is NaN/,
    );
  });
});
