/** Transforms that keep the whole picture, and with it every object: mirrors, resize, letterbox. */
import type { Box } from '../../boxes/types';
import type { Random } from '../../tensor/random';
import { resizeImage, type ResizeMethod } from '../resize';
import { checkColour, checkMethod, checkProbability, checkWhole } from './options';
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

/** Where `letterbox` puts a picture of a given size: scaled to fit, centred on whole pixels. */
export function letterboxFit(from: { width: number; height: number }, width: number, height: number): Fit {
  const scale = Math.min(width / from.width, height / from.height);
  const w = Math.max(1, Math.round(from.width * scale));
  const h = Math.max(1, Math.round(from.height * scale));
  const [offsetX, offsetY] = [Math.floor((width - w) / 2), Math.floor((height - h) / 2)];
  return { scaleX: w / from.width, scaleY: h / from.height, offsetX, offsetY };
}

/** Scales to fit into `width` x `height` with the proportions kept, and fills the rest. */
export function letterbox(
  width: number,
  height: number,
  fill: readonly [number, number, number] = imagenetMean,
): Transform {
  checkWhole('letterbox', 'width', width);
  checkWhole('letterbox', 'height', height);
  checkColour('letterbox', 'fill', fill);
  const apply = ({ image, objects }: Sample): Sample => {
    const { scaleX, scaleY, offsetX, offsetY } = letterboxFit(image, width, height);
    const inner = resizeImage(image, Math.round(image.width * scaleX), Math.round(image.height * scaleY));
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
  const recipe = { name: 'letterbox', options: { width, height, fill } };
  return defineTransform(apply, { changesSize: true, recipe });
}
