import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  cascadeCoders,
  createBoxCoder,
  efficientDetCoder,
  fasterRcnnCoder,
  retinaNetCoder,
  ssdCoder,
} from '../../lib/boxes/coders';
import { toBoxArray, toBoxes } from '../../lib/boxes/geometry';
import type { Box } from '../../lib/boxes/types';
import { createRandom } from '../../lib/tensor/random';
import { fixture as detection } from './detection-fixture';

const { coder: fixture } = JSON.parse(
  readFileSync(path.join(__dirname, 'fixtures', 'boxes.json'), 'utf8'),
) as {
  coder: Record<
    'boxes' | 'anchors' | 'encoded' | 'encodedUnit' | 'deltas' | 'decoded' | 'decodedLimited',
    Box[]
  >;
};

/** Relative to the size of the numbers, at float32's precision. */
function expectClose(actual: Float32Array, expected: readonly Box[]): void {
  expected.flat().forEach((value, i) => {
    expect(Math.abs(actual[i] - value)).toBeLessThanOrEqual(2e-6 * Math.max(1, Math.abs(value)));
  });
  expect(actual.length).toBe(4 * expected.length);
}

describe('box coder', () => {
  test('by hand: an anchor 10 wide and 20 high at (5, 10), a box twice its size, moved by (1, 4)', () => {
    const anchors = toBoxArray([[0, 0, 10, 20]]);
    const boxes = toBoxArray([[-4, -6, 16, 34]]);
    const deltas = createBoxCoder().encode(boxes, anchors);
    expect(deltas[0]).toBeCloseTo(1, 6); // (6 - 5) / 10 / 0.1
    expect(deltas[1]).toBeCloseTo(2, 6); // (14 - 10) / 20 / 0.1
    expect(deltas[2]).toBeCloseTo(Math.LN2 / 0.2, 6);
    expect(deltas[3]).toBeCloseTo(Math.LN2 / 0.2, 6);
  });

  test('encodes as the reference, with SSD variances and without', () => {
    const boxes = toBoxArray(fixture.boxes);
    const anchors = toBoxArray(fixture.anchors);
    expectClose(createBoxCoder().encode(boxes, anchors), fixture.encoded);
    expectClose(createBoxCoder({ variances: [1, 1, 1, 1] }).encode(boxes, anchors), fixture.encodedUnit);
    expectClose(createBoxCoder({ weights: [10, 10, 5, 5] }).encode(boxes, anchors), fixture.encoded);
  });

  test('decodes as the reference, with the size limit and without', () => {
    const deltas = toBoxArray(fixture.deltas);
    const anchors = toBoxArray(fixture.anchors);
    expectClose(createBoxCoder().decode(deltas, anchors), fixture.decodedLimited);
    expectClose(createBoxCoder({ maxLogScale: Infinity }).decode(deltas, anchors), fixture.decoded);
    expect(fixture.decoded[0]).not.toEqual(fixture.decodedLimited[0]);
  });

  test('decode undoes encode', () => {
    const random = createRandom('coder');
    const box = (): Box => {
      const x = random.uniform(0, 200);
      const y = random.uniform(0, 200);
      return [x, y, x + random.uniform(2, 100), y + random.uniform(2, 100)];
    };
    const boxes = toBoxArray(Array.from({ length: 200 }, box));
    const anchors = toBoxArray(Array.from({ length: 200 }, box));
    const coder = createBoxCoder();
    const back = coder.decode(coder.encode(boxes, anchors), anchors);
    back.forEach((value, i) => expect(Math.abs(value - boxes[i])).toBeLessThan(1e-3));
    expect(toBoxes(coder.decode(new Float32Array(800), anchors))[7]).toEqual(toBoxes(anchors)[7]);
  });

  test('empty in, empty out', () => {
    const none = new Float32Array(0);
    expect(createBoxCoder().encode(none, none)).toEqual(none);
    expect(createBoxCoder().decode(none, none)).toEqual(none);
  });

  test('errors name the box, its numbers and the fix', () => {
    const coder = createBoxCoder();
    const anchors = toBoxArray([
      [0, 0, 1, 1],
      [0, 0, 1, 1],
    ]);
    const flat = toBoxArray([
      [0, 0, 1, 1],
      [3, 4, 3, 9],
    ]);
    expect(() => coder.encode(flat, anchors)).toThrow(/box 1, \[3, 4, 3, 9\], has no area/);
    expect(() => coder.encode(anchors, flat)).toThrow(/anchor 1, \[3, 4, 3, 9\], has no area/);
    expect(() => coder.decode(flat, anchors.subarray(4))).toThrow('2 boxes, but there are 1 anchors');
    expect(() => createBoxCoder({ variances: [1, 1, 0, 1] })).toThrow(
      'four positive numbers, got 1, 1, 0, 1',
    );
    expect(() => createBoxCoder({ variances: [1, 1, 1, 1], weights: [1, 1, 1, 1] })).toThrow('not both');
  });
});

