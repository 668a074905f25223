import { describe, expect, test } from 'vitest';
import { type AnchorSet, boxAnchors, ssdAnchors } from '../../lib/boxes/anchors';
import { toBoxes } from '../../lib/boxes/geometry';
import {
  efficientDetAnchors,
  pyramidMaps,
  retinaNetAnchors,
  rpnAnchors,
} from '../../lib/boxes/pyramid-anchors';
import { ssd300Coco } from '../../lib/boxes/ssd-presets';
import { fixture, type Sampled } from './detection-fixture';

/** @param digits an ulp or two for what torchvision rounds in float32 on the way; the rest is exact. */
function expectSampled(
  { boxes }: AnchorSet,
  { count, sum, step, boxes: expected }: Sampled,
  error: number = 0,
): void {
  const all = toBoxes(boxes);
  expect(all.length).toBe(count);
  expected.forEach((box, i) =>
    box.forEach((value, k) => expect(Math.abs(all[i * step][k] - value)).toBeLessThanOrEqual(error)),
  );
  for (let k = 0; k < 4; k++) {
    const total = all.reduce((s, box) => s + box[k], 0);
    expect(Math.abs(total - sum[k])).toBeLessThanOrEqual((error + 1e-9) * count);
  }
}

describe('box anchors', () => {
  test('by hand: order, steps, offset and clip', () => {
    const levels = [
      {
        rows: 1,
        cols: 2,
        shapes: [
          [2, 4],
          [6, 2],
        ] as [number, number][],
      },
      { rows: 1, cols: 1, step: [3, 5] as const, shapes: [[2, 2]] as [number, number][] },
    ];
    const { boxes, levels: described } = boxAnchors({ imageWidth: 8, imageHeight: 4, levels });
    expect(toBoxes(boxes)).toEqual([
      [1, 0, 3, 4],
      [-1, 1, 5, 3],
      [5, 0, 7, 4],
      [3, 1, 9, 3],
      [0.5, 1.5, 2.5, 3.5],
    ]);
    expect(described.map(({ start, count, stepX }) => [start, count, stepX])).toEqual([
      [0, 4, 4],
      [4, 1, 3],
    ]);
    const corner = boxAnchors({
      imageWidth: 8,
      imageHeight: 4,
      levels: [levels[0]],
      offset: 0,
      clip: 'corners',
    });
    expect(toBoxes(corner.boxes)[1]).toEqual([0, 0, 3, 1]);
    const cut = boxAnchors({ imageWidth: 8, imageHeight: 3, levels: [levels[0]], clip: 'size' });
    expect(toBoxes(cut.boxes)[0]).toEqual([1, 0, 3, 3]);
    expect(boxAnchors({ imageWidth: 8, imageHeight: 4, levels: [] }).boxes.length).toBe(0);
    expect(() =>
      boxAnchors({ imageWidth: 8, imageHeight: 4, levels: [{ ...levels[0], shapes: [[1, -2]] }] }),
    ).toThrow("level 0's anchor height must be a positive number, got -2");
  });

  test('SSD300 clipped as torchvision does it: widths and heights, not centres', () => {
    expectSampled(ssdAnchors({ ...ssd300Coco, clip: 'size' }), fixture.anchors.ssd, 6.2e-5);
  });
});

describe('anchors of a pyramid', () => {
  const image = { imageWidth: 320, imageHeight: 224 };

  test("RetinaNet's and the region proposals' equal torchvision's, to the last bit", () => {
    expectSampled(retinaNetAnchors(image), fixture.anchors.retinaNet);
    expectSampled(rpnAnchors(image), fixture.anchors.rpn);
  });

  test('of a padded COCO image: 3 levels below, 9 a cell, levels from 3 on; proposals 3 a cell', () => {
    const retina = retinaNetAnchors({ imageWidth: 1344, imageHeight: 800 });
    expect(retina.levels.map(({ rows, cols }) => [rows, cols])).toEqual([
      [100, 168],
      [50, 84],
      [25, 42],
      [13, 21],
      [7, 11],
    ]);
    expect(retina.boxes.length / 4).toBe(9 * (16800 + 4200 + 1050 + 273 + 77));
    expect(rpnAnchors({ imageWidth: 64, imageHeight: 64 }).levels.map(({ count }) => count)).toEqual([
      768, 192, 48, 12, 3,
    ]);
  });

  test("Detectron2's are not rounded, and list the ratios first", () => {
    const { boxes, levels } = retinaNetAnchors({ ...image, follow: 'detectron2' });
    const [first, second, , fourth] = levels[0].shapes;
    expect(first[0]).toBeCloseTo(32 * Math.SQRT2, 12);
    expect(first[1]).toBeCloseTo(32 / Math.SQRT2, 12);
    expect(second).toEqual([32, 32]);
    expect(fourth[0]).toBeCloseTo(32 * 2 ** (1 / 3) * Math.SQRT2, 12);
    expect([...boxes.subarray(4 * 9 + 4, 4 * 9 + 8)]).toEqual([-8, -16, 24, 16]);
  });

  test('maps and sizes of your own', () => {
    const { boxes } = rpnAnchors({
      imageWidth: 30,
      imageHeight: 20,
      maps: [[2, 3]],
      sizes: [[4, 9]],
      ratios: [1],
    });
    // Steps of 10; a side of 9 gives corners of 4.5, rounded to the even 4.
    expect(toBoxes(boxes).slice(2, 4)).toEqual([
      [8, -2, 12, 2],
      [6, -4, 14, 4],
    ]);
    expect(() => rpnAnchors({ ...image, maps: [[2, 3]] })).toThrow(
      '1 maps need sizes for as many levels, got 5',
    );
  });

  test("EfficientDet's equal the release's, also where the image is no multiple of the steps", () => {
    const { efficientDet, efficientDetOdd, efficientDetD7x } = fixture.anchors;
    expectSampled(efficientDetAnchors({ imageWidth: 384, imageHeight: 256 }), efficientDet);
    expectSampled(efficientDetAnchors({ imageWidth: 300, imageHeight: 200 }), efficientDetOdd, 1e-5);
    const square = { imageWidth: 512, imageHeight: 512 };
    expectSampled(
      efficientDetAnchors({ ...square, maxLevel: 8, anchorScale: 5, aspects: [1, 2, 0.5] }),
      efficientDetD7x,
    );
    expect(efficientDetAnchors(square).boxes.length / 4).toBe(49104);
  });

  test('maps halve and round up', () => {
    expect(pyramidMaps(300, 200, 3, 5)).toEqual([
      [25, 38],
      [13, 19],
      [7, 10],
      [4, 5],
      [2, 3],
    ]);
  });
});
