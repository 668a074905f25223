/** Resampling of 8-bit images: pure JavaScript, the same bytes on every machine. */
import type { RgbImage } from './types';

/** Ways of resampling, by name. */
export const resizeMethods = ['area', 'bilinear', 'nearest', 'antialias'] as const;

/**
 * - `area`: every source pixel counts by its overlap (OpenCV's INTER_AREA).
 * - `bilinear`: two taps an axis, also where it shrinks (OpenCV's INTER_LINEAR, PyTorch's and torchvision's without `antialias`).
 * - `nearest`: the source pixel under the centre of the target pixel (PyTorch's `nearest-exact`, Pillow).
 * - `antialias`: a triangle two target pixels wide where an axis shrinks, else `bilinear`; to the bit Pillow's BILINEAR, which
 *   Detectron2 and torchvision use on Pillow images. (Where the proportions change, Pillow 13 may take columns before rows, which
 *   moves some values by 1.) torchvision's tensors with `antialias` differ by 1 at most.
 */
export type ResizeMethod = (typeof resizeMethods)[number];

/** For every target position along one axis: the first source index and the weights from there on. */
interface Taps {
  readonly start: Int32Array;
  /** `count` weights a position, summing to 1. */
  readonly weights: Float64Array;
  readonly count: number;
}

/**
 * Resizes an image, each axis on its own.
 * @param method default: `area` where an axis shrinks (no aliasing), `bilinear` where it grows.
 * @returns a new image, or the same one where the size is.
 * @throws RangeError on a size that is not a positive integer.
 */
export function resizeImage(image: RgbImage, width: number, height: number, method?: ResizeMethod): RgbImage {
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new RangeError(`resizeImage: the size must be positive integers, not ${width} x ${height}`);
  }
  if (width === image.width && height === image.height) return image;
  return resizePart(image, width, height, [0, 0, width, height], method);
}

/**
 * A part of the resized image, and only that is computed: what cropping `resizeImage(image, width, height)` gives.
 * @param part `[left, top, right, bottom]` in whole pixels of the resized image, inside it and not empty.
 */
export function resizePart(
  image: RgbImage,
  width: number,
  height: number,
  [left, top, right, bottom]: readonly [number, number, number, number],
  method?: ResizeMethod,
): RgbImage {
  const inside = left >= 0 && top >= 0 && right <= width && bottom <= height && right > left && bottom > top;
  if (!inside || ![left, top, right, bottom].every(Number.isInteger)) {
    throw new RangeError(
      `resizePart: [${[left, top, right, bottom].join(', ')}] is no part of ${width} x ${height} in whole pixels`,
    );
  }
  const across = tapsOf(image.width, width, left, right, method);
  const down = tapsOf(image.height, height, top, bottom, method);
  return method === 'antialias' ? resampleFixed(image, across, down) : resampleFloat(image, across, down);
}

/** The source lines that the taps of the other axis read: first and one past the last. */
function linesOf({ start, weights, count }: Taps, size: number): [number, number] {
  const last = start.length - 1;
  let end = start[0] + 1;
  for (let k = 0; k < count; k++) if (weights[last * count + k] !== 0) end = start[last] + k + 1;
  return [start[0], Math.min(size, end)];
}

/** Rows first into floats, then columns, rounding once, halves up. */
function resampleFloat(
  { data: pixels, width: from, height: lines }: RgbImage,
  across: Taps,
  down: Taps,
): RgbImage {
  const [width, height] = [across.start.length, down.start.length];
  const [first, end] = linesOf(down, lines);
  const stride = width * 3;
  const middle = new Float32Array((end - first) * stride);
  const { start, weights, count } = across;
  let target = 0;
  for (let y = first; y < end; y++) {
    const row = y * from * 3;
    for (let x = 0; x < width; x++) {
      let r = 0;
      let g = 0;
      let b = 0;
      let source = row + start[x] * 3;
      for (let k = 0, w = x * count; k < count; k++, w++) {
        const weight = weights[w];
        if (weight === 0) break; // beyond the last
        r += weight * pixels[source++];
        g += weight * pixels[source++];
        b += weight * pixels[source++];
      }
      middle[target++] = r;
      middle[target++] = g;
      middle[target++] = b;
    }
  }
  const data = new Uint8Array(height * stride);
  for (let y = 0; y < height; y++) {
    const top = (down.start[y] - first) * stride;
    for (let i = 0; i < stride; i++) {
      let sum = 0.5;
      let source = top + i;
      for (let k = 0, w = y * down.count; k < down.count; k++, w++, source += stride) {
        const weight = down.weights[w];
        if (weight === 0) break;
        sum += weight * middle[source];
      }
      data[y * stride + i] = sum; // weights sum to 1, so this stays below 256; storing truncates
    }
  }
  return { width, height, data };
}

