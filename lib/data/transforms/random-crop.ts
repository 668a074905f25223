/** Pictures of one fixed size by cropping and padding, without a change of scale. */
import type { Random } from '../../tensor/random';
import { objectRule, type ObjectRule } from './object-rule';
import { checkColour, checkOneOf, checkWhole } from './options';
import { drawOffset, placeInFrame, type FramePadding } from './placement';
import { defineTransform, imagenetMean, type Sample, type Transform } from './transform';

/** Options of `randomCrop`. */
export interface RandomCropOptions extends ObjectRule {
  /** Size of the result in pixels. */
  width: number;
  height: number;
  /** Where a picture goes that is smaller than that: anywhere, unless told. */
  padding?: FramePadding;
  /** RGB, 0 to 255. */
  fill?: readonly [number, number, number];
}

/**
 * A window of `width` x `height` of the picture, uniformly drawn; an axis on which the picture is smaller is padded instead
 * (torchvision's `RandomCrop` with `pad_if_needed`; with `padding: 'corner'` Detectron2's `FixedSizeCrop`).
 * @throws RangeError on options that make no sense.
 */
export function randomCrop(options: RandomCropOptions): Transform {
  const { width, height, padding = 'random', fill = imagenetMean } = options;
  checkWhole('randomCrop', 'width', width);
  checkWhole('randomCrop', 'height', height);
  checkOneOf('randomCrop', 'padding', padding, ['corner', 'random']);
  checkColour('randomCrop', 'fill', fill);
  const rule = objectRule('randomCrop', options);
  const apply = (sample: Sample, random: Random): Sample => {
    const x = drawOffset(sample.image.width, width, padding, random);
    const y = drawOffset(sample.image.height, height, padding, random);
    return placeInFrame(sample, width, height, [x, y], fill, rule);
  };
  const recipe = { name: 'randomCrop', options: { width, height, padding, fill, ...rule } };
  return defineTransform(apply, { changesSize: true, recipe });
}
