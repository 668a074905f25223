/** What happens to objects that are cut, covered or shrunk. */
import {
  copyPaste,
  createRandom,
  cropObjects,
  dropDegenerate,
  expand,
  flipHorizontal,
  flipVertical,
  largeScaleJitter,
  letterbox,
  mosaic,
  randomCrop,
  resize,
  resizeShortSide,
  settleObjects,
  type Box,
  type GroundTruth,
} from 'detlab';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { coverage } from '../../../lib/data/transforms/coverage';
import { painted, pixel, plain, sampleOf, scripted } from './pictures';

const rule = { minVisible: 0.1, minSide: 1 };

describe('the rule', () => {
  const settled = (box: Box, minVisible = 0.1, minSide = 1): GroundTruth[] =>
    settleObjects([{ box, label: 3, difficult: true, crowd: false }], 10, 8, { minVisible, minSide });

  test('cuts to the picture, marks as truncated, keeps the rest', () => {
    expect(settled([2, 1, 10, 8])).toEqual([{ box: [2, 1, 10, 8], label: 3, difficult: true, crowd: false }]);
    expect(settled([-2, 1, 6, 9])).toEqual([
      { box: [0, 1, 6, 8], label: 3, difficult: true, crowd: false, truncated: true },
    ]);
    const known = settleObjects([{ box: [1, 1, 3, 3], label: 0, truncated: true }], 10, 8, rule);
    expect(known).toEqual([{ box: [1, 1, 3, 3], label: 0, truncated: true }]);
  });

  test('drops what too little is left of: exactly the share stays, less goes', () => {
    expect(settled([-9, 0, 1, 4])).toHaveLength(1); // a tenth
    expect(settled([-9.01, 0, 1, 4])).toEqual([]);
    expect(settled([-9, 0, 1, 4], 0.11)).toEqual([]);
    expect(settled([-9, 0, 1, 4], 0)).toHaveLength(1);
  });

  test('drops what is too small, in either direction, and what has no area at all', () => {
    expect(settled([1, 1, 2, 4])).toHaveLength(1);
    expect(settled([1, 1, 1.99, 4])).toEqual([]);
    expect(settled([1, 1, 4, 1.99])).toEqual([]);
    expect(settled([1, 1, 1.5, 4], 0.1, 0)).toHaveLength(1);
    for (const box of [
      [1, 1, 1, 4],
      [4, 1, 1, 4],
      [20, 1, 30, 4],
      [-5, 1, 0, 4],
      [NaN, 1, 3, 4],
      [1, 1, 3, NaN],
    ] as unknown as Box[]) {
      expect(settled(box, 0, 0)).toEqual([]);
    }
  });

  test('rounding is not a cut', () => {
    expect(settled([0, 0, 10 + 1e-9, 8])[0].truncated).toBeUndefined();
    expect(settled([0, 0, 10 + 1e-3, 8])[0].truncated).toBe(true);
  });

  test('crops take it, with options of their own', () => {
    const objects: GroundTruth[] = [{ box: [0, 0, 10, 10], label: 0 }];
    expect(cropObjects(objects, [4.5, 4.5, 20, 20])).toEqual([
      { box: [0, 0, 5.5, 5.5], label: 0, truncated: true },
    ]);
    expect(cropObjects(objects, [4.5, 4.5, 20, 20], { minVisible: 0.31 })).toEqual([]);
    expect(cropObjects(objects, [4.5, 4.5, 20, 20], { minSide: 6 })).toEqual([]);
  });

  test('transforms that show the whole picture lose no object, however small', () => {
    const speck = sampleOf(plain(40, 30), [3, 4, 3.2, 4.1], [0, 0, 40, 30]);
    for (const transform of [
      flipHorizontal(1),
      flipVertical(1),
      resize(4, 3),
      resizeShortSide({ shortSide: 3 }),
      letterbox(5, 5),
      expand({ probability: 1 }),
    ]) {
      const { objects } = transform(speck, createRandom(1));
      expect(objects.map(({ label, truncated }) => [label, truncated])).toEqual([
        [0, undefined],
        [1, undefined],
      ]);
    }
    expect(dropDegenerate()(speck, createRandom(1)).objects).toEqual([{ box: [0, 0, 40, 30], label: 1 }]);
  });
});

