import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { type AnchorSet, gridAnchors, ssdAnchors, type SsdAnchorConfig } from '../../lib/boxes/anchors';
import { toBoxes } from '../../lib/boxes/geometry';
import { caffePriors, pytorchPriors } from '../../lib/boxes/ssd-priors';
import { ssd300Coco, ssd300Voc, ssd512Coco, ssd512Voc, ssdSizes } from '../../lib/boxes/ssd-presets';
import type { Box } from '../../lib/boxes/types';

interface Summary {
  readonly counts: number[];
  readonly sums: number[][];
  readonly every397th: Box[];
}
const fixtures = JSON.parse(
  readFileSync(path.join(__dirname, 'fixtures', 'ssd-priors.json'), 'utf8'),
) as Record<
  string,
  Record<'none' | 'noneByPytorch' | 'corners' | 'size', Summary> & {
    fractions: Record<'caffe' | 'caffeClipped' | 'pytorch' | 'pytorchClipped', Box[]>;
  }
>;
const presets: Record<string, SsdAnchorConfig> = { ssd300Voc, ssd300Coco, ssd512Voc, ssd512Coco };

function expectAnchors(anchors: AnchorSet, expected: Summary): void {
  expect(anchors.levels.map(({ count }) => count)).toEqual(expected.counts);
  const boxes = toBoxes(anchors.boxes);
  // To half a unit in the last place of a float32 of up to 1024: the values are exact, then rounded once.
  expected.every397th.forEach((box, i) =>
    box.forEach((value, k) => expect(Math.abs(boxes[397 * i][k] - value)).toBeLessThanOrEqual(3.1e-5)),
  );
  anchors.levels.forEach(({ start, count }, level) => {
    for (let k = 0; k < 4; k++) {
      const sum = boxes.slice(start, start + count).reduce((total, box) => total + box[k], 0);
      expect(Math.abs(sum - expected.sums[level][k])).toBeLessThanOrEqual(3.1e-5 * count);
    }
  });
}

describe('SSD anchors', () => {
  test('SSD300 has 8732, SSD512 24564', () => {
    expect(ssdAnchors(ssd300Voc).boxes.length).toBe(4 * 8732);
    expect(ssdAnchors(ssd300Coco).boxes.length).toBe(4 * 8732);
    expect(ssdAnchors(ssd512Voc).boxes.length).toBe(4 * 24564);
  });

  test.each(Object.keys(presets))('%s equals the reference under every clipping', (name) => {
    expectAnchors(ssdAnchors(presets[name]), fixtures[name].none);
    expectAnchors(ssdAnchors({ ...presets[name], clip: 'corners' }), fixtures[name].corners);
    const exact = { ...presets[name], wholeSizes: false };
    expectAnchors(ssdAnchors(exact), fixtures[name].noneByPytorch);
    expectAnchors(ssdAnchors({ ...exact, clip: 'center-size' }), fixtures[name].size);
    expect(fixtures[name].corners.every397th).not.toEqual(fixtures[name].size.every397th);
  });

  test.each(Object.keys(presets))("%s as the references' fractions, to the last bit", (name) => {
    const { caffe, caffeClipped, pytorch, pytorchClipped } = fixtures[name].fractions;
    const everyOther = (priors: Float32Array): Box[] => toBoxes(priors).filter((_, i) => i % 397 === 0);
    const config = presets[name];
    expect(everyOther(caffePriors(config))).toEqual(caffe);
    expect(everyOther(caffePriors({ ...config, clip: 'corners' }))).toEqual(caffeClipped);
    expect(everyOther(pytorchPriors(config))).toEqual(pytorch);
    expect(everyOther(pytorchPriors({ ...config, clip: 'center-size' }))).toEqual(pytorchClipped);
    expect(caffePriors({ ...config, levels: [] }).length).toBe(0);
    expect(() => pytorchPriors({ ...config, imageHeight: 200 })).toThrow('the image must be square');
  });

  test('whole pixels, as Caffe has them, or exact sizes', () => {
    const sides = (config: SsdAnchorConfig): number[] =>
      ssdAnchors(config).levels.map(({ shapes }) => shapes[0][0]);
    expect(sides(ssd512Voc)).toEqual([35, 76, 153, 230, 307, 384, 460]);
    expect(sides({ ...ssd512Voc, wholeSizes: false })).toEqual([
      35.84, 76.8, 153.6, 230.4, 307.2, 384, 460.8,
    ]);
  });

  test('sizes follow from the percentages', () => {
    const voc = ssdSizes({ imageSize: 300, levels: 6, minPercent: 20, maxPercent: 90, firstPercent: 10 });
    expect(voc.map(({ min }) => min)).toEqual([30, 60, 111, 162, 213, 264]);
    expect(voc.map(({ max }) => max)).toEqual([60, 111, 162, 213, 264, 315]);
    const coco = ssdSizes({ imageSize: 300, levels: 6, minPercent: 15, maxPercent: 90, firstPercent: 7 });
    expect(coco.map(({ min }) => min)).toEqual([21, 45, 99, 153, 207, 261]);
    expect(coco.map(({ max }) => max)).toEqual([45, 99, 153, 207, 261, 315]);
    const voc512 = ssd512Voc.levels.map(({ minSize }) => minSize);
    expect(voc512).toEqual([35.84, 76.8, 153.6, 230.4, 307.2, 384, 460.8]);
    expect(() =>
      ssdSizes({ imageSize: 300, levels: 2, minPercent: 20, maxPercent: 90, firstPercent: 10 }),
    ).toThrow('at least 3 levels, got 2');
  });

  test('the first cell by hand', () => {
    const boxes = toBoxes(ssdAnchors(ssd300Voc).boxes);
    expect(boxes[0]).toEqual([-11, -11, 19, 19]);
    const side = Math.sqrt(30 * 60);
    expect(boxes[1][2]).toBeCloseTo(4 + side / 2, 5);
    expect(boxes[2][2]).toBeCloseTo(4 + 15 * Math.SQRT2, 5); // wide
    expect(boxes[2][3]).toBeCloseTo(4 + 15 / Math.SQRT2, 5);
    expect(boxes[3][2]).toBeCloseTo(4 + 15 / Math.SQRT2, 5); // upright
    expect(boxes[4]).toEqual([-3, -11, 27, 19]); // the next cell to the right
    expect(boxes[38 * 4]).toEqual([-11, -3, 19, 27]); // the next row
  });

  test('the large square may come last', () => {
    const squares = ssdAnchors({ ...ssd300Voc, order: 'squares-first' }).levels[1].shapes;
    const last = ssdAnchors({ ...ssd300Voc, order: 'large-square-last' }).levels[1].shapes;
    expect(last).toEqual([squares[0], ...squares.slice(2), squares[1]]);
  });

  test('levels without ratios, without a large square, without flips; no levels', () => {
    const level = { rows: 2, cols: 3, minSize: 4, ratios: [4] };
    const { boxes, levels } = ssdAnchors({ imageWidth: 30, imageHeight: 20, levels: [level], flip: false });
    expect(levels[0]).toMatchObject({
      stepX: 10,
      stepY: 10,
      shapes: [
        [4, 4],
        [8, 2],
      ],
      count: 12,
    });
    expect(toBoxes(boxes)[11]).toEqual([21, 14, 29, 16]);
    expect(
      ssdAnchors({ imageWidth: 30, imageHeight: 20, levels: [{ ...level, ratios: [1] }] }).boxes.length,
    ).toBe(24);
    expect(ssdAnchors({ imageWidth: 30, imageHeight: 20, levels: [] }).boxes.length).toBe(0);
  });

  test('errors name level and value', () => {
    const level = { rows: 2, cols: 3, minSize: 4, ratios: [2] };
    const build = (change: object) => () =>
      ssdAnchors({ imageWidth: 30, imageHeight: 20, levels: [level, { ...level, ...change }] });
    expect(build({ minSize: 0 })).toThrow("level 1's minSize must be a positive number, got 0");
    expect(build({ ratios: [-2] })).toThrow("level 1's ratio must be a positive number, got -2");
    expect(build({ rows: 2.5 })).toThrow("level 1's rows must be a positive whole number, got 2.5");
    expect(() => ssdAnchors({ imageWidth: NaN, imageHeight: 20, levels: [] })).toThrow('imageWidth');
  });
});

