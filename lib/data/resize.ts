/** Resampling of 8-bit images: pure JavaScript, the same bytes on every machine. */
import type { RgbImage } from './types';

/** `area`: antialiased (every source pixel counts by its overlap); `bilinear`: two taps an axis; `nearest`. */
export type ResizeMethod = 'area' | 'bilinear' | 'nearest';

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
 * @throws RangeError on a size that is not a positive integer.
 */
export function resizeImage(image: RgbImage, width: number, height: number, method?: ResizeMethod): RgbImage {
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new RangeError(`resizeImage: the size must be positive integers, not ${width} x ${height}`);
  }
  if (width === image.width && height === image.height) return image;
  const across = tapsOf(image.width, width, method ?? (width < image.width ? 'area' : 'bilinear'));
  const down = tapsOf(image.height, height, method ?? (height < image.height ? 'area' : 'bilinear'));

  // Rows first into floats, then columns, rounding once.
  const middle = new Float32Array(image.height * width * 3);
  for (let y = 0; y < image.height; y++) {
    const row = y * image.width * 3;
    for (let x = 0; x < width; x++) {
      let r = 0;
      let g = 0;
      let b = 0;
      let source = row + across.start[x] * 3;
      for (let k = 0, w = x * across.count; k < across.count; k++, w++) {
        const weight = across.weights[w];
        if (weight === 0) break;
        r += weight * image.data[source++];
        g += weight * image.data[source++];
        b += weight * image.data[source++];
      }
      const target = (y * width + x) * 3;
      middle[target] = r;
      middle[target + 1] = g;
      middle[target + 2] = b;
    }
  }
  const data = new Uint8Array(width * height * 3);
  const stride = width * 3;
  for (let y = 0; y < height; y++) {
    for (let i = 0; i < stride; i++) {
      let sum = 0.5;
      let source = down.start[y] * stride + i;
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

function tapsOf(from: number, to: number, method: ResizeMethod): Taps {
  const scale = from / to;
  const count = method === 'area' ? Math.ceil(scale) + 1 : 2;
  const start = new Int32Array(to);
  const weights = new Float64Array(to * count);
  for (let i = 0; i < to; i++) {
    if (method === 'area') {
      const low = i * scale;
      const high = Math.min(from, low + scale);
      start[i] = Math.floor(low);
      for (let k = 0; k < count; k++) {
        const overlap = Math.min(high, start[i] + k + 1) - Math.max(low, start[i] + k);
        if (overlap > 1e-9) weights[i * count + k] = overlap / (high - low);
      }
    } else {
      const centre = Math.min(from - 1, Math.max(0, (i + 0.5) * scale - 0.5));
      start[i] =
        method === 'nearest' ? Math.min(from - 1, Math.floor((i + 0.5) * scale)) : Math.floor(centre);
      const fraction = method === 'nearest' ? 0 : centre - start[i];
      weights[i * 2] = 1 - fraction;
      weights[i * 2 + 1] = fraction;
    }
  }
  return { start, weights, count };
}
