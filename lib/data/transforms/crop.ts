/** SSD's zoom augmentation: zoom out by padding, zoom in by crops that keep some object in sight (paper, section 2.2). */
import { iou } from '../../boxes/geometry';
import type { Box, GroundTruth } from '../../boxes/types';
import type { Random } from '../../tensor/random';
import type { RgbImage } from '../types';
import { objectRule, settleObjects, type ObjectRule } from './object-rule';
import { checkColour, checkNumber, checkOneOf, checkProbability, checkRange, checkWhole } from './options';
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

/**
 * Places the picture at random on a larger canvas of the mean colour: makes small objects out of large ones, once scaled back
 * (SSD's `ExpandImage`, torchvision's `RandomZoomOut`).
 * @throws RangeError on options that make no sense.
 */
export function expand(options: ExpandOptions = {}): Transform {
  const { probability = 0.5, maxRatio = 4, fill = imagenetMean } = options;
  checkProbability('expand', 'probability', probability);
  checkNumber('expand', 'maxRatio', maxRatio, 1);
  checkColour('expand', 'fill', fill);
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
export interface IouCropOptions extends ObjectRule {
  /** Overlaps (IoU of crop and some object) to choose from; `null` keeps the whole picture, 0 asks for nothing. */
  minOverlaps?: readonly (number | null)[];
  /** Side of the crop as a share of the picture's: the root of its share of the area (`caffe`), or for each axis (`torchvision`). */
  scale?: readonly [number, number];
  /** Width over height of the crop: in shares of the picture (`caffe`), or in pixels (`torchvision`). */
  aspect?: readonly [number, number];
  /** Tries before another overlap is chosen. */
  trials?: number;
  /** Whose rule draws windows: that of SSD's own code in Caffe, unless told. */
  sampling?: 'caffe' | 'torchvision';
}

/**
 * Crops at random such that the crop overlaps some object by at least a chosen IoU. Objects whose centre lies in the crop
 * stay, cut to it; a crop must keep one. An overlap that can't be had in `trials` tries makes way for another choice; when none
 * can be had, the picture stays whole. A picture without objects has nothing to keep: it is cropped without a condition, or not
 * at all, as drawn.
 *
 * `caffe` draws scale and proportions uniformly (`SampleBBox` of SSD's Caffe fork), and any object may have the overlap.
 * `torchvision` draws width and height apart, throws disproportionate ones away, and asks for the overlap of an object whose
 * centre is inside (`RandomIoUCrop`; its `trials` is 40). Both leave SSD's code in that a crop without an object is not taken.
 * @throws RangeError on options that make no sense.
 */
export function iouCrop(options: IouCropOptions = {}): Transform {
  const { minOverlaps = [null, 0.1, 0.3, 0.5, 0.7, 0.9, 0], sampling = 'caffe' } = options;
  const { scale = [0.3, 1], aspect = [0.5, 2], trials = 50 } = options;
  if (minOverlaps.length === 0)
    throw new RangeError('iouCrop: minOverlaps is empty; give an overlap, or null');
  for (const overlap of minOverlaps) {
    if (overlap !== null) checkProbability('iouCrop', 'an overlap of minOverlaps', overlap);
  }
  checkRange('iouCrop', 'scale', scale, Number.MIN_VALUE, 1);
  checkRange('iouCrop', 'aspect', aspect, Number.MIN_VALUE);
  checkWhole('iouCrop', 'trials', trials);
  checkOneOf('iouCrop', 'sampling', sampling, ['caffe', 'torchvision']);
  const rule = objectRule('iouCrop', options);
  const draw = sampling === 'caffe' ? drawCaffeWindow : drawTorchvisionWindow;
  const apply = ({ image, objects }: Sample, random: Random): Sample => {
    let choices = minOverlaps;
    while (choices.length > 0) {
      const wanted = random.pick(choices);
      if (wanted === null) break;
      for (let trial = 0; trial < trials; trial++) {
        const window = draw(image, scale, aspect, random);
        if (window === undefined) continue;
        if (objects.length === 0) return { image: cropImage(image, window), objects };
        const judged =
          sampling === 'caffe' ? objects : objects.filter(({ box }) => centreInside(box, window));
        if (!judged.some(({ box }) => iou(window, box) >= wanted)) continue;
        const kept = cropObjects(objects, window, rule);
        if (kept.length > 0) return { image: cropImage(image, window), objects: kept };
      }
      choices = choices.filter((choice) => choice !== wanted);
    }
    return { image, objects };
  };
  const recipe = { name: 'iouCrop', options: { minOverlaps, scale, aspect, trials, sampling, ...rule } };
  return defineTransform(apply, { changesSize: true, recipe });
}

/** Draws a window in whole pixels, or `undefined` when its proportions are out of range. */
type DrawWindow = (
  image: RgbImage,
  scale: readonly [number, number],
  aspect: readonly [number, number],
  random: Random,
) => Box | undefined;

const drawCaffeWindow: DrawWindow = ({ width, height }, scale, aspect, random) => {
  const share = random.uniform(scale[0], scale[1]);
  // No wider nor higher than the picture.
  const least = Math.max(aspect[0], share * share);
  const most = Math.min(aspect[1], 1 / (share * share));
  const proportion = random.uniform(least, most);
  const across = share * Math.sqrt(proportion);
  const down = share / Math.sqrt(proportion);
  if (least > most || across > 1 || down > 1) return undefined;
  const x = Math.floor(random.next() * (1 - across) * width);
  const y = Math.floor(random.next() * (1 - down) * height);
  return [x, y, x + Math.max(1, Math.floor(across * width)), y + Math.max(1, Math.floor(down * height))];
};

const drawTorchvisionWindow: DrawWindow = ({ width, height }, scale, aspect, random) => {
  const w = Math.floor(width * random.uniform(scale[0], scale[1]));
  const h = Math.floor(height * random.uniform(scale[0], scale[1]));
  if (w === 0 || h === 0 || w / h < aspect[0] || w / h > aspect[1]) return undefined;
  const x = Math.floor((width - w) * random.next());
  const y = Math.floor((height - h) * random.next());
  return [x, y, x + w, y + h];
};

/**
 * Objects whose centre lies in the window (its border does not count), cut to it and in its coordinates.
 * @param options the rule for what is left of them; half of each side is, at least.
 */
export function cropObjects(
  objects: readonly GroundTruth[],
  window: Box,
  options: ObjectRule = {},
): GroundTruth[] {
  const [left, top, right, bottom] = window;
  const inside = objects.filter(({ box }) => centreInside(box, window));
  const moved = mapBoxes(inside, ([x1, y1, x2, y2]) => [x1 - left, y1 - top, x2 - left, y2 - top]);
  return settleObjects(moved, right - left, bottom - top, objectRule('cropObjects', options));
}

function centreInside([x1, y1, x2, y2]: Box, [left, top, right, bottom]: Box): boolean {
  const cx = (x1 + x2) / 2;
  const cy = (y1 + y2) / 2;
  return cx > left && cx < right && cy > top && cy < bottom;
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
