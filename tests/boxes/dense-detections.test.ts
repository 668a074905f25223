import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AnchorSet, boxAnchors } from '../../lib/boxes/anchors';
import { retinaNetCoder } from '../../lib/boxes/coders';
import {
  denseDetections,
  type DenseDetectionOptions,
  efficientDetDetectionOptions,
} from '../../lib/boxes/dense-detections';
import { iou, toBoxArray } from '../../lib/boxes/geometry';
import { retinaNetAnchors } from '../../lib/boxes/pyramid-anchors';
import type { Detection } from '../../lib/boxes/types';

interface Expected {
  readonly boxes: readonly number[];
  readonly scores: readonly number[];
  readonly labels: readonly number[];
}

/** What tests/reference/dense_detections.py wrote. */
const fixture = JSON.parse(
  readFileSync(path.join(__dirname, 'fixtures', 'dense-detections.json'), 'utf8'),
) as {
  readonly width: number;
  readonly height: number;
  readonly maps: [number, number][];
  readonly sizes: number[][];
  readonly logits: number[];
  readonly deltas: number[];
  readonly retinaNet: readonly (Expected & { readonly options: DenseDetectionOptions })[];
  readonly efficientDet: readonly (Expected & { readonly hard: boolean; readonly topK: number })[];
};
const { width: imageWidth, height: imageHeight, maps, sizes } = fixture;
const anchors = retinaNetAnchors({ imageWidth, imageHeight, maps, sizes });
const logits = Float32Array.from(fixture.logits);
const deltas = Float32Array.from(fixture.deltas);

/** Two levels of one anchor each: [0, 0, 20, 20] and [20, 0, 60, 40]. */
const two: AnchorSet = {
  ...boxAnchors({
    imageWidth: 80,
    imageHeight: 40,
    levels: [20, 40].map((side) => ({ rows: 1, cols: 1, shapes: [[side, side]] as [number, number][] })),
  }),
  boxes: toBoxArray([
    [0, 0, 20, 20],
    [20, 0, 60, 40],
  ]),
};
const still = new Float32Array(8);
/** The logit of a score. */
const of = (score: number): number => Math.log(score / (1 - score));

function expectSame(found: readonly Detection[], { boxes, scores, labels }: Expected): void {
  expect(found.map(({ label }) => label)).toEqual(labels);
  found.forEach(({ box, score }, i) => {
    expect(Math.abs(score - scores[i])).toBeLessThan(2e-7);
    box.forEach((value, k) => expect(Math.abs(value - boxes[4 * i + k])).toBeLessThan(5e-5));
  });
}

