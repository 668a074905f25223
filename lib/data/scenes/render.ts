/** Draws a scene at a given resolution and measures what is to be seen of each object. */
import type { GroundTruth } from '../../boxes/types';
import type { RgbImage } from '../types';
import { localLight, paintShadow, paintSprite, type Frame } from './composite';
import type { Scene } from './describe';
import type { ScenePack } from './pack';
import { renderView } from './view';

/** A drawn scene with its annotation. */
export interface RenderedScene {
  readonly image: RgbImage;
  /** Far to near; the box is the bounding box of an object's visible pixels. */
  readonly objects: readonly GroundTruth[];
}

/** Seen less than this, an object is difficult, and below the second share it is not annotated at all. */
const difficultBelow = 0.35;
const droppedBelow = 0.1;
/** Seen less than this, an object counts as truncated (by the border or by another). */
const truncatedBelow = 0.85;

/** Draws a scene as a square picture. Byte for byte the same on every machine. */
export function renderScene(scene: Scene, pack: ScenePack, size: number): RenderedScene {
  const pixels = renderView(scene.view, pack.background(scene.view.background), size);
  openAperture(pixels);
  const frame: Frame = { size, pixels, owner: new Int16Array(size * size).fill(-1) };
  // The light is the background's: an object does not tint its neighbour.
  const lights = scene.placements.map((placement) => localLight(frame, placement));
  scene.placements.forEach((placement, index) => {
    paintShadow(frame, placement);
    paintSprite(frame, placement, pack.sprite(placement.sprite), lights[index], index);
  });
  const objects = measure(frame, scene, pack);
  return { image: { width: size, height: size, data: develop(frame, scene) }, objects };
}

/** Brightens a dark place as a camera would; at night, things would otherwise be boxes around nothing. */
function openAperture(pixels: Float32Array): void {
  let sum = 0;
  for (let i = 0; i < pixels.length; i++) sum += pixels[i];
  const gain = Math.min(2.5, (75 * pixels.length) / Math.max(1, sum));
  if (gain <= 1) return;
  for (let i = 0; i < pixels.length; i++) pixels[i] = Math.min(255, pixels[i] * gain);
}

function measure({ size, owner }: Frame, scene: Scene, pack: ScenePack): GroundTruth[] {
  const count = scene.placements.length;
  const seen = new Int32Array(count);
  const left = new Int32Array(count).fill(size);
  const top = new Int32Array(count).fill(size);
  const right = new Int32Array(count);
  const bottom = new Int32Array(count);
  for (let y = 0, at = 0; y < size; y++) {
    for (let x = 0; x < size; x++, at++) {
      const k = owner[at];
      if (k < 0) continue;
      seen[k]++;
      if (x < left[k]) left[k] = x;
      if (x >= right[k]) right[k] = x + 1;
      if (y < top[k]) top[k] = y;
      bottom[k] = y + 1;
    }
  }
  const smallest = Math.max(2, size * 0.015);
  const objects: GroundTruth[] = [];
  scene.placements.forEach(({ sprite, label, width, height }, k) => {
    if (label < 0 || seen[k] === 0) return;
    const whole = width * height * size * size * pack.sprite(sprite).coverage;
    const share = seen[k] / Math.max(1, whole);
    const box = [left[k], top[k], right[k], bottom[k]] as const;
    if (share < droppedBelow || Math.min(box[2] - box[0], box[3] - box[1]) < smallest) return;
    objects.push({ box, label, difficult: share < difficultBelow, truncated: share < truncatedBelow });
  });
  return objects;
}

/** Exposure, a slight blur, sensor noise, and 8 bits. */
function develop({ size, pixels }: Frame, { blur, exposure, noise, noiseSeed }: Scene): Uint8Array {
  if (blur > 0) {
    soften(pixels, size, 3, blur);
    soften(pixels, size, size * 3, blur);
  }
  const data = new Uint8Array(pixels.length);
  let state = noiseSeed | 1;
  for (let i = 0; i < pixels.length; i++) {
    // xorshift32; the sum of four bytes is close enough to normal (standard deviation 147.8).
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const sum = (state & 255) + ((state >>> 8) & 255) + ((state >>> 16) & 255) + (state >>> 24);
    const value = pixels[i] * exposure + ((sum - 510) / 147.8) * noise + 0.5;
    data[i] = value < 0 ? 0 : value > 255 ? 255 : value;
  }
  return data;
}

/** A three-tap blur along one axis, in place; `step` leads to the next pixel along it. The border stays. */
function soften(pixels: Float32Array, size: number, step: number, weight: number): void {
  const across = step === 3;
  const lines = across ? size : size * 3;
  for (let line = 0; line < lines; line++) {
    for (let c = 0; c < (across ? 3 : 1); c++) {
      let at = across ? line * size * 3 + c : line;
      let before = pixels[at];
      for (let k = 1; k < size - 1; k++) {
        at += step;
        const here = pixels[at];
        pixels[at] = here + weight * (before + pixels[at + step] - 2 * here);
        before = here;
      }
    }
  }
}