describe('coverage', () => {
  test('by hand', () => {
    const { covered, free } = coverage(
      [0, 0, 10, 10],
      [
        [5, -5, 20, 20],
        [3, 2, 7, 4],
      ],
    );
    expect(covered).toMatchObject({ area: 54, bounds: [3, 0, 10, 10] });
    expect(free).toMatchObject({ area: 46, bounds: [0, 0, 5, 10] });
    expect(coverage([0, 0, 4, 4], [])).toMatchObject({
      covered: { area: 0 },
      free: { area: 16, bounds: [0, 0, 4, 4] },
    });
    expect(coverage([0, 0, 4, 4], [[0, 0, 4, 4]])).toMatchObject({
      covered: { area: 16 },
      free: { area: 0 },
    });
    expect(coverage([0, 0, 4, 4], [[4, 0, 8, 4]])).toMatchObject({
      covered: { area: 0 },
      free: { area: 16 },
    });
  });

  test('counts what painting cells counts', () => {
    const side = fc.integer({ min: 0, max: 8 });
    const rectangle = fc
      .tuple(side, side, side, side)
      .map(([a, b, c, d]): Box => [Math.min(a, c), Math.min(b, d), Math.max(a, c) + 1, Math.max(b, d) + 1]);
    fc.assert(
      fc.property(rectangle, fc.array(rectangle, { maxLength: 6 }), (box, rectangles) => {
        const cells = { covered: [] as number[][], free: [] as number[][] };
        for (let y = box[1]; y < box[3]; y++) {
          for (let x = box[0]; x < box[2]; x++) {
            const on = rectangles.some(([x1, y1, x2, y2]) => x >= x1 && x < x2 && y >= y1 && y < y2);
            cells[on ? 'covered' : 'free'].push([x, y]);
          }
        }
        const parts = coverage(box, rectangles);
        for (const part of ['covered', 'free'] as const) {
          expect(parts[part].area).toBe(cells[part].length);
          if (cells[part].length === 0) continue;
          const [xs, ys] = [cells[part].map(([x]) => x), cells[part].map(([, y]) => y)];
          expect(parts[part].bounds).toEqual([
            Math.min(...xs),
            Math.min(...ys),
            Math.max(...xs) + 1,
            Math.max(...ys) + 1,
          ]);
        }
      }),
    );
  });
});

describe('copyPaste', () => {
  const target = sampleOf(plain(20, 16, [10, 10, 10]), [2, 2, 10, 10], [0, 12, 4, 16], [12, 2, 18, 8]);
  const other = {
    image: painted(plain(20, 16, [200, 0, 0]), [6, 1, 14, 11], [0, 200, 0]),
    objects: [{ box: [6, 1, 14, 11] as const, label: 7, difficult: true }],
  };

  test('pastes pixels and cuts what it covers, by hand', () => {
    const { image, objects } = copyPaste()(target, scripted(0, 0, 0), [other]);
    expect(pixel(image, 6, 1)).toEqual([0, 200, 0]);
    expect(pixel(image, 13, 10)).toEqual([0, 200, 0]);
    expect(pixel(image, 5, 1)).toEqual([10, 10, 10]);
    expect(pixel(image, 14, 10)).toEqual([10, 10, 10]);
    expect(objects).toEqual([
      { box: [2, 2, 6, 10], label: 0, truncated: true }, // its right half is covered
      { box: [0, 12, 4, 16], label: 1 },
      { box: [14, 2, 18, 8], label: 2, truncated: true },
      { box: [6, 1, 14, 11], label: 7, difficult: true },
    ]);
    expect(pixel(target.image, 6, 1)).toEqual([10, 10, 10]);
  });

  test('an object that is covered in its middle keeps its box; one that is covered by more than told goes', () => {
    const large = sampleOf(plain(20, 16), [0, 0, 20, 16], [6, 1, 14, 12]);
    const { objects } = copyPaste()(large, scripted(0, 0, 0), [other]);
    expect(objects.map(({ box, label, truncated }) => ({ box, label, truncated }))).toEqual([
      { box: [0, 0, 20, 16], label: 0, truncated: undefined },
      { box: [6, 1, 14, 11], label: 7, truncated: undefined },
    ]);
    const strict = copyPaste({ minVisible: 0.09 })(large, scripted(0, 0, 0), [other]).objects;
    expect(strict.map(({ label }) => label)).toEqual([0, 1, 7]); // a line of 8 pixels out of 88 is left
  });

  test('what else a region shows comes along; crowds are not chosen', () => {
    const crowded = {
      image: other.image,
      objects: [
        { box: [6, 1, 14, 11] as const, label: 7, crowd: true },
        { box: [8, 2, 12, 6] as const, label: 8 },
        { box: [10, 4, 20, 6] as const, label: 9 }, // 4 of its 20 pixels
        { box: [0, 12, 5, 15] as const, label: 10 },
      ],
    };
    // One of three candidates: the script's shuffle leaves the first.
    const { objects } = copyPaste({ maxObjects: 1 })(sampleOf(plain(20, 16)), scripted(0, 0, 0), [crowded]);
    expect(objects).toEqual([
      { box: [8, 2, 12, 6], label: 7, crowd: true, truncated: true },
      { box: [8, 2, 12, 6], label: 8 },
      { box: [10, 4, 12, 6], label: 9, truncated: true },
    ]);
  });

  test('pictures of different sizes, and nothing to paste', () => {
    const small = sampleOf(plain(10, 8));
    const { image, objects } = copyPaste()(small, scripted(0, 0, 0), [other]);
    expect([image.width, image.height]).toEqual([10, 8]);
    expect(objects).toEqual([{ box: [6, 1, 10, 8], label: 7, difficult: true, truncated: true }]);
    expect(pixel(image, 9, 7)).toEqual([0, 200, 0]);
    expect(copyPaste()(small, createRandom(0), [sampleOf(plain(20, 16))])).toBe(small);
    expect(copyPaste()(sampleOf(plain(3, 3)), createRandom(0), [other]).objects).toEqual([]);
    expect(copyPaste({ probability: 0 })(small, createRandom(0), [other])).toBe(small);
  });

  test('jitters the other picture first, with partners of its own', () => {
    const pasted = copyPaste({ before: flipHorizontal(1) })(target, scripted(0, 0, 0, 0), [other]);
    expect(pasted.objects.at(-1)?.box).toEqual([6, 1, 14, 11]);
    expect(copyPaste({ before: copyPaste() }).partners).toBe(2);
    expect(copyPaste({ before: largeScaleJitter({ width: 8, height: 8 }) }).changesSize).toBe(true);
  });
});

