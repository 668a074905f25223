/** Paints one drawing into a picture: warped, recoloured for the place's light, with its contact shadow. */
import type { Bitmap } from './bitmap';
import type { Placement } from './describe';
import { sinCos } from './maths';
import type { SpriteImage } from './pack';

/** A square picture being painted. */
export interface Frame {
  readonly size: number;
  /** RGB, 0 to 255, `size * size * 3`. */
  readonly pixels: Float32Array;
  /** Which placement is seen at each pixel; -1 is the background. */
  readonly owner: Int16Array;
}

/** Mean light about a place, RGB, 0 to 255. */
export type Light = readonly [number, number, number];

/** Mean colour of what lies behind a placement, from 8 x 8 samples of its box inside the picture. */
export function localLight({ size, pixels }: Frame, { x, y, width, height }: Placement): Light {
  const sum = [0, 0, 0];
  for (let j = 0; j < 8; j++) {
    const py = clampIndex((y + ((j + 0.5) / 8 - 0.5) * height) * size, size);
    for (let i = 0; i < 8; i++) {
      const at = (py * size + clampIndex((x + ((i + 0.5) / 8 - 0.5) * width) * size, size)) * 3;
      for (let c = 0; c < 3; c++) sum[c] += pixels[at + c];
    }
  }
  return [Math.round(sum[0] / 64), Math.round(sum[1] / 64), Math.round(sum[2] / 64)];
}

/** Darkens an ellipse of ground under a placement. */
export function paintShadow({ size, pixels }: Frame, placement: Placement): void {
  const { x, y, width, height, shadow } = placement;
  if (shadow === 0) return;
  const cx = x * size;
  const cy = (y + height * 0.47) * size;
  const rx = width * 0.55 * size;
  const ry = Math.max(1, Math.min(width, height) * 0.13 * size);
  for (let j = Math.max(0, Math.floor(cy - ry)); j < Math.min(size, cy + ry); j++) {
    for (let i = Math.max(0, Math.floor(cx - rx)); i < Math.min(size, cx + rx); i++) {
      const dx = (i + 0.5 - cx) / rx;
      const dy = (j + 0.5 - cy) / ry;
      const inside = 1 - dx * dx - dy * dy;
      if (inside <= 0) continue;
      const keep = 1 - shadow * inside * Math.min(1, 2 * inside);
      const at = (j * size + i) * 3;
      pixels[at] *= keep;
      pixels[at + 1] *= keep;
      pixels[at + 2] *= keep;
    }
  }
}

/**
 * Paints a drawing. Sampling is bilinear on the half-size copy nearest to a texel a pixel, so small objects don't alias.
 * @param index written to `owner` where the drawing covers half a pixel or more.
 */
export function paintSprite(
  frame: Frame,
  placement: Placement,
  image: SpriteImage,
  light: Light,
  index: number,
): void {
  const { size, pixels, owner } = frame;
  const width = placement.width * size;
  const height = placement.height * size;
  const cx = placement.x * size;
  const cy = placement.y * size;
  const { sin, cos } = sinCos((placement.rotation * Math.PI) / 180);
  const reachX = (Math.abs(cos) * width + Math.abs(sin) * height) / 2 + 1;
  const reachY = (Math.abs(sin) * width + Math.abs(cos) * height) / 2 + 1;

  // A hair above one texel a pixel still looks crisp; beyond that, the next half.
  let level = 0;
  const texels = Math.min(image.width / width, image.height / height);
  for (let t = texels; t > 1.25 && level < image.levels.length - 1; t /= 2) level++;
  const picture = image.levels[level];
  const scale = 1 / 2 ** level;
  // From picture coordinates (pixels from the centre) to texels.
  const perX = ((image.width * scale) / width) * (placement.flip ? -1 : 1);
  const perY = (image.height * scale) / height;
  const u0 = (image.width * scale) / 2 - 0.5;
  const v0 = (image.height * scale) / 2 - 0.5;
  const m = colourMatrix(placement, light);
  const texel = new Float64Array(4);
  const left = Math.max(0, Math.floor(cx - reachX));
  const right = Math.min(size, Math.ceil(cx + reachX));
  for (let j = Math.max(0, Math.floor(cy - reachY)); j < Math.min(size, Math.ceil(cy + reachY)); j++) {
    const dy = j + 0.5 - cy;
    for (let i = left; i < right; i++) {
      const dx = i + 0.5 - cx;
      const u = (cos * dx + sin * dy) * perX + u0;
      const v = (cos * dy - sin * dx) * perY + v0;
      if (!sampleTexel(picture, u, v, texel)) continue;
      const alpha = texel[3];
      const keep = 1 - alpha / 255;
      const at = (j * size + i) * 3;
      for (let c = 0; c < 3; c++) {
        const colour = m[c * 3] * texel[0] + m[c * 3 + 1] * texel[1] + m[c * 3 + 2] * texel[2];
        pixels[at + c] = pixels[at + c] * keep + (colour < 0 ? 0 : colour > alpha ? alpha : colour);
      }
      if (alpha >= 127.5) owner[j * size + i] = index;
    }
  }
}

