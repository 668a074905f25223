/** Which level of a feature pyramid a region is read from. */
import { type BoxArray, boxCount } from './geometry';

/** Options of `fpnLevels`; the defaults are the paper's, with four levels. */
export interface FpnLevelOptions {
  /** Finest and coarsest level there is. Default 2 and 5. */
  readonly minLevel?: number;
  readonly maxLevel?: number;
  /** A region of this size, the square root of its area in pixels, belongs to `canonicalLevel`. Default 224 and 4. */
  readonly canonicalSize?: number;
  readonly canonicalLevel?: number;
}

/**
 * The level of each region, `[N]`: `floor(canonicalLevel + log2(sqrt(w h) / canonicalSize))`, cut to the levels that there are (Lin
 * et al., CVPR 2017, equation 1). A region without area belongs to the finest. Empty in, empty out.
 *
 * As torchvision's `LevelMapper`: every step in float32, and 1e-6 added before rounding down, so that a region of exactly 224 pixels
 * is not rounded to the level below. (Detectron2 adds 1e-8 to the quotient instead.)
 * @param boxes `[N, 4]` xyxy in pixels of the network's input
 */
export function fpnLevels(boxes: BoxArray, options: FpnLevelOptions = {}): Int32Array {
  const { minLevel = 2, maxLevel = 5, canonicalSize = 224, canonicalLevel = 4 } = options;
  const n = boxCount(boxes);
  const { fround } = Math;
  const levels = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    const w = fround(boxes[4 * i + 2] - boxes[4 * i]);
    const h = fround(boxes[4 * i + 3] - boxes[4 * i + 1]);
    const size = w > 0 && h > 0 ? fround(Math.sqrt(fround(w * h))) : 0;
    const exponent = fround(Math.log2(fround(size / canonicalSize)));
    const level = Math.floor(fround(fround(canonicalLevel + exponent) + fround(1e-6)));
    levels[i] = Math.min(Math.max(level, minLevel), maxLevel);
  }
  return levels;
}
