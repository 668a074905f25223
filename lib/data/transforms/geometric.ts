/** Transforms that keep the whole picture, and with it every object: mirrors, resize, letterbox. */
import type { Box } from '../../boxes/types';
import type { Random } from '../../tensor/random';
import { resizeImage, type ResizeMethod } from '../resize';
import type { RgbImage } from '../types';
import { checkColour, checkMethod, checkOneOf, checkProbability, checkWhole } from './options';
import {
  defineTransform,
  filledImage,
  imagenetMean,
  mapBoxes,
  pasteImage,
  type Sample,
  type Transform,
} from './transform';

/** Mirrors left and right, with a probability of a half unless told otherwise. */
export function flipHorizontal(probability = 0.5): Transform {
  checkProbability('flipHorizontal', 'probability', probability);
  const apply = ({ image, objects }: Sample, random: Random): Sample => {
    if (random.next() >= probability) return { image, objects };
    const { width, height } = image;
    const data = new Uint8Array(image.data.length);
    for (let y = 0; y < height; y++) {
      let target = y * width * 3;
      for (let source = target + (width - 1) * 3; source >= y * width * 3; source -= 3, target += 3) {
        data[target] = image.data[source];
        data[target + 1] = image.data[source + 1];
        data[target + 2] = image.data[source + 2];
      }
    }
    const mirror = ([x1, y1, x2, y2]: Box): Box => [width - x2, y1, width - x1, y2];
    return { image: { width, height, data }, objects: mapBoxes(objects, mirror) };
  };
  return defineTransform(apply, { recipe: { name: 'flipHorizontal', options: { probability } } });
}

/** Turns upside down, with a probability of a half unless told otherwise: for pictures without an up, such as microscopy. */
export function flipVertical(probability = 0.5): Transform {
  checkProbability('flipVertical', 'probability', probability);
  const apply = ({ image, objects }: Sample, random: Random): Sample => {
    if (random.next() >= probability) return { image, objects };
    const { width, height } = image;
    const row = width * 3;
    const data = new Uint8Array(image.data.length);
    for (let y = 0; y < height; y++) {
      data.set(image.data.subarray(y * row, (y + 1) * row), (height - 1 - y) * row);
    }
    const mirror = ([x1, y1, x2, y2]: Box): Box => [x1, height - y2, x2, height - y1];
    return { image: { width, height, data }, objects: mapBoxes(objects, mirror) };
  };
  return defineTransform(apply, { recipe: { name: 'flipVertical', options: { probability } } });
}

/** Stretches to `width` x `height`, boxes with it (the proportions change; a box's share of the picture does not). */
export function resize(width: number, height: number, method?: ResizeMethod): Transform {
  checkWhole('resize', 'width', width);
  checkWhole('resize', 'height', height);
  checkMethod('resize', method);
  const apply = ({ image, objects }: Sample): Sample => {
    const sx = width / image.width;
    const sy = height / image.height;
    const scale = ([x1, y1, x2, y2]: Box): Box => [x1 * sx, y1 * sy, x2 * sx, y2 * sy];
    return { image: resizeImage(image, width, height, method), objects: mapBoxes(objects, scale) };
  };
  const recipe = { name: 'resize', options: { width, height, method } };
  return defineTransform(apply, { changesSize: true, recipe });
}

/** How a picture was fitted: `x' = x * scaleX + offsetX`, and so for y. */
export interface Fit {
  readonly scaleX: number;
  readonly scaleY: number;
  readonly offsetX: number;
  readonly offsetY: number;
}

/** Takes a box from the fitted picture back to the original one. */
export function unfitBox([x1, y1, x2, y2]: Box, { scaleX, scaleY, offsetX, offsetY }: Fit): Box {
  return [(x1 - offsetX) / scaleX, (y1 - offsetY) / scaleY, (x2 - offsetX) / scaleX, (y2 - offsetY) / scaleY];
}

/** Options of `letterbox`. */
export interface LetterboxOptions {
  /**
   * Where the picture lies: `centre` (default), on whole pixels; or `corner`, top left, as EfficientDet's authors and effdet have it, who
   * round its sides down and move boxes by the scale before rounding.
   */
  readonly position?: 'centre' | 'corner';
  /** Colour of the rest, RGB from 0 to 255. Default: ImageNet's mean. */
  readonly fill?: readonly [number, number, number];
  /** How pixels are resampled: as `resizeImage` does unless told; effdet: `antialias`. */
  readonly method?: ResizeMethod;
}

type Size = Pick<RgbImage, 'width' | 'height'>;

/** Size in whole pixels of a picture in its frame. */
function letterboxSize(from: Size, frame: Size, position: LetterboxOptions['position']): Size {
  const scale = Math.min(frame.width / from.width, frame.height / from.height);
  const whole = position === 'corner' ? Math.floor : Math.round;
  const side = (pixels: number): number => Math.max(1, whole(pixels * scale));
  return { width: side(from.width), height: side(from.height) };
}

/** Where `letterbox` puts a picture of a given size, scaled to fit. */
export function letterboxFit(
  from: Size,
  width: number,
  height: number,
  position: LetterboxOptions['position'] = 'centre',
): Fit {
  if (position === 'corner') {
    const scale = Math.min(width / from.width, height / from.height);
    return { scaleX: scale, scaleY: scale, offsetX: 0, offsetY: 0 };
  }
  const inner = letterboxSize(from, { width, height }, position);
  return {
    scaleX: inner.width / from.width,
    scaleY: inner.height / from.height,
    offsetX: Math.floor((width - inner.width) / 2),
    offsetY: Math.floor((height - inner.height) / 2),
  };
}

/** Scales to fit into `width` x `height` with the proportions kept, and fills the rest. */
export function letterbox(width: number, height: number, options: LetterboxOptions = {}): Transform {
  const { position = 'centre', fill = imagenetMean, method } = options;
  checkWhole('letterbox', 'width', width);
  checkWhole('letterbox', 'height', height);
  checkOneOf('letterbox', 'position', position, ['centre', 'corner']);
  checkColour('letterbox', 'fill', fill);
  checkMethod('letterbox', method);
  const apply = ({ image, objects }: Sample): Sample => {
    const { scaleX, scaleY, offsetX, offsetY } = letterboxFit(image, width, height, position);
    const size = letterboxSize(image, { width, height }, position);
    const inner = resizeImage(image, size.width, size.height, method);
    const target = filledImage(width, height, fill);
    pasteImage(target, inner, offsetX, offsetY);
    const move = ([x1, y1, x2, y2]: Box): Box => [
      x1 * scaleX + offsetX,
      y1 * scaleY + offsetY,
      x2 * scaleX + offsetX,
      y2 * scaleY + offsetY,
    ];
    return { image: target, objects: mapBoxes(objects, move) };
  };
  const recipe = { name: 'letterbox', options: { width, height, position, fill, method } };
  return defineTransform(apply, { changesSize: true, recipe });
}
