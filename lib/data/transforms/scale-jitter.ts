/** Large-scale jitter: the picture at a random scale in a frame of fixed size. */
import type { Box } from '../../boxes/types';
import type { Random } from '../../tensor/random';
import { resizePart, type ResizeMethod } from '../resize';
import { objectRule, settleObjects, type ObjectRule } from './object-rule';
import { checkColour, checkMethod, checkOneOf, checkRange, checkWhole } from './options';
import { drawOffset, pastePart, type FramePadding } from './placement';
import {
  defineTransform,
  filledImage,
  imagenetMean,
  mapBoxes,
  type Sample,
  type Transform,
} from './transform';

/** Options of `largeScaleJitter`. */
export interface ScaleJitterOptions extends ObjectRule {
  /** Size of the result in pixels. */
  width: number;
  height: number;
  /** At 1 the picture just fits into the frame, at 2 it is twice as large: uniform in this range, [0.1, 2] unless told. */
  scale?: readonly [number, number];
  /** Where a picture goes that is smaller than the frame: at its top left corner, unless told. */
  padding?: FramePadding;
  /** RGB, 0 to 255: the mean colour, which is 0 after normalisation, unless told. */
  fill?: readonly [number, number, number];
  /** How pixels are resampled: as `resizeImage` does unless told. */
  method?: ResizeMethod;
}

/**
 * Scales the picture, proportions kept, then crops a window of the frame's size where it is larger and pads where it is smaller.
 * Follows EfficientDet's released code (`set_training_random_scale_factors`: sizes rounded down, offsets drawn apart for the two
 * axes, padding right and below) with its range of [0.1, 2], which is the copy-paste paper's (arXiv 2012.07177, section 3) too;
 * [0.8, 1.25] is the latter's "standard" jitter. Boxes are scaled by the sizes in whole pixels, so that they stay on their
 * pixels. In EfficientDet's figure 8 the large range hurts short training.
 * @throws RangeError on options that make no sense.
 */
export function largeScaleJitter(options: ScaleJitterOptions): Transform {
  const { width, height, scale = [0.1, 2], padding = 'corner', fill = imagenetMean, method } = options;
  const name = 'largeScaleJitter';
  checkWhole(name, 'width', width);
  checkWhole(name, 'height', height);
  checkRange(name, 'scale', scale, Number.MIN_VALUE);
  checkOneOf(name, 'padding', padding, ['corner', 'random']);
  checkColour(name, 'fill', fill);
  checkMethod(name, method);
  const rule = objectRule(name, options);
  const apply = ({ image, objects }: Sample, random: Random): Sample => {
    const drawn = random.uniform(scale[0], scale[1]);
    const factor = drawn * Math.min(width / image.width, height / image.height);
    const w = Math.max(1, Math.floor(image.width * factor));
    const h = Math.max(1, Math.floor(image.height * factor));
    const x = drawOffset(w, width, padding, random);
    const y = drawOffset(h, height, padding, random);
    // Only what the frame shows is computed.
    const [left, top] = [Math.max(0, -x), Math.max(0, -y)];
    const part: Box = [left, top, left + Math.min(w, width), top + Math.min(h, height)];
    const shown = resizePart(image, w, h, part, method);
    const target =
      shown.width === width && shown.height === height ? shown : filledImage(width, height, fill);
    if (target !== shown) pastePart(target, shown, Math.max(0, x), Math.max(0, y));
    const [sx, sy] = [w / image.width, h / image.height];
    const move = ([x1, y1, x2, y2]: Box): Box => [x1 * sx + x, y1 * sy + y, x2 * sx + x, y2 * sy + y];
    return { image: target, objects: settleObjects(mapBoxes(objects, move), width, height, rule) };
  };
  const recipe = { name, options: { width, height, scale, padding, fill, method, ...rule } };
  return defineTransform(apply, { changesSize: true, recipe });
}