describe('detections of dense detectors', () => {
  test.each(fixture.retinaNet)("equal torchvision's RetinaNet: $options", ({ options, ...expected }) => {
    expect(expected.labels.length).toBeGreaterThan(30);
    expectSame(denseDetections(logits, deltas, anchors, options), expected);
  });

  test("without options it is torchvision's RetinaNet with its own", () => {
    expect(denseDetections(logits, deltas, anchors)).toEqual(
      denseDetections(logits, deltas, anchors, fixture.retinaNet[0].options),
    );
  });

  test.each(fixture.efficientDet)(
    'equal the EfficientDet release: hard $hard, top $topK',
    ({ hard, topK, ...expected }) => {
      const options: DenseDetectionOptions = {
        ...efficientDetDetectionOptions,
        topK,
        clip: 'none',
        ...(hard ? { suppression: 'hard', scoreThreshold: -Infinity } : {}),
      };
      const found = denseDetections(logits, deltas, anchors, options);
      expectSame(found, expected);
      // Cutting afterwards changes boxes, not which are found.
      const cut = denseDetections(logits, deltas, anchors, { ...options, clip: 'after' });
      expect(cut.map(({ score }) => score)).toEqual(found.map(({ score }) => score));
      cut.forEach(({ box }, i) => expect(box[0]).toBe(Math.min(Math.max(found[i].box[0], 0), fixture.width)));
    },
  );

  test('by hand: threshold, level limits, scaling to the image', () => {
    const three = Float32Array.of(of(0.75), of(0.5), -80, 80, of(0.25), -80);
    const found = denseDetections(three, still, two, { width: 160, height: 20 });
    expect(found.map(({ label, score }) => [label, Number(score.toFixed(6))])).toEqual([
      [0, 1],
      [0, 0.75],
      [1, 0.5],
      [1, 0.25],
    ]);
    expect(found.map(({ box }) => box)).toEqual([
      [40, 0, 120, 20],
      [0, 0, 40, 10],
      [0, 0, 40, 10],
      [40, 0, 120, 20],
    ]);
    const classes = (options: DenseDetectionOptions): number[] =>
      denseDetections(three, still, two, options).map(({ label }) => label);
    expect(classes({ scoreThreshold: 0.5 })).toEqual([0, 0]);
    expect(classes({ scoreThreshold: 0.49 })).toEqual([0, 0, 1]);
    expect(classes({ topK: 1 })).toEqual([0, 0]);
    expect(classes({ topK: 3, topKOf: 'image' })).toEqual([0, 0, 1]);
    expect(classes({ maxOutput: 1 })).toEqual([0]);
    // 60 of 80 pixels are the image, and it was twice as large.
    const content = denseDetections(three, still, two, { contentWidth: 50, width: 100 });
    expect(content[0].box).toEqual([40, 0, 100, 40]);
  });

  test('a box outside the image, and what suppression makes of cut boxes', () => {
    const target = toBoxArray([
      [-40, 0, 20, 40],
      [0, 0, 20, 40],
    ]);
    const moved = retinaNetCoder.encode(target, two.boxes);
    const scores = Float32Array.of(of(0.75), of(0.5));
    expect(denseDetections(scores, moved, two).map(({ box }) => box.map(Math.round))).toEqual([
      [0, 0, 20, 40],
    ]);
    expect(denseDetections(scores, moved, two, { clip: 'after' })).toHaveLength(2);
    expect(denseDetections(scores, moved, two, { clip: 'none' })[0].box[0]).toBeCloseTo(-40, 4);
  });

  test('nothing there, or nothing above the threshold', () => {
    const none = boxAnchors({ imageWidth: 8, imageHeight: 8, levels: [] });
    expect(denseDetections(new Float32Array(0), new Float32Array(0), none)).toEqual([]);
    expect(denseDetections(new Float32Array(2).fill(-80), still, two)).toEqual([]);
    expect(denseDetections(new Float32Array(2).fill(-Infinity), still, two, { scoreThreshold: 0 })).toEqual(
      [],
    );
    expect(denseDetections(new Float32Array(2).fill(80), still, two, { scoreThreshold: 1 })).toEqual([]);
    expect(denseDetections(new Float32Array(2).fill(Infinity), still, two)).toHaveLength(2);
  });

  test('what cannot be is an error that says where', () => {
    expect(() => denseDetections(new Float32Array(3), still, two)).toThrow(
      '3 logits and 8 deltas do not go with 2 anchors',
    );
    expect(() => denseDetections(Float32Array.of(0, 0, 0, NaN), still, two)).toThrow(
      'logit 1 of anchor 1 is NaN',
    );
    const broken = still.slice();
    broken[2] = NaN;
    expect(() => denseDetections(new Float32Array(2), broken, two)).toThrow('delta 2 of anchor 0 is NaN');
  });

  test('properties: sorted, above the threshold, inside, no two of a class overlap too much', () => {
    const number = (limit: number): fc.Arbitrary<number> =>
      fc.double({ min: -limit, max: limit, noNaN: true });
    const count = anchors.boxes.length / 4;
    fc.assert(
      fc.property(
        fc.array(number(80), { minLength: 2 * count, maxLength: 2 * count }),
        fc.array(number(3), { minLength: 4 * count, maxLength: 4 * count }),
        fc.constantFrom(0.05, 0.5, 0.9),
        (some, moves, scoreThreshold) => {
          const found = denseDetections(Float32Array.from(some), Float32Array.from(moves), anchors, {
            scoreThreshold,
          });
          found.forEach((one, i) => {
            expect(one.score).toBeGreaterThan(Math.fround(scoreThreshold));
            if (i > 0) expect(one.score).toBeLessThanOrEqual(found[i - 1].score);
            expect(Math.min(...one.box)).toBeGreaterThanOrEqual(0);
            expect(Math.max(one.box[2] / imageWidth, one.box[3] / imageHeight)).toBeLessThanOrEqual(1);
            const rivals = found.slice(0, i).filter(({ label }) => label === one.label);
            expect(Math.max(0, ...rivals.map(({ box }) => iou(box, one.box)))).toBeLessThan(0.500001);
          });
        },
      ),
      { numRuns: 10 },
    );
  });
});
