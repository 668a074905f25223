/** What holds for every transform. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  compose,
  copyPaste,
  createRandom,
  dropDegenerate,
  expand,
  flipHorizontal,
  flipVertical,
  iouCrop,
  largeScaleJitter,
  letterbox,
  mosaic,
  normalizations,
  photometricDistortion,
  randomCrop,
  resize,
  resizeShortSide,
  transformFromRecipe,
  withProbability,
  withRecipe,
  type Box,
  type Sample,
  type Transform,
  type TransformRecipe,
} from 'detlab';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { boundsOf, painted, plain, ramp, sampleOf } from './pictures';

const geometric: Readonly<Record<string, Transform>> = {
  flipHorizontal: flipHorizontal(),
  flipVertical: flipVertical(),
  resize: resize(31, 19, 'bilinear'),
  resizeShortSide: resizeShortSide({ shortSide: [9, 30], maxSize: 50 }),
  letterbox: letterbox(25, 33, { fill: [3, 4, 5] }),
  'letterbox in the corner': letterbox(25, 33, { position: 'corner', method: 'antialias' }),
  expand: expand({ fill: [3, 4, 5] }),
  iouCrop: iouCrop(),
  iouCropTorchvision: iouCrop({ sampling: 'torchvision', trials: 40 }),
  randomCrop: randomCrop({ width: 20, height: 26, fill: [3, 4, 5] }),
  largeScaleJitter: largeScaleJitter({ width: 24, height: 30, fill: [3, 4, 5] }),
  largeScaleJitterRandom: largeScaleJitter({ width: 24, height: 30, padding: 'random', method: 'antialias' }),
  mosaic: mosaic({ size: 16 }),
};
const all: Readonly<Record<string, Transform>> = {
  ...geometric,
  copyPaste: copyPaste({ maxObjects: 2 }),
  copyPasteJittered: copyPaste({ before: largeScaleJitter({ width: 24, height: 30 }) }),
  dropDegenerate: dropDegenerate({ minSide: 3 }),
  photometricDistortion: photometricDistortion({ channelOrder: 0.5 }),
  withProbability: withProbability(0.5, mosaic({ size: 9 })),
  compose: compose(
    photometricDistortion(),
    copyPaste(),
    withProbability(0.5, mosaic({ size: 20 })),
    expand(),
    iouCrop(),
    flipHorizontal(),
    largeScaleJitter({ width: 32, height: 32 }),
  ),
};
const cases = Object.entries(all);

/** A random picture with random boxes. */
function anySample(seed: string | number): Sample {
  const random = createRandom(seed);
  const [width, height] = [1 + random.integer(40), 1 + random.integer(40)];
  const image = plain(width, height);
  for (let i = 0; i < image.data.length; i++) image.data[i] = random.integer(256);
  const boxes = Array.from({ length: random.integer(5) }, (): Box => {
    const [x, y] = [random.next() * width, random.next() * height];
    return [x, y, x + random.next() * (width - x), y + random.next() * (height - y)];
  });
  return sampleOf(image, ...boxes);
}

/** Compares two samples: bytes at once, which `toEqual` would take one by one. */
function expectSame(a: Sample, b: Sample): void {
  expect([a.image.width, a.image.height, a.objects]).toEqual([b.image.width, b.image.height, b.objects]);
  expect(Buffer.compare(a.image.data, b.image.data)).toBe(0);
}

const partnersOf = (seed: number): Sample[] =>
  Array.from({ length: 6 }, (_, i) => anySample(`${seed}/partner ${i}`));

