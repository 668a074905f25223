/** Four pictures in one. */
import type { Box, GroundTruth } from '../../boxes/types';
import type { Random } from '../../tensor/random';
import { resizeImage, type ResizeMethod } from '../resize';
import { objectRule, settleObjects, type ObjectRule } from './object-rule';
import { checkColour, checkMethod, checkRange, checkWhole } from './options';
import { pastePart } from './placement';
import { defineTransform, filledImage, mapBoxes, type Sample, type Transform } from './transform';

/** Options of `mosaic`. */
export interface MosaicOptions extends ObjectRule {
  /** Longer side of each picture in pixels; the mosaic has twice that as width and height. */
  size: number;
  /** Where the four meet, in shares of the mosaic's side: uniform in this range on each axis, [0.25, 0.75] unless told. */
  centre?: readonly [number, number];
  /** RGB, 0 to 255: YOLOv5's grey unless told. */
  fill?: readonly [number, number, number];
  method?: ResizeMethod;
}

/**
 * Joins the picture and three others at a random point, each with a corner there, and cuts what leaves the mosaic. Takes three
 * partners; which of the four goes where is drawn, too. Introduced by YOLOv4 (arXiv 2004.10934, section 3.3); the sizes are those
 * of YOLOv5's `load_mosaic`, which goes on to cut a random window of `size` x `size`: `compose(mosaic({ size }), randomCrop(...))`,
 * or `largeScaleJitter`.
 * @throws RangeError on options that make no sense.
 */
export function mosaic(options: MosaicOptions): Transform {
  const { size, centre = [0.25, 0.75], fill = [114, 114, 114], method } = options;
  checkWhole('mosaic', 'size', size);
  checkRange('mosaic', 'centre', centre, 0, 1);
  checkColour('mosaic', 'fill', fill);
  checkMethod('mosaic', method);
  const rule = objectRule('mosaic', options);
  const side = 2 * size;
  const apply = (sample: Sample, random: Random, partners: readonly Sample[]): Sample => {
    const centreX = Math.floor(random.uniform(centre[0], centre[1]) * side);
    const centreY = Math.floor(random.uniform(centre[0], centre[1]) * side);
    const canvas = filledImage(side, side, fill);
    const objects: GroundTruth[] = [];
    random.shuffle([sample, ...partners.slice(0, 3)]).forEach((part, quarter) => {
      const scale = size / Math.max(part.image.width, part.image.height);
      const w = Math.max(1, Math.round(part.image.width * scale));
      const h = Math.max(1, Math.round(part.image.height * scale));
      const x = quarter % 2 === 0 ? centreX - w : centreX;
      const y = quarter < 2 ? centreY - h : centreY;
      pastePart(canvas, resizeImage(part.image, w, h, method), x, y);
      const [sx, sy] = [w / part.image.width, h / part.image.height];
      const move = ([x1, y1, x2, y2]: Box): Box => [x1 * sx + x, y1 * sy + y, x2 * sx + x, y2 * sy + y];
      objects.push(...settleObjects(mapBoxes(part.objects, move), side, side, rule));
    });
    return { image: canvas, objects };
  };
  const recipe = { name: 'mosaic', options: { size, centre, fill, method, ...rule } };
  return defineTransform(apply, { changesSize: true, partners: 3, recipe });
}