describe('mosaic, randomCrop and largeScaleJitter by hand', () => {
  const coloured = (width: number, height: number, red: number) =>
    sampleOf(plain(width, height, [red, 0, 0]), [0, 0, width, height]);

  test('mosaic: four corners meet, what leaves is cut', () => {
    const four = [coloured(8, 8, 10), coloured(16, 8, 20), coloured(4, 8, 30), coloured(8, 8, 40)];
    // The centre at (12, 4) of 16 x 16; the script's shuffle keeps the order.
    const { image, objects } = mosaic({ size: 8 })(four[0], scripted(1, 0, 0), four.slice(1));
    expect([image.width, image.height]).toEqual([16, 16]);
    expect(objects.map(({ box, truncated }) => [...box, truncated])).toEqual([
      [4, 0, 12, 4, true], // its upper half is gone
      [12, 0, 16, 4, true], // 8 x 4, wide
      [8, 4, 12, 12, undefined], // 4 x 8, high
      [12, 4, 16, 12, true],
    ]);
    for (const [x, y, red] of [
      [4, 0, 10],
      [11, 3, 10],
      [12, 0, 20],
      [15, 3, 20],
      [8, 4, 30],
      [11, 11, 30],
      [12, 4, 40],
      [15, 11, 40],
      [3, 0, 114],
      [7, 4, 114],
      [8, 12, 114],
    ]) {
      expect(pixel(image, x, y)[0]).toBe(red);
    }
  });

  test('randomCrop crops one axis and pads the other', () => {
    const sample = sampleOf(painted(plain(20, 6), [10, 2, 14, 5], [255, 0, 0]), [10, 2, 14, 5]);
    const { image, objects } = randomCrop({ width: 8, height: 10, fill: [1, 2, 3] })(
      sample,
      scripted(0.5, 0.999),
    );
    expect([image.width, image.height]).toEqual([8, 10]);
    expect(objects).toEqual([{ box: [4, 6, 8, 9], label: 0 }]); // the window starts at 6, the padding is 4
    expect(pixel(image, 4, 6)).toEqual([255, 0, 0]);
    expect(pixel(image, 7, 8)).toEqual([255, 0, 0]);
    expect(pixel(image, 0, 3)).toEqual([1, 2, 3]);
    expect(pixel(image, 0, 4)).toEqual([0, 0, 0]);
    const corner = randomCrop({ width: 8, height: 10, padding: 'corner' })(sample, scripted(0.5, 0.999));
    expect(corner.objects[0].box).toEqual([4, 2, 8, 5]);
  });

  test('largeScaleJitter: at 2 it crops, at 0.5 it pads', () => {
    const sample = sampleOf(plain(10, 10, [9, 9, 9]), [2, 2, 6, 8]);
    const frame = { width: 10, height: 20, fill: [1, 2, 3] } as const;
    const twice = largeScaleJitter({ ...frame, scale: [2, 2] })(sample, scripted(0, 0.5, 0.5));
    expect(twice.objects).toEqual([{ box: [0, 4, 7, 16], label: 0, truncated: true }]); // 20 x 20, from x = 5
    expect(pixel(twice.image, 0, 19)).toEqual([9, 9, 9]);
    const half = largeScaleJitter({ ...frame, scale: [0.5, 0.5] })(sample, scripted(0, 0.5, 0.5));
    expect(half.objects).toEqual([{ box: [1, 1, 3, 4], label: 0 }]);
    expect(pixel(half.image, 4, 4)).toEqual([9, 9, 9]);
    expect(pixel(half.image, 5, 4)).toEqual([1, 2, 3]);
    const tenth = largeScaleJitter({ ...frame, scale: [0.1, 0.1] })(sample, scripted(0, 0, 0));
    expect(tenth.objects).toEqual([]); // 0.4 pixels wide
  });
});