describe.each(cases)('%s', (_, transform) => {
  test('boxes stay inside, sizes and pixels agree, inputs stay as they are, the same seed gives the same', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const [sample, partners] = [anySample(seed), partnersOf(seed)];
        const before = structuredClone([sample, ...partners]);
        const result = transform(sample, createRandom(seed), partners);
        const { width, height, data } = result.image;
        expect(data).toBeInstanceOf(Uint8Array);
        expect([width > 0, height > 0, data.length]).toEqual([true, true, width * height * 3]);
        for (const { box } of result.objects) {
          expect(box[0]).toBeGreaterThanOrEqual(-1e-6);
          expect(box[1]).toBeGreaterThanOrEqual(-1e-6);
          expect(box[2]).toBeLessThanOrEqual(width + 1e-6);
          expect(box[3]).toBeLessThanOrEqual(height + 1e-6);
          expect(box[2] >= box[0] && box[3] >= box[1]).toBe(true);
        }
        [sample, ...partners].forEach((now, i) => expectSame(now, before[i]));
        expectSame(transform(sample, createRandom(seed), partners), result);
      }),
      { numRuns: 40 },
    );
  });

  test('its recipe goes through structuredClone and makes the same', () => {
    const recipe = structuredClone(transform.recipe) as TransformRecipe;
    const again = transformFromRecipe(recipe);
    expect(again.recipe).toEqual(transform.recipe);
    expect([again.partners, again.changesSize]).toEqual([transform.partners, transform.changesSize]);
    for (let seed = 0; seed < 20; seed++) {
      const partners = partnersOf(seed);
      expectSame(
        again(anySample(seed), createRandom(seed), partners),
        transform(anySample(seed), createRandom(seed), partners),
      );
    }
  });

  test('a picture of one pixel, and pictures without objects', () => {
    const one = sampleOf(plain(1, 1, [1, 2, 3]), [0, 0, 1, 1]);
    const empty = sampleOf(plain(13, 7));
    for (let seed = 0; seed < 10; seed++) {
      const small = transform(one, createRandom(seed), Array<Sample>(6).fill(one));
      expect(small.image.data.length).toBe(small.image.width * small.image.height * 3);
      const none = transform(empty, createRandom(seed), Array<Sample>(6).fill(empty));
      expect(none.objects).toEqual([]);
    }
  });
});

describe.each(Object.entries(geometric))('%s', (name, transform) => {
  test('a box follows its pixels', () => {
    // Whole sides are rounded down there, and boxes are not: a pixel more at the far border.
    const slack = name === 'letterbox in the corner' ? 2.01 : 1.01;
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const random = createRandom(`box ${seed}`);
        const [width, height] = [20 + random.integer(30), 20 + random.integer(30)];
        const [x, y] = [random.integer(width - 8), random.integer(height - 8)];
        const box: Box = [
          x,
          y,
          x + 6 + random.integer(width - x - 6),
          y + 6 + random.integer(height - y - 6),
        ];
        const sample = sampleOf(painted(plain(width, height), box, [255, 0, 0]), box);
        const others = Array.from({ length: 3 }, () => sampleOf(plain(width, height)));
        const { image, objects } = transform(sample, createRandom(seed), others);
        // Half red counts as red: the border of an interpolated rectangle is half a pixel off at most, and a bit for rounding.
        const found = boundsOf(image, (r, g, b) => r >= 128 && g < 64 && b < 64);
        if (objects.length === 0) return;
        const [w, h] = [objects[0].box[2] - objects[0].box[0], objects[0].box[3] - objects[0].box[1]];
        if (w < 3 || h < 3) return;
        expect(found).toBeDefined();
        objects[0].box.forEach((side, i) => expect(Math.abs(side - (found as Box)[i])).toBeLessThan(slack));
      }),
      { numRuns: 40 },
    );
  });
});

test('without interpolation, a box is exactly its pixels', () => {
  const exact = compose(
    flipHorizontal(),
    flipVertical(),
    expand(),
    iouCrop(),
    randomCrop({ width: 30, height: 30, fill: [0, 0, 0] }),
  );
  let cut = 0;
  for (let seed = 0; seed < 150; seed++) {
    const sample = sampleOf(painted(ramp(40, 36), [11, 7, 29, 23], [0, 0, 255]), [11, 7, 29, 23]);
    const { image, objects } = exact(sample, createRandom(seed));
    const found = boundsOf(image, (r, g, b) => r === 0 && g === 0 && b === 255);
    if (objects.length === 0) continue;
    expect(found).toEqual(objects[0].box);
    cut += Number(objects[0].truncated === true);
  }
  expect(cut).toBeGreaterThan(20);
});

