import { describe, expect, test } from 'vitest';
import { gridAnchors } from '../../lib/boxes/anchors';
import { createBoxCoder } from '../../lib/boxes/coders';
import { toBoxArray } from '../../lib/boxes/geometry';
import { ssdDetections } from '../../lib/boxes/ssd-detections';

// Two anchors, 40 x 40, centred at (25, 50) and (75, 50).
const anchors = gridAnchors({
  imageWidth: 100,
  imageHeight: 100,
  maps: [[1, 2]],
  sizes: [40, 40],
  ratios: [],
});
const pair = {
  ...anchors,
  boxes: toBoxArray([anchors.boxes.subarray(0, 4), anchors.boxes.subarray(8, 12)] as never),
};

describe('SSD detections', () => {
  test('softmax, decoding, scaling to the image and clipping', () => {
    const logits = Float32Array.of(0, Math.log(3), -Infinity, 0, -Infinity, -Infinity);
    const target = toBoxArray([
      [-5, 20, 45, 80],
      [0, 0, 1, 1],
    ]);
    const deltas = createBoxCoder().encode(target, pair.boxes);
    const found = ssdDetections(logits, deltas, pair, { width: 200, height: 50 });
    expect(found.length).toBe(1);
    expect(found[0].label).toBe(0);
    expect(found[0].score).toBeCloseTo(0.75, 6);
    [0, 10, 90, 40].forEach((value, i) => expect(found[0].box[i]).toBeCloseTo(value, 3));
    const unclipped = ssdDetections(logits, deltas, pair, { clip: false })[0].box;
    [-5, 20, 45, 80].forEach((value, i) => expect(unclipped[i]).toBeCloseTo(value, 3));
  });

  test('an anchor may be two classes; nothing above the threshold is an empty list; logits of +-80 are fine', () => {
    const both = ssdDetections(Float32Array.of(-80, 80, 80, 80, -80, -80), new Float32Array(8), pair);
    expect(both.map(({ label, score }) => [label, score])).toEqual([
      [0, 0.5],
      [1, 0.5],
    ]);
    expect(ssdDetections(Float32Array.of(80, -80, -80, 80, -80, -80), new Float32Array(8), pair)).toEqual([]);
    const strict = ssdDetections(Float32Array.of(-80, 80, 80, 80, 0, 0), new Float32Array(8), pair, {
      scoreThreshold: 0.5,
    });
    expect(strict).toEqual([]);
  });

  test('sizes that do not go together', () => {
    expect(() => ssdDetections(new Float32Array(5), new Float32Array(8), pair)).toThrow(
      '5 logits and 8 deltas do not go with 2 anchors',
    );
  });
});