/** Pillow's arithmetic: weights in units of 2^-22, rounded to 8 bits after rows and again after columns. */
const fixedBits = 22;
const fixedHalf = 1 << (fixedBits - 1);

function resampleFixed(
  { data: pixels, width: from, height: lines }: RgbImage,
  across: Taps,
  down: Taps,
): RgbImage {
  const [width, height] = [across.start.length, down.start.length];
  const [first, end] = linesOf(down, lines);
  const stride = width * 3;
  const middle = new Uint8Array((end - first) * stride);
  const { start, count } = across;
  const inUnits = (weights: Float64Array): Int32Array =>
    Int32Array.from(weights, (weight) => Math.floor(weight * 2 ** fixedBits + 0.5));
  const weights = inUnits(across.weights);
  let target = 0;
  for (let y = first; y < end; y++) {
    const row = y * from * 3;
    for (let x = 0; x < width; x++) {
      let r = fixedHalf;
      let g = fixedHalf;
      let b = fixedHalf;
      let source = row + start[x] * 3;
      for (let k = 0, w = x * count; k < count; k++, w++, source += 3) {
        // Weights are 0 at either end only; there the source may lie outside.
        const weight = weights[w];
        if (weight === 0) continue;
        r += Math.imul(weight, pixels[source]);
        g += Math.imul(weight, pixels[source + 1]);
        b += Math.imul(weight, pixels[source + 2]);
      }
      middle[target++] = r >> fixedBits;
      middle[target++] = g >> fixedBits;
      middle[target++] = b >> fixedBits;
    }
  }
  const data = new Uint8Array(height * stride);
  const weightsDown = inUnits(down.weights);
  const sums = new Int32Array(stride);
  for (let y = 0; y < height; y++) {
    sums.fill(fixedHalf);
    for (let k = 0; k < down.count; k++) {
      const weight = weightsDown[y * down.count + k];
      if (weight === 0) continue;
      const line = (down.start[y] - first + k) * stride;
      for (let i = 0; i < stride; i++) sums[i] += Math.imul(weight, middle[line + i]);
    }
    for (let i = 0; i < stride; i++) data[y * stride + i] = sums[i] >> fixedBits;
  }
  return { width, height, data };
}

/** Taps of the target positions `begin` to `end` of an axis that goes from `from` to `to` pixels. */
function tapsOf(from: number, to: number, begin: number, end: number, chosen?: ResizeMethod): Taps {
  const method = chosen ?? (to < from ? 'area' : 'bilinear');
  const scale = from / to;
  const reach = Math.max(1, scale);
  const count =
    method === 'area' ? Math.ceil(scale) + 1 : method === 'antialias' ? Math.ceil(reach) * 2 + 1 : 2;
  const start = new Int32Array(end - begin);
  const weights = new Float64Array((end - begin) * count);
  for (let n = 0, i = begin; i < end; n++, i++) {
    if (method === 'area') {
      const low = i * scale;
      const high = Math.min(from, low + scale);
      // 11 * (45 / 33) is a little less than 15: pixel 14 would be the first, with a weight of 0.
      start[n] = Math.floor(low + 1e-9);
      for (let k = 0; k < count; k++) {
        const overlap = Math.min(high, start[n] + k + 1) - Math.max(low, start[n] + k);
        if (overlap > 1e-9) weights[n * count + k] = overlap / (high - low);
      }
    } else if (method === 'antialias') {
      const centre = (i + 0.5) * scale;
      start[n] = Math.max(0, Math.trunc(centre - reach + 0.5));
      const taps = Math.min(from, Math.trunc(centre + reach + 0.5)) - start[n];
      let total = 0;
      for (let k = 0; k < taps; k++) {
        // The reciprocal first, as Pillow does: its rounding shows.
        const weight = Math.max(0, 1 - Math.abs((k + start[n] - centre + 0.5) * (1 / reach)));
        weights[n * count + k] = weight;
        total += weight;
      }
      for (let k = 0; k < taps; k++) weights[n * count + k] /= total;
    } else {
      const centre = Math.min(from - 1, Math.max(0, (i + 0.5) * scale - 0.5));
      start[n] =
        method === 'nearest' ? Math.min(from - 1, Math.floor((i + 0.5) * scale)) : Math.floor(centre);
      const fraction = method === 'nearest' ? 0 : centre - start[n];
      weights[n * 2] = 1 - fraction;
      weights[n * 2 + 1] = fraction;
    }
  }
  return { start, weights, count };
}