describe('partners', () => {
  const label = (n: number): Sample => ({
    image: plain(8, 8, [n, 0, 0]),
    objects: [{ box: [0, 0, 8, 8], label: n }],
  });

  test('compose and withProbability sum them up and hand them out', () => {
    const both = compose(copyPaste(), flipHorizontal(), withProbability(1, mosaic({ size: 8 })));
    expect(both.partners).toBe(4);
    expect(compose(flipHorizontal()).partners).toBe(0);
    const { objects } = both(label(0), createRandom(1), [1, 2, 3, 4].map(label));
    // Copy-paste takes the first, which covers the picture; the mosaic takes the others.
    expect(objects.map((object) => object.label).sort()).toEqual([1, 2, 3, 4]);
  });

  test('too few are an error that says what to do', () => {
    expect(() => mosaic({ size: 8 })(label(0), createRandom(1), [label(1)])).toThrow(
      'mosaic takes 3 other samples of the data set and got 1; a loader draws them',
    );
    expect(() => copyPaste()(label(0), createRandom(1))).toThrow('copyPaste takes 1 other sample of');
    expect(() => compose(copyPaste(), copyPaste())(label(0), createRandom(1), [label(1)])).toThrow(
      'compose takes 2 other samples',
    );
  });
});

describe('recipes of transforms that are not of this library', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'recipes-'));
  afterAll(() => fs.rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'mine.cjs');
  fs.writeFileSync(
    file,
    `exports.shift = ({ by }) => ({ image, objects }) => ({ image: { ...image, data: image.data.map((v) => v + by) }, objects });
     exports.wrong = () => 3; exports.value = 4;`,
  );
  const shift: Transform = ({ image, objects }) => ({
    image: { ...image, data: image.data.map((v) => v + 2) },
    objects,
  });

  test('have none, or the one that they are given', () => {
    expect(compose(flipHorizontal(), shift).recipe).toBeUndefined();
    expect(withProbability(0.5, shift).recipe).toBeUndefined();
    expect(copyPaste({ before: shift }).recipe).toBeUndefined();
    for (const module of [file, pathToFileURL(file).href]) {
      const mine = withRecipe(shift, { module, export: 'shift', options: { by: 2 } });
      const both = compose(mine, flipHorizontal(1));
      const again = transformFromRecipe(structuredClone(both.recipe) as TransformRecipe);
      expect(again(sampleOf(ramp(4, 3)), createRandom(0))).toEqual(
        both(sampleOf(ramp(4, 3)), createRandom(0)),
      );
    }
    expect(shift.recipe).toBeUndefined();
  });

  test('wrong ones say what is wrong', () => {
    const make = (recipe: unknown) => () => transformFromRecipe(recipe as TransformRecipe);
    expect(make({ name: 'flip', options: {} })).toThrow(
      'there is no transform "flip"; known are compose, copyPaste',
    );
    expect(make({ name: 'toString', options: {} })).toThrow('there is no transform "toString"');
    expect(make({ module: './mine.cjs', export: 'shift' })).toThrow('give an absolute one');
    expect(make({ module: path.join(folder, 'none.cjs'), export: 'x' })).toThrow(
      "the module can't be loaded",
    );
    expect(make({ module: file, export: 'shaft' })).toThrow(
      'is not a function; the module exports shift, wrong, value',
    );
    expect(make({ module: file, export: 'wrong' })).toThrow('must return a transform');
    expect(() => withRecipe(shift, { module: file, export: 'shift', options: () => 1 })).toThrow(
      'the recipe of shift must be plain data',
    );
  });
});

