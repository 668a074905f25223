import { describe, expect, test } from 'vitest';
import type { GroundTruth } from '../../lib/boxes/types';
import { createRandom, type Random } from '../../lib/tensor/random';
import { cropObjects, expand, iouCrop } from '../../lib/data/transforms/crop';
import {
  flipHorizontal,
  letterbox,
  letterboxFit,
  resize,
  unfitBox,
} from '../../lib/data/transforms/geometric';
import { adjustSaturationHue, photometricDistortion } from '../../lib/data/transforms/photometric';
import { compose, withProbability, type Sample, type Transform } from '../../lib/data/transforms/transform';

/** Every pixel tells where it came from: red is its column, green its row. */
function sample(
  width = 20,
  height = 16,
  objects: GroundTruth[] = [{ box: [2, 3, 9, 12], label: 1 }],
): Sample {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) data.set([x, y, 50], (y * width + x) * 3);
  return { image: { width, height, data }, objects };
}

/** Random numbers that a test dictates. */
function scripted(...values: number[]): Random {
  const next = (): number => {
    if (values.length === 0) throw new Error('the script has no number left');
    return values.shift() as number;
  };
  const random = createRandom(0);
  return {
    ...random,
    next,
    uniform: (low, high) => low + (high - low) * next(),
    integer: (n) => Math.floor(next() * n),
    pick: (items) => items[Math.floor(next() * items.length)],
  };
}

const hsv = (r: number, g: number, b: number): [number, number, number] => {
  const max = Math.max(r, g, b);
  const chroma = max - Math.min(r, g, b);
  const hue =
    chroma === 0
      ? 0
      : max === r
        ? ((g - b) / chroma + 6) % 6
        : max === g
          ? (b - r) / chroma + 2
          : (r - g) / chroma + 4;
  return [hue * 60, max === 0 ? 0 : chroma / max, max];
};

describe('geometry', () => {
  test('flipHorizontal mirrors pixels and boxes; twice is the original', () => {
    const once = flipHorizontal(1)(sample(), createRandom(1));
    expect(once.objects[0]).toEqual({ box: [11, 3, 18, 12], label: 1 });
    expect([...once.image.data.subarray(0, 3)]).toEqual([19, 0, 50]);
    expect(flipHorizontal(1)(once, createRandom(1))).toEqual(sample());
    expect(flipHorizontal(0)(sample(), createRandom(1))).toEqual(sample());
  });

  test('resize scales boxes with the picture', () => {
    const { image, objects } = resize(10, 32)(sample(), createRandom(0));
    expect([image.width, image.height]).toEqual([10, 32]);
    expect(objects[0].box).toEqual([1, 6, 4.5, 24]);
  });

  test('letterbox keeps proportions, centres, fills, and can be undone', () => {
    const { image, objects } = letterbox(40, 40, { fill: [9, 8, 7] })(sample(), createRandom(0));
    expect([image.width, image.height]).toEqual([40, 40]);
    expect(objects[0].box).toEqual([4, 10, 18, 28]); // scale 2, offset 4 down
    expect([...image.data.subarray(0, 3)]).toEqual([9, 8, 7]);
    expect([...image.data.subarray((4 * 40 + 0) * 3, (4 * 40 + 0) * 3 + 3)]).toEqual([0, 0, 50]);
    expect(unfitBox(objects[0].box, letterboxFit({ width: 20, height: 16 }, 40, 40))).toEqual([2, 3, 9, 12]);
  });
});

describe('zoom', () => {
  test('expand puts the picture on a larger canvas of the mean colour', () => {
    const { image, objects } = expand({ fill: [1, 2, 3] })(sample(), scripted(0.1, 0.5, 0, 0.999));
    expect([image.width, image.height]).toEqual([50, 40]); // ratio 2.5, at the left and the bottom
    expect(objects[0].box).toEqual([2, 27, 9, 36]);
    expect([...image.data.subarray(0, 3)]).toEqual([1, 2, 3]);
    expect([...image.data.subarray((24 * 50 + 5) * 3, (24 * 50 + 5) * 3 + 3)]).toEqual([5, 0, 50]);
    expect(expand()(sample(), scripted(0.9))).toEqual(sample());
  });

  test('cropObjects keeps those whose centre is inside, cut and moved; the border does not count', () => {
    const objects: GroundTruth[] = [
      { box: [0, 0, 10, 10], label: 0 },
      { box: [6, 6, 8, 8], label: 1, truncated: false },
      { box: [0, 4, 8, 8], label: 2, difficult: true },
    ];
    expect(cropObjects(objects, [4, 4, 20, 20])).toEqual([
      { box: [0, 0, 6, 6], label: 0, truncated: true },
      { box: [2, 2, 4, 4], label: 1, truncated: false },
    ]);
  });

  test('iouCrop: window, pixels and boxes agree, and the asked overlap holds', () => {
    const random = createRandom(5);
    let cropped = 0;
    for (let i = 0; i < 200; i++) {
      const { image, objects } = iouCrop({ minOverlaps: [0.5] })(
        sample(40, 40, [{ box: [5, 5, 30, 30], label: 0 }]),
        random,
      );
      const [left, top] = [image.data[0], image.data[1]]; // the first pixel says where the window began
      cropped += Number(image.width < 40);
      expect(objects).toHaveLength(1);
      const window = [left, top, left + image.width, top + image.height];
      const w = Math.min(30, window[2]) - Math.max(5, left);
      const h = Math.min(30, window[3]) - Math.max(5, top);
      expect((w * h) / (625 + image.width * image.height - w * h)).toBeGreaterThanOrEqual(0.5);
      expect(objects[0].box).toEqual([
        Math.max(5, left) - left,
        Math.max(5, top) - top,
        Math.min(30, window[2]) - left,
        Math.min(30, window[3]) - top,
      ]);
      expect(image.data[(image.width * image.height - 1) * 3]).toBe(window[2] - 1);
      const proportions = image.width / image.height;
      expect(proportions > 0.47 && proportions < 2.1).toBe(true);
    }
    expect(cropped).toBeGreaterThan(150);
  });

  test('iouCrop gives up on an overlap that no crop has, and handles pictures without objects', () => {
    const speck = sample(40, 40, [{ box: [1, 1, 3, 3], label: 0 }]);
    expect(iouCrop({ minOverlaps: [0.9] })(speck, createRandom(1))).toEqual(speck);
    const empty = iouCrop({ minOverlaps: [0.9] })(sample(40, 40, []), createRandom(1));
    expect(empty.objects).toEqual([]);
    expect(empty.image.width * empty.image.height).toBeLessThan(1600);
    expect(iouCrop({ minOverlaps: [null] })(speck, createRandom(1))).toEqual(speck);
  });
});

