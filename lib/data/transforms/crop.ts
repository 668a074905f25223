/** SSD's zoom augmentation: zoom out by padding, zoom in by crops that keep some object in sight (paper, section 2.2). */
import type { Box, GroundTruth } from '../../boxes/types';
import type { Random } from '../../tensor/random';
import type { RgbImage } from '../types';
import {
  defineTransform,
  filledImage,
  imagenetMean,
  mapBoxes,
  pasteImage,
  type Sample,
  type Transform,
} from './transform';

/** Options of `expand`. */
export interface ExpandOptions {
  probability?: number;
  /** Largest factor by which the canvas grows. */
  maxRatio?: number;
  /** RGB, 0 to 255. */
  fill?: readonly [number, number, number];
}

/** Places the picture at random on a larger canvas of the mean colour: makes small objects out of large ones. */
export function expand(options: ExpandOptions = {}): Transform {
  const { probability = 0.5, maxRatio = 4, fill = imagenetMean } = options;
  const apply = ({ image, objects }: Sample, random: Random): Sample => {
    if (random.next() >= probability) return { image, objects };
    const ratio = random.uniform(1, maxRatio);
    const width = Math.floor(image.width * ratio);
    const height = Math.floor(image.height * ratio);
    const x = random.integer(width - image.width + 1);
    const y = random.integer(height - image.height + 1);
    const canvas = filledImage(width, height, fill);
    pasteImage(canvas, image, x, y);
    const move = ([x1, y1, x2, y2]: Box): Box => [x1 + x, y1 + y, x2 + x, y2 + y];
    return { image: canvas, objects: mapBoxes(objects, move) };
  };
  const recipe = { name: 'expand', options: { probability, maxRatio, fill } };
  return defineTransform(apply, { changesSize: true, recipe });
}

/** Options of `iouCrop`; the defaults are SSD's. */
export interface IouCropOptions {
  /** Overlaps (IoU of crop and some object) to choose from; `null` keeps the whole picture, 0 asks for nothing. */
  minOverlaps?: readonly (number | null)[];
  /** Side of the crop as a share of the picture's: uniform in this range, for each axis. */
  scale?: readonly [number, number];
  /** Width over height, in shares of the picture: crops outside are not tried. */
  aspect?: readonly [number, number];
  /** Tries before another overlap is chosen. */
  trials?: number;
}

/**
 * Crops at random such that the crop overlaps some object by at least a chosen IoU. Objects whose centre lies in the crop
 * stay, cut to it; a crop must keep one. An overlap that can't be had in `trials` tries makes way for another choice.
 * A picture without objects has nothing to keep: it is cropped without a condition, or not at all, as drawn.
 */
export function iouCrop(options: IouCropOptions = {}): Transform {
  const { minOverlaps = [null, 0.1, 0.3, 0.5, 0.7, 0.9, 0] } = options;
  const { scale = [0.3, 1], aspect = [0.5, 2], trials = 50 } = options;
  const apply = ({ image, objects }: Sample, random: Random): Sample => {
    for (;;) {
      const wanted = random.pick(minOverlaps);
      if (wanted === null) return { image, objects };
      for (let trial = 0; trial < trials; trial++) {
        const window = drawWindow(image, scale, aspect, random);
        if (window === undefined) continue;
        if (objects.length === 0) return { image: cropImage(image, window), objects };
        if (!objects.some((object) => iou(window, object.box) >= wanted)) continue;
        const kept = cropObjects(objects, window);
        if (kept.length > 0) return { image: cropImage(image, window), objects: kept };
      }
      if (!minOverlaps.includes(null)) return { image, objects }; // nothing else would end the search
    }
  };
  const recipe = { name: 'iouCrop', options: { minOverlaps, scale, aspect, trials } };
  return defineTransform(apply, { changesSize: true, recipe });
}

/** A window in whole pixels, or `undefined` when its proportions are out of range. */
function drawWindow(
  { width, height }: RgbImage,
  scale: readonly [number, number],
  aspect: readonly [number, number],
  random: Random,
): Box | undefined {
  const across = random.uniform(scale[0], scale[1]);
  const down = random.uniform(scale[0], scale[1]);
  if (across / down < aspect[0] || across / down > aspect[1]) return undefined;
  const w = Math.max(1, Math.round(width * across));
  const h = Math.max(1, Math.round(height * down));
  const x = random.integer(width - w + 1);
  const y = random.integer(height - h + 1);
  return [x, y, x + w, y + h];
}

/** Objects whose centre lies in the window, cut to it and in its coordinates; those cut are marked truncated. */
export function cropObjects(objects: readonly GroundTruth[], window: Box): GroundTruth[] {
  const [left, top, right, bottom] = window;
  const kept: GroundTruth[] = [];
  for (const object of objects) {
    const [x1, y1, x2, y2] = object.box;
    const cx = (x1 + x2) / 2;
    const cy = (y1 + y2) / 2;
    if (cx <= left || cx >= right || cy <= top || cy >= bottom) continue;
    const cut = x1 < left || y1 < top || x2 > right || y2 > bottom;
    const box: Box = [
      Math.max(x1, left) - left,
      Math.max(y1, top) - top,
      Math.min(x2, right) - left,
      Math.min(y2, bottom) - top,
    ];
    kept.push({ ...object, box, truncated: cut || object.truncated });
  }
  return kept;
}

/** The part of a picture inside a window of whole pixels. */
export function cropImage(image: RgbImage, [left, top, right, bottom]: Box): RgbImage {
  const width = right - left;
  const height = bottom - top;
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * image.width + left) * 3;
    data.set(image.data.subarray(start, start + width * 3), y * width * 3);
  }
  return { width, height, data };
}

function iou(a: Box, b: Box): number {
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const h = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (w <= 0 || h <= 0) return 0;
  const both = w * h;
  return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both);
}