test('wrong options are told when a transform is made', () => {
  const wrong: [() => unknown, string][] = [
    [() => flipHorizontal(1.1), 'flipHorizontal: probability is 1.1; it must be a number from 0 to 1'],
    [() => flipVertical(NaN), 'flipVertical: probability is NaN'],
    [() => withProbability(-0.1, flipVertical()), 'withProbability: probability is -0.1'],
    [() => resize(0, 5), 'resize: width is 0; it must be a whole number of at least 1'],
    [
      () => resize(5, 5, 'cubic' as never),
      'method is cubic; it must be one of area, bilinear, nearest, antialias',
    ],
    [() => resizeShortSide({ shortSide: [] }), 'shortSide is an empty list'],
    [
      () => resizeShortSide({ shortSide: 600, maxSize: 500 }),
      'maxSize is 500; it must be a whole number of at least 600',
    ],
    [() => letterbox(5, 5, { fill: [1, 2, 300] }), 'letterbox: fill is [1,2,300]'],
    [() => letterbox(5, 5, { position: 'left' as 'corner' }), 'letterbox: position is left'],
    [() => expand({ maxRatio: 0.5 }), 'expand: maxRatio is 0.5; it must be a finite number of at least 1'],
    [() => iouCrop({ minOverlaps: [] }), 'minOverlaps is empty'],
    [() => iouCrop({ minOverlaps: [2] }), 'an overlap of minOverlaps is 2'],
    [
      () => iouCrop({ scale: [0.5, 0.3] }),
      'iouCrop: scale is [0.5,0.3]; it must be [low, high] with low <= high',
    ],
    [() => iouCrop({ scale: [0.5, 1.5] }), 'to 1'],
    [() => iouCrop({ trials: 0 }), 'iouCrop: trials is 0'],
    [() => iouCrop({ minVisible: 2 }), 'iouCrop: minVisible is 2'],
    [() => photometricDistortion({ brightness: -1 }), 'brightness is -1'],
    [() => photometricDistortion({ contrast: [2, 1] }), 'contrast is [2,1]'],
    [() => randomCrop({ width: 5, height: -5 }), 'randomCrop: height is -5'],
    [() => randomCrop({ width: 5, height: 5, padding: 'left' as never }), 'padding is left'],
    [() => largeScaleJitter({ width: 5, height: 5, scale: [0, 2] }), 'largeScaleJitter: scale is [0,2]'],
    [() => largeScaleJitter({ width: 5.5, height: 5 }), 'width is 5.5'],
    [() => mosaic({ size: 5, centre: [0.5, 1.5] }), 'mosaic: centre is [0.5,1.5]'],
    [() => copyPaste({ maxObjects: 0 }), 'maxObjects is 0'],
    [() => dropDegenerate({ minSide: -1 }), 'minSide is -1; it must be a finite number of at least 0'],
  ];
  for (const [make, message] of wrong) {
    expect(make).toThrow(RangeError);
    expect(make).toThrow(message);
  }
});

test('normalisations: red, green, blue; white and black go where their sources put them', () => {
  const white = ({ mean, std }: { mean: readonly number[]; std: readonly number[] }): number[] =>
    mean.map((m, i) => (255 - m) / std[i]);
  expect(white(normalizations.tensorflow)).toEqual([1, 1, 1]);
  // torchvision.transforms.v2.functional.normalize of ones.
  [2.2489082969432315, 2.428571428571429, 2.6400000000000006].forEach((value, i) =>
    expect(white(normalizations.torchvision)[i]).toBeCloseTo(value, 12),
  );
  expect(normalizations.efficientdet).toEqual(normalizations.torchvision);
  // Each list of means runs from red, the brightest in ImageNet, to blue.
  for (const { mean } of Object.values(normalizations)) expect(mean[0]).toBeGreaterThanOrEqual(mean[2]);
});