/** Bilinear sample, transparent outside. Returns false where there is nothing. */
function sampleTexel({ width, height, data }: Bitmap, u: number, v: number, out: Float64Array): boolean {
  const left = Math.floor(u);
  const top = Math.floor(v);
  if (left < -1 || top < -1 || left >= width || top >= height) return false;
  const fu = u - left;
  const fv = v - top;
  out[0] = out[1] = out[2] = out[3] = 0;
  for (let k = 0; k < 4; k++) {
    const x = left + (k & 1);
    const y = top + (k >> 1);
    if (x < 0 || y < 0 || x >= width || y >= height) continue;
    const weight = (k & 1 ? fu : 1 - fu) * (k >> 1 ? fv : 1 - fv);
    const s = (y * width + x) * 4;
    out[0] += weight * data[s];
    out[1] += weight * data[s + 1];
    out[2] += weight * data[s + 2];
    out[3] += weight * data[s + 3];
  }
  return out[3] > 0.5;
}

/** Hue, saturation, brightness and the place's light as one 3 x 3 matrix; linear, so it works on multiplied colours. */
function colourMatrix({ hue, saturation, brightness, lighting }: Placement, light: Light): Float64Array {
  const { sin, cos } = sinCos((hue * Math.PI) / 180);
  const s = saturation;
  // Rotation about the grey axis and scaling away from it, as in SVG's feColorMatrix.
  const [lr, lg, lb] = [0.213, 0.715, 0.072];
  const rotate = [
    [
      lr + s * (cos * (1 - lr) - sin * lr),
      lg + s * (-cos * lg - sin * lg),
      lb + s * (-cos * lb + sin * (1 - lb)),
    ],
    [
      lr + s * (-cos * lr + sin * 0.143),
      lg + s * (cos * (1 - lg) + sin * 0.14),
      lb + s * (-cos * lb - sin * 0.283),
    ],
    [
      lr + s * (-cos * lr - sin * (1 - lr)),
      lg + s * (-cos * lg + sin * lg),
      lb + s * (cos * (1 - lb) + sin * lb),
    ],
  ];
  const mean = (light[0] + light[1] + light[2]) / 3;
  // Bright places leave drawings as they are; dark ones dim them, though never beyond recognition.
  const level = Math.max(0.4, Math.min(1.1, mean / 120));
  const gain = brightness * (1 + lighting * 0.75 * (level - 1));
  const m = new Float64Array(9);
  for (let c = 0; c < 3; c++) {
    const cast = Math.max(0.6, Math.min(1.4, (light[c] + 8) / (mean + 8)));
    const tint = gain * (1 + lighting * 0.5 * (cast - 1));
    for (let k = 0; k < 3; k++) m[c * 3 + k] = tint * rotate[c][k];
  }
  return m;
}

function clampIndex(value: number, size: number): number {
  const index = Math.floor(value);
  return index < 0 ? 0 : index >= size ? size - 1 : index;
}