describe('published coders', () => {
  const boxes = toBoxArray(detection.coders.boxes);
  const anchors = toBoxArray(detection.coders.anchors);

  test.each(detection.coders.cases)("equal torchvision's BoxCoder, weights $weights", (expected) => {
    const coder = { 10: fasterRcnnCoder, 1: retinaNetCoder, 30: cascadeCoders[2] }[expected.weights[0]]!;
    expectClose(coder.encode(boxes, anchors), expected.encoded as unknown as Box[]);
    expectClose(coder.decode(toBoxArray(detection.coders.deltas), anchors), expected.decoded);
  });

  test("EfficientDet's lists y before x, and limits nothing", () => {
    const { deltas, encoded, decoded } = detection.coders.efficientDet;
    expectClose(efficientDetCoder.encode(boxes, anchors), encoded as unknown as Box[]);
    expectClose(efficientDetCoder.decode(toBoxArray(deltas as unknown as Box[]), anchors), decoded);
    const [anchor, box] = [toBoxArray([[0, 0, 10, 20]]), toBoxArray([[1, 4, 11, 24]])];
    const [ty, tx] = efficientDetCoder.encode(box, anchor);
    expect([ty, tx]).toEqual([Math.fround(4 / 20), Math.fround(1 / 10)]);
    const wide = efficientDetCoder.decode(Float32Array.of(0, 0, 0, 6), anchor);
    expect(wide[2] - wide[0]).toBeCloseTo(10 * Math.exp(6), 2);
  });

  test('decoding undoes encoding, for every coder and any boxes', () => {
    const box = fc
      .tuple(
        fc.integer({ min: -400, max: 4000 }),
        fc.integer({ min: -400, max: 4000 }),
        fc.integer({ min: 4, max: 2000 }),
        fc.integer({ min: 4, max: 2000 }),
      )
      .map(([x, y, w, h]): Box => [x / 4, y / 4, (x + w) / 4, (y + h) / 4]);
    const coder = fc.constantFrom(
      ssdCoder,
      fasterRcnnCoder,
      retinaNetCoder,
      efficientDetCoder,
      ...cascadeCoders,
    );
    fc.assert(
      fc.property(box, box, coder, (object, anchor, { encode, decode }) => {
        // torchvision's limit: an object at most 62.5 times as large as its anchor.
        const anchors = toBoxArray([anchor]);
        const growth = Math.max(
          (object[2] - object[0]) / (anchor[2] - anchor[0]),
          (object[3] - object[1]) / (anchor[3] - anchor[1]),
        );
        fc.pre(growth < 62);
        const back = decode(encode(toBoxArray([object]), anchors), anchors);
        object.forEach((value, i) => expect(Math.abs(back[i] - value)).toBeLessThan(2e-3));
      }),
    );
  });

  test("SSD's is the default; the cascade's stages start with Faster R-CNN's", () => {
    expect(ssdCoder.variances).toEqual([0.1, 0.1, 0.2, 0.2]);
    expect(cascadeCoders.map(({ variances }) => 1 / variances[0])).toEqual([10, 20, 30]);
  });
});