describe('photometric', () => {
  test('saturation and hue agree with HSV computed another way', () => {
    const random = createRandom(3);
    const data = Uint8Array.from({ length: 3000 }, () => random.integer(256));
    const image = { width: 100, height: 10, data };
    for (const [saturation, hue] of [
      [1, 15],
      [0.5, 0],
      [1.5, -18],
      [1, 0],
      [0.7, 350],
    ]) {
      const result = adjustSaturationHue(image, saturation, hue).data;
      for (let i = 0; i < data.length; i += 3) {
        const [h, s, v] = hsv(data[i], data[i + 1], data[i + 2]);
        const [h2, s2, v2] = hsv(result[i], result[i + 1], result[i + 2]);
        expect(v2).toBe(v);
        expect(Math.abs(s2 - Math.min(1, s * saturation)) * v).toBeLessThan(1.01);
        if (s2 * v2 < 30) continue; // hue of a near-grey is rounding
        const turned = (((h + hue - h2) % 360) + 540) % 360;
        expect(Math.abs(turned - 180)).toBeLessThan(120 / (s2 * v2) + 0.01);
      }
    }
  });

  test('brightness and contrast: hand-computed, clipped, in the drawn order', () => {
    const image = { width: 1, height: 1, data: Uint8Array.from([10, 100, 250]) };
    const shape = { saturation: [1, 1], hue: 0, brightness: 32 } as const;
    // Draws: brightness applies (0 < .5) and is +16; contrast first; contrast applies and is 1.25; no saturation, no hue; no order.
    const bright = photometricDistortion(shape)(
      { image, objects: [] },
      scripted(0, 0.75, 0, 0, 0.75, 0.9, 0.9, 0.5),
    );
    expect([...bright.image.data]).toEqual([Math.round(26 * 1.25), 145, 255]);
    const off = photometricDistortion(shape)({ image, objects: [] }, scripted(0.5, 0.9, 0.5, 0.5, 0.5, 0.5));
    expect([...off.image.data]).toEqual([10, 100, 250]);
  });

  test('channel order is a permutation, and boxes stay', () => {
    const swapped = photometricDistortion({ probability: 0, channelOrder: 1 })(sample(), createRandom(2));
    expect([...swapped.image.data.subarray(0, 3)].sort()).toEqual([0, 0, 50]);
    expect(swapped.objects).toEqual(sample().objects);
  });
});

describe('compose', () => {
  const all: Transform = compose(
    photometricDistortion({ channelOrder: 0.5 }),
    expand(),
    iouCrop(),
    flipHorizontal(),
    resize(12, 12),
  );

  test('is reproducible, leaves its input alone and keeps boxes inside', () => {
    const before = sample();
    for (let seed = 0; seed < 100; seed++) {
      const result = all(before, createRandom(seed));
      expect(all(before, createRandom(seed))).toEqual(result);
      for (const { box } of result.objects) {
        expect(
          box[0] >= 0 &&
            box[1] >= 0 &&
            box[2] <= 12.001 &&
            box[3] <= 12.001 &&
            box[2] > box[0] &&
            box[3] > box[1],
        ).toBe(true);
      }
    }
    expect(before).toEqual(sample());
  });

  test('takes pictures without objects, and knows whether sizes change', () => {
    expect(all(sample(20, 16, []), createRandom(1)).objects).toEqual([]);
    expect(all.changesSize).toBe(true);
    expect(compose(flipHorizontal(), photometricDistortion()).changesSize).toBe(false);
    expect(withProbability(0.5, expand()).changesSize).toBe(true);
    expect(withProbability(0, flipHorizontal(1))(sample(), createRandom(0))).toEqual(sample());
    expect(compose()(sample(), createRandom(0))).toEqual(sample());
  });
});
