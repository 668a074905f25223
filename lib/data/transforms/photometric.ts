/** SSD's photometric distortion (section 2.2 of the paper; the numbers are those of its published training script). */
import type { Random } from '../../tensor/random';
import type { RgbImage } from '../types';
import { checkNumber, checkProbability, checkRange } from './options';
import { defineTransform, type Sample, type Transform } from './transform';

/** Ranges and probabilities; the defaults are SSD's. */
export interface PhotometricOptions {
  /** Probability of each of the four distortions. */
  probability?: number;
  /** Added to every channel: uniform in plus or minus this. */
  brightness?: number;
  /** Factor on every channel: uniform in this range. */
  contrast?: readonly [number, number];
  /** Factor on HSV's saturation. */
  saturation?: readonly [number, number];
  /** Degrees added to HSV's hue: uniform in plus or minus this. */
  hue?: number;
  /** Probability of a random order of the channels (0 in SSD's script, though its code can). */
  channelOrder?: number;
}

/**
 * Distorts colours: brightness, then either contrast before saturation and hue, or after them (one in two each); then, with
 * `channelOrder`, the channels in random order. Follows SSD's `DistortImage`, with every step rounded and clipped to 8 bits as
 * there, but with saturation and hue in an HSV that is not rounded in between. Published variants:
 * - hue: `ssd.pytorch` and torchvision turn it by up to 18 degrees, as here. SSD's script in Caffe says 18 as well, but counts
 *   OpenCV's 8-bit hue, in steps of 2 degrees: `hue: 36`.
 * - channel order: 0 in SSD's script in Caffe, 0.5 in `ssd.pytorch` and torchvision.
 * - brightness: torchvision multiplies by 0.875 to 1.125 instead of adding.
 * @throws RangeError on options that make no sense.
 */
export function photometricDistortion(options: PhotometricOptions = {}): Transform {
  const { probability = 0.5, brightness = 32, contrast = [0.5, 1.5], saturation = [0.5, 1.5] } = options;
  const { hue = 18, channelOrder = 0 } = options;
  const name = 'photometricDistortion';
  checkProbability(name, 'probability', probability);
  checkProbability(name, 'channelOrder', channelOrder);
  checkNumber(name, 'brightness', brightness, 0);
  checkNumber(name, 'hue', hue, 0);
  checkRange(name, 'contrast', contrast, 0);
  checkRange(name, 'saturation', saturation, 0);
  const apply = ({ image, objects }: Sample, random: Random): Sample => {
    const draw = (low: number, high: number): number | undefined =>
      random.next() < probability ? random.uniform(low, high) : undefined;
    const shift = draw(-brightness, brightness) ?? 0;
    const contrastFirst = random.next() < 0.5;
    const factor = draw(contrast[0], contrast[1]) ?? 1;
    const saturate = draw(saturation[0], saturation[1]) ?? 1;
    const turn = draw(-hue, hue) ?? 0;
    const order = random.next() < channelOrder ? random.shuffle([0, 1, 2]) : undefined;

    // Brightness and contrast act on single values: one table does for both.
    const before = table(shift, contrastFirst ? factor : 1);
    const after = table(0, contrastFirst ? 1 : factor);
    let data: Uint8Array = before ? lookUp(image.data, before) : image.data;
    if (saturate !== 1 || turn !== 0) data = adjustSaturationHue({ ...image, data }, saturate, turn).data;
    if (after) data = lookUp(data, after);
    if (order) data = reorder(data, order);
    return { image: { ...image, data }, objects };
  };
  const settings = { probability, brightness, contrast, saturation, hue, channelOrder };
  return defineTransform(apply, { recipe: { name, options: settings } });
}

/** `clamp(round(clamp(round(value + shift)) * factor))` for all 256 values; `undefined` when that changes nothing. */
function table(shift: number, factor: number): Uint8Array | undefined {
  if (shift === 0 && factor === 1) return undefined;
  const clamp = (value: number): number => Math.max(0, Math.min(255, Math.round(value)));
  return Uint8Array.from({ length: 256 }, (_, value) => clamp(clamp(value + shift) * factor));
}

function lookUp(source: Uint8Array, values: Uint8Array): Uint8Array {
  const data = new Uint8Array(source.length);
  for (let i = 0; i < data.length; i++) data[i] = values[source[i]];
  return data;
}

function reorder(source: Uint8Array, [r, g, b]: readonly number[]): Uint8Array {
  const data = new Uint8Array(source.length);
  for (let i = 0; i < data.length; i += 3) {
    data[i] = source[i + r];
    data[i + 1] = source[i + g];
    data[i + 2] = source[i + b];
  }
  return data;
}

/**
 * Scales saturation and turns hue in HSV, value unchanged; greys stay as they are.
 * @param saturation factor; the result is clipped at full saturation.
 * @param hue degrees.
 */
export function adjustSaturationHue(image: RgbImage, saturation: number, hue: number): RgbImage {
  const source = image.data;
  const data = new Uint8Array(source.length);
  const turn = (hue / 60) % 6;
  for (let i = 0; i < data.length; i += 3) {
    const r = source[i];
    const g = source[i + 1];
    const b = source[i + 2];
    const max = r > g ? (r > b ? r : b) : g > b ? g : b;
    const min = r < g ? (r < b ? r : b) : g < b ? g : b;
    const chroma = max - min;
    if (chroma === 0) {
      data[i] = data[i + 1] = data[i + 2] = max;
      continue;
    }
    // Hue in sixths of the circle, from red.
    let h = max === r ? (g - b) / chroma : max === g ? (b - r) / chroma + 2 : (r - g) / chroma + 4;
    h += turn;
    if (h < 0) h += 6;
    else if (h >= 6) h -= 6;
    const c = Math.min(max, chroma * saturation);
    const low = max - c;
    const sixth = Math.floor(h);
    const part = h - sixth;
    const up = Math.round(low + c * part);
    const down = Math.round(max - c * part);
    const floor = Math.round(low);
    data[i] = sixth === 0 || sixth >= 5 ? max : sixth === 1 ? down : sixth === 4 ? up : floor;
    data[i + 1] =
      sixth === 1 || sixth === 2 ? max : sixth === 0 || sixth >= 6 ? up : sixth === 3 ? down : floor;
    data[i + 2] = sixth === 3 || sixth === 4 ? max : sixth === 2 ? up : sixth === 5 ? down : floor;
  }
  return { ...image, data };
}
