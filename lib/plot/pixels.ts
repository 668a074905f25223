/** Pixels as a canvas takes them. */
import type { RgbImage } from '../data/types';

/** RGB to RGBA, opaque. */
export function toRgba(image: RgbImage): Uint8ClampedArray {
  const rgba = new Uint8ClampedArray(image.width * image.height * 4);
  for (let i = 0, j = 0; i < image.data.length; i += 3, j += 4) {
    rgba[j] = image.data[i];
    rgba[j + 1] = image.data[i + 1];
    rgba[j + 2] = image.data[i + 2];
    rgba[j + 3] = 255;
  }
  return rgba;
}