describe('grid anchors', () => {
  test('sizes are spaced evenly from the finest scale to the coarsest, of the shorter side', () => {
    const { levels, boxes } = gridAnchors({
      imageWidth: 200,
      imageHeight: 100,
      maps: [
        [4, 8],
        [2, 4],
        [1, 2],
      ],
      scales: [0.2, 0.8],
    });
    const sides = levels.map(({ shapes }) => shapes[0][0]);
    sides.forEach((side, k) => expect(side).toBeCloseTo([20, 50, 80][k], 10));
    const large = levels.map(({ shapes }) => shapes[1][0]);
    large.forEach((side, k) => expect(side).toBeCloseTo(Math.sqrt([20 * 50, 50 * 80, 80 * 110][k]), 10));
    expect(levels.map(({ shapes }) => shapes.length)).toEqual([4, 4, 4]);
    expect(levels.map(({ stepX, stepY }) => [stepX, stepY])).toEqual([
      [25, 25],
      [50, 50],
      [100, 100],
    ]);
    expect(levels.map(({ start }) => start)).toEqual([0, 128, 160]);
    expect(boxes.length).toBe(4 * 168);
  });

  test('explicit sizes and ratios a level', () => {
    const { levels } = gridAnchors({
      imageWidth: 64,
      imageHeight: 64,
      maps: [
        [2, 2],
        [1, 1],
      ],
      sizes: [8, 18, 32],
      ratios: [[], [2, 3]],
    });
    expect(levels[0].shapes).toEqual([
      [8, 8],
      [12, 12],
    ]);
    expect(levels[1].shapes.length).toBe(6);
    expect(levels[1].shapes[1][0]).toBeCloseTo(24, 10);
  });

  test('one map uses the two scales; wrong counts are errors', () => {
    const { levels } = gridAnchors({
      imageWidth: 100,
      imageHeight: 100,
      maps: [[3, 3]],
      scales: [0.25, 1],
      ratios: [],
    });
    expect(levels[0].shapes).toEqual([
      [25, 25],
      [50, 50],
    ]);
    const wrong = { imageWidth: 100, imageHeight: 100, maps: [[3, 3]] as const };
    expect(() => gridAnchors({ ...wrong, sizes: [10] })).toThrow('1 maps need 2 sizes');
    expect(() => gridAnchors({ ...wrong, ratios: [[2], [3]] })).toThrow(
      'lists for 2 levels, but there are 1 maps',
    );
  });
});
