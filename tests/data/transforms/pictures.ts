/** Pictures and random numbers that the tests of transforms share. */
import fs from 'node:fs';
import path from 'node:path';
import { createRandom, type Box, type GroundTruth, type Random, type RgbImage, type Sample } from 'detlab';

/** Random numbers that a test dictates: every draw takes the next one, from 0 to 1. */
export function scripted(...values: readonly number[]): Random {
  const left = [...values];
  const next = (): number => {
    const value = left.shift();
    if (value === undefined) throw new Error('the script has no number left');
    return value;
  };
  return {
    ...createRandom(0),
    next,
    uniform: (low, high) => low + (high - low) * next(),
    integer: (n) => Math.floor(next() * n),
    pick: (items) => items[Math.floor(next() * items.length)],
    shuffle: (items) => {
      next();
      return [...items];
    },
  };
}

/** A picture of one colour. */
export function plain(width: number, height: number, colour: readonly number[] = [0, 0, 0]): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i += 3) data.set(colour, i);
  return { width, height, data };
}

/** The same picture with a rectangle painted: whole pixels. */
export function painted(image: RgbImage, [x1, y1, x2, y2]: Box, colour: readonly number[]): RgbImage {
  const data = image.data.slice();
  for (let y = y1; y < y2; y++) for (let x = x1; x < x2; x++) data.set(colour, (y * image.width + x) * 3);
  return { ...image, data };
}

/** Every pixel tells where it came from: red is its column, green its row, blue as told. */
export function ramp(width: number, height: number, blue = 50): RgbImage {
  const image = plain(width, height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) image.data.set([x, y, blue], (y * width + x) * 3);
  return image;
}

/** A sample of a picture and boxes of class 0, 1, 2, ... */
export function sampleOf(image: RgbImage, ...boxes: readonly Box[]): Sample {
  return { image, objects: boxes.map((box, label): GroundTruth => ({ box, label })) };
}

/** Red, green and blue at a place. */
export function pixel(image: RgbImage, x: number, y: number): number[] {
  return [...image.data.subarray((y * image.width + x) * 3, (y * image.width + x) * 3 + 3)];
}

/** The box around all pixels that `is` accepts; `undefined` where there are none. */
export function boundsOf(image: RgbImage, is: (r: number, g: number, b: number) => boolean): Box | undefined {
  let [x1, y1, x2, y2] = [Infinity, Infinity, -1, -1];
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < image.width; x++) {
      const [r, g, b] = pixel(image, x, y);
      if (!is(r, g, b)) continue;
      [x1, y1, x2, y2] = [Math.min(x1, x), Math.min(y1, y), Math.max(x2, x + 1), Math.max(y2, y + 1)];
    }
  }
  return x2 < 0 ? undefined : [x1, y1, x2, y2];
}

/** An image of the fixture. */
export interface Encoded {
  width: number;
  height: number;
  data: string;
}

/** What `tests/reference/transforms.py` wrote. */
export interface TransformsFixture {
  resize: {
    image: Encoded;
    width: number;
    height: number;
    pillow: Encoded;
    nearest: Encoded;
    tensor_antialias: Encoded;
    tensor_plain: Encoded;
    plain: number[];
    boxes_in: number[][];
    boxes: number[][];
  }[];
  flips: { image: Encoded; boxes: number[][] } & Record<
    'horizontal' | 'vertical',
    { image: Encoded; boxes: number[][] }
  >;
  short_side: {
    width: number;
    height: number;
    short_side: number;
    max_size: number | null;
    torchvision: number[];
    detectron2: number[];
  }[];
  iou_crop: {
    image: Encoded;
    boxes: number[][];
    cases: { random: number[]; image: Encoded; boxes: number[][]; labels: number[] }[];
  };
  scale_jitter: { width: number; height: number; random: number[]; size: number[] }[];
  hue: { image: Encoded; cases: { degrees: number; image: Encoded }[] };
}

/** Reads the fixture. */
export function readFixture(): TransformsFixture {
  const file = path.join(__dirname, '..', 'fixtures', 'transforms.json');
  return JSON.parse(fs.readFileSync(file, 'utf8')) as TransformsFixture;
}

/** The pixels of an image of the fixture. */
export function decode({ width, height, data }: Encoded): RgbImage {
  return { width, height, data: Uint8Array.from(Buffer.from(data, 'base64')) };
}
