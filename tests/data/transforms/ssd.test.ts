/** SSD's augmentation against its own code's rules, written out as scalar loops. */
import { createRandom, iouCrop, photometricDistortion } from 'detlab';
import { describe, expect, test } from 'vitest';
import { plain, ramp, sampleOf, scripted } from './pictures';

/** HSV by its textbook definition: hue in degrees, saturation from 0 to 1, value from 0 to 255. */
function toHsv([r, g, b]: readonly number[]): [number, number, number] {
  const value = Math.max(r, g, b);
  const chroma = value - Math.min(r, g, b);
  if (chroma === 0) return [0, 0, value];
  const hue = value === r ? (g - b) / chroma : value === g ? 2 + (b - r) / chroma : 4 + (r - g) / chroma;
  return [(hue * 60 + 360) % 360, chroma / value, value];
}

/** The way back, by the formula `v - v s max(0, min(k, 4 - k, 1))`. */
function toRgb([hue, saturation, value]: readonly number[]): number[] {
  return [5, 3, 1].map((n) => {
    const k = (n + hue / 60) % 6;
    return value - value * saturation * Math.max(0, Math.min(k, 4 - k, 1));
  });
}

const eightBits = (value: number): number => Math.max(0, Math.min(255, Math.round(value)));

describe('photometric distortion', () => {
  test.each([0.2, 0.8])('all four steps, contrast drawn first or last (%d)', (order) => {
    const random = createRandom(4);
    const image = plain(30, 20);
    for (let i = 0; i < image.data.length; i++) image.data[i] = random.integer(256);
    // Applies and how much: brightness, the order, then contrast, saturation, hue, and no other order of the channels.
    const [shift, contrast, saturation, hue] = [0.85, 0.9, 0.7, 0.2];
    const script = scripted(0, shift, order, 0, contrast, 0, saturation, 0, hue, 0.5);
    const result = photometricDistortion()({ image, objects: [] }, script).image;
    const factor = 0.5 + contrast;
    const steps: ((rgb: number[]) => number[])[] = [
      (rgb) => rgb.map((v) => eightBits(v + (-32 + 64 * shift))),
      (rgb) => rgb.map((v) => eightBits(v * factor)),
      (rgb) => {
        const [h, s, v] = toHsv(rgb);
        return toRgb([(h + 360 + (-18 + 36 * hue)) % 360, Math.min(1, s * (0.5 + saturation)), v]).map(
          eightBits,
        );
      },
    ];
    const inOrder = order < 0.5 ? steps : [steps[0], steps[2], steps[1]];
    for (let i = 0; i < image.data.length; i += 3) {
      const wanted = inOrder.reduce((rgb, step) => step(rgb), [...image.data.subarray(i, i + 3)]);
      wanted.forEach((value, c) => expect(Math.abs(result.data[i + c] - value)).toBeLessThanOrEqual(1));
    }
  });

  test('each step comes with its probability', () => {
    const grey = { image: plain(1, 1, [100, 100, 100]), objects: [] };
    let changed = 0;
    for (let seed = 0; seed < 2000; seed++) {
      const only = photometricDistortion({ probability: 0.3, contrast: [1, 1], saturation: [1, 1], hue: 0 });
      changed += Number(only(grey, createRandom(seed)).image.data[0] !== 100);
    }
    // 0.3, less the 1 in 64 that round to nothing; four standard deviations.
    expect(Math.abs(changed / 2000 - 0.3 * (63 / 64))).toBeLessThan(0.041);
  });
});

describe("IoU crop, by SSD's own rule", () => {
  test('a window by hand', () => {
    // Overlap 0 of one choice; scale 0.6; proportions from 0.5 to 2 (both within 0.36 to 1 / 0.36): 0.5 + 1.5 / 3 = 1.
    const crop = iouCrop({ minOverlaps: [0], scale: [0.4, 0.8] });
    const sample = sampleOf(ramp(50, 40), [10, 10, 30, 30], [0, 0, 11, 11]);
    const { image, objects } = crop(sample, scripted(0, 0.5, 1 / 3, 0.58, 0.3));
    // 0.6 x 50 by 0.6 x 40, at 0.58 of the 20 columns and 0.3 of the 16 lines that are free, rounded down.
    expect([image.width, image.height]).toEqual([30, 24]);
    expect([...image.data.subarray(0, 2)]).toEqual([11, 4]);
    // The second object's centre is outside.
    expect(objects).toEqual([{ box: [0, 6, 19, 24], label: 0, truncated: true }]);
  });

  test('scales and proportions are in range, the overlap holds, and every choice is had', () => {
    const sample = sampleOf(ramp(200, 100), [60, 20, 150, 90]);
    let whole = 0;
    for (let seed = 0; seed < 600; seed++) {
      const { image, objects } = iouCrop({ minOverlaps: [null, 0.3] })(sample, createRandom(seed));
      if (image === sample.image) {
        whole++;
        continue;
      }
      const [x, y] = [image.data[0], image.data[1]];
      const [w, h] = [image.width / 200, image.height / 100];
      expect(Math.sqrt(w * h)).toBeGreaterThan(0.28);
      expect(w / h).toBeGreaterThan(0.47);
      expect(w / h).toBeLessThan(2.15);
      const across = Math.min(150, x + image.width) - Math.max(60, x);
      const down = Math.min(90, y + image.height) - Math.max(20, y);
      const both = across * down;
      expect(both / (90 * 70 + image.width * image.height - both)).toBeGreaterThanOrEqual(0.3);
      expect(objects).toHaveLength(1);
    }
    expect(whole).toBeGreaterThan(240);
    expect(whole).toBeLessThan(360);
  });
});
