/** Draws the background of a scene: a perspective view of a panorama, or a part of a photo. */
import type { Bitmap } from './bitmap';
import type { SceneView } from './describe';
import { atan2, sinCos } from './maths';

/**
 * Renders the view as a square picture.
 * @param levels the background at full size and halved; the level nearest to one texel a pixel is sampled.
 * @returns RGB, `size * size * 3` values from 0 to 255.
 */
export function renderView(view: SceneView, levels: readonly Bitmap[], size: number): Float32Array {
  const out = new Float32Array(size * size * 3);
  if (view.background.kind === 'photo') renderPhoto(view, levels, size, out);
  else renderPanorama(view, levels, size, out);
  return out;
}

function renderPanorama(view: SceneView, levels: readonly Bitmap[], size: number, out: Float32Array): void {
  const radians = Math.PI / 180;
  const half = sinCos((view.fieldOfView / 2) * radians);
  const reach = half.sin / half.cos;
  const pitch = sinCos(view.pitch * radians);
  const texels = (levels[0].width * view.fieldOfView) / 360 / size;
  const picture = levelFor(levels, texels);
  const perRadian = picture.width / (2 * Math.PI);
  const yaw = (view.yaw / 360) * picture.width;
  const middle = picture.height / 2;
  const direction = view.flip ? -1 : 1;
  for (let j = 0, t = 0; j < size; j++) {
    const v = ((2 * (j + 0.5)) / size - 1) * reach;
    // The camera's axes turned by the pitch; y points down.
    const z = pitch.cos + v * pitch.sin;
    const y = v * pitch.cos - pitch.sin;
    for (let i = 0; i < size; i++, t += 3) {
      const x = ((2 * (i + 0.5)) / size - 1) * reach * direction;
      const longitude = atan2(x, z);
      const latitude = atan2(y, Math.sqrt(x * x + z * z));
      sample(picture, yaw + longitude * perRadian - 0.5, middle + latitude * perRadian - 0.5, true, out, t);
    }
  }
}

function renderPhoto(view: SceneView, levels: readonly Bitmap[], size: number, out: Float32Array): void {
  const { crop, flip } = view;
  const picture = levelFor(levels, crop.side / size);
  const scale = picture.width / levels[0].width;
  for (let j = 0, t = 0; j < size; j++) {
    const y = (crop.y + ((j + 0.5) / size) * crop.side) * scale - 0.5;
    for (let i = 0; i < size; i++, t += 3) {
      const across = (flip ? size - i - 0.5 : i + 0.5) / size;
      sample(picture, (crop.x + across * crop.side) * scale - 0.5, y, false, out, t);
    }
  }
}

/** The smallest picture that still has about a texel a pixel. */
function levelFor(levels: readonly Bitmap[], texels: number): Bitmap {
  let level = 0;
  for (let t = texels; t > 1.4 && level < levels.length - 1; t /= 2) level++;
  return levels[level];
}

/** Bilinear; beyond the edges the border repeats, except that a panorama goes round. */
function sample(picture: Bitmap, x: number, y: number, round: boolean, out: Float32Array, t: number): void {
  const { width, height, data } = picture;
  const left = Math.floor(x);
  const top = Math.floor(y);
  const fx = x - left;
  const fy = y - top;
  let x0 = left;
  let x1 = left + 1;
  if (round) {
    x0 = ((x0 % width) + width) % width;
    x1 = x0 + 1 === width ? 0 : x0 + 1;
  } else {
    x0 = x0 < 0 ? 0 : x0 >= width ? width - 1 : x0;
    x1 = x1 < 0 ? 0 : x1 >= width ? width - 1 : x1;
  }
  const y0 = (top < 0 ? 0 : top >= height ? height - 1 : top) * width;
  const y1 = (top + 1 < 0 ? 0 : top + 1 >= height ? height - 1 : top + 1) * width;
  const a = (y0 + x0) * 4;
  const b = (y0 + x1) * 4;
  const c = (y1 + x0) * 4;
  const d = (y1 + x1) * 4;
  const wa = (1 - fx) * (1 - fy);
  const wb = fx * (1 - fy);
  const wc = (1 - fx) * fy;
  const wd = fx * fy;
  out[t] = wa * data[a] + wb * data[b] + wc * data[c] + wd * data[d];
  out[t + 1] = wa * data[a + 1] + wb * data[b + 1] + wc * data[c + 1] + wd * data[d + 1];
  out[t + 2] = wa * data[a + 2] + wb * data[b + 2] + wc * data[c + 2] + wd * data[d + 2];
}
