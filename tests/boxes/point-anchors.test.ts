import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toBoxArray } from '../../lib/boxes/geometry';
import { decodeDistances, encodeDistances, pointAnchors } from '../../lib/boxes/point-anchors';
import { fixture } from './detection-fixture';

const none = new Float32Array(0);

describe('point anchors', () => {
  test('by hand: the middle of every cell, fine to coarse', () => {
    const { points, levels } = pointAnchors({
      imageWidth: 8,
      imageHeight: 4,
      maps: [
        [1, 2],
        [1, 1],
      ],
    });
    expect([...points]).toEqual([2, 2, 6, 2, 4, 2]);
    expect(levels[1]).toEqual({ rows: 1, cols: 1, stepX: 8, stepY: 4, start: 2, count: 1 });
    expect([
      ...pointAnchors({ imageWidth: 8, imageHeight: 4, maps: [[1, 2]], steps: [3], offset: 0 }).points,
    ]).toEqual([0, 0, 3, 0]);
    expect(pointAnchors({ imageWidth: 8, imageHeight: 4, maps: [] }).points).toEqual(none);
  });

  test('errors name what does not fit', () => {
    const image = { imageWidth: 8, imageHeight: 4 };
    expect(() => pointAnchors({ ...image, maps: [[1, 2]], steps: [1, 2] })).toThrow('1 maps, but 2 steps');
    expect(() => pointAnchors({ ...image, maps: [[1, 0]] })).toThrow(
      'map 0 must have positive whole numbers',
    );
    expect(() => encodeDistances(new Float32Array(4), none)).toThrow('1 boxes, but 0 points');
  });
});

describe('distances', () => {
  const { boxes, distances } = fixture.coders;
  const points = Float32Array.from(distances.points.flat());
  const scales = new Float32Array(boxes.length).fill(distances.stride);
  const flat = (rows: readonly (readonly number[])[]): number[] => rows.flat();

  test("equal torchvision's BoxLinearCoder", () => {
    const encoded = encodeDistances(toBoxArray(boxes), points, scales);
    flat(distances.encoded).forEach((value, i) => expect(encoded[i]).toBeCloseTo(value, 4));
    const decoded = decodeDistances(Float32Array.from(flat(distances.deltas)), points, scales);
    flat(distances.decoded).forEach((value, i) => expect(Math.abs(decoded[i] - value)).toBeLessThan(1e-3));
  });

  test('there and back; empty in, empty out', () => {
    const whole = fc.integer({ min: -1000, max: 1000 });
    fc.assert(
      fc.property(fc.array(whole, { minLength: 6, maxLength: 6 }), fc.constantFrom(1, 2, 8), (v, scale) => {
        const [box, point] = [Float32Array.from(v.slice(0, 4)), Float32Array.from(v.slice(4))];
        const by = Float32Array.of(scale);
        expect(decodeDistances(encodeDistances(box, point, by), point, by)).toEqual(box);
      }),
    );
    expect(encodeDistances(none, none)).toEqual(none);
    expect(decodeDistances(none, none)).toEqual(none);
  });
});
