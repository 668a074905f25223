/** Resizing as two-stage detectors and RetinaNet do: by the shorter side, with a bound on the longer one. */
import type { Box } from '../../boxes/types';
import type { Random } from '../../tensor/random';
import { resizeImage, type ResizeMethod } from '../resize';
import { checkMethod, checkOneOf, checkWhole } from './options';
import { defineTransform, mapBoxes, type Sample, type Transform } from './transform';

/** Options of `resizeShortSide`. */
export interface ResizeShortSideOptions {
  /** The shorter side in pixels; one of several is drawn (multi-scale training: Detectron2's 640, 672, ... 800). */
  shortSide: number | readonly number[];
  /** Most pixels of the longer side; no bound unless told. */
  maxSize?: number;
  /** How sizes are rounded to whole pixels: `detectron2` (unless told) to the nearest, `torchvision` down. */
  rounding?: SizeRounding;
  /** How pixels are resampled: as `resizeImage` does unless told; Detectron2 and torchvision: `antialias`. */
  method?: ResizeMethod;
}

/** Whose rule for whole pixels: Detectron2's `ResizeShortestEdge` or torchvision's `Resize`. */
export type SizeRounding = 'detectron2' | 'torchvision';

/**
 * Scales the picture, proportions kept, so that its shorter side has `shortSide` pixels, or less where the longer one would get
 * more than `maxSize`. Sizes differ from picture to picture. Faster R-CNN and RetinaNet on COCO: 800 and 1333.
 * @throws RangeError on options that make no sense.
 */
export function resizeShortSide(options: ResizeShortSideOptions): Transform {
  const { shortSide, maxSize, rounding = 'detectron2', method } = options;
  const sides = typeof shortSide === 'number' ? [shortSide] : [...shortSide];
  if (sides.length === 0)
    throw new RangeError('resizeShortSide: shortSide is an empty list; give a size at least');
  for (const side of sides) {
    checkWhole('resizeShortSide', 'shortSide', side);
    if (maxSize !== undefined) checkWhole('resizeShortSide', 'maxSize', maxSize, side);
  }
  checkOneOf('resizeShortSide', 'rounding', rounding, ['detectron2', 'torchvision']);
  checkMethod('resizeShortSide', method);
  const apply = ({ image, objects }: Sample, random: Random): Sample => {
    const side = sides.length === 1 ? sides[0] : random.pick(sides);
    const [width, height] = shortSideSize(image, side, maxSize, rounding);
    const [sx, sy] = [width / image.width, height / image.height];
    const scale = ([x1, y1, x2, y2]: Box): Box => [x1 * sx, y1 * sy, x2 * sx, y2 * sy];
    return { image: resizeImage(image, width, height, method), objects: mapBoxes(objects, scale) };
  };
  const recipe = { name: 'resizeShortSide', options: { shortSide: sides, maxSize, rounding, method } };
  return defineTransform(apply, { changesSize: true, recipe });
}

/** The size that `resizeShortSide` gives a picture: `[width, height]`. */
export function shortSideSize(
  from: { readonly width: number; readonly height: number },
  shortSide: number,
  maxSize: number = Infinity,
  rounding: SizeRounding = 'detectron2',
): [width: number, height: number] {
  const wide = from.width >= from.height;
  const [short, long] = wide ? [from.height, from.width] : [from.width, from.height];
  let [newShort, newLong] = [shortSide, (shortSide / short) * long];
  if (rounding === 'torchvision') {
    newLong = Math.floor((shortSide * long) / short);
    if (newLong > maxSize) [newShort, newLong] = [Math.floor((maxSize * newShort) / newLong), maxSize];
  } else {
    if (newLong > maxSize) {
      const scale = maxSize / newLong;
      [newShort, newLong] = [newShort * scale, newLong * scale];
    }
    [newShort, newLong] = [Math.floor(newShort + 0.5), Math.floor(newLong + 0.5)];
  }
  newShort = Math.max(1, newShort);
  return wide ? [newLong, newShort] : [newShort, newLong];
}
