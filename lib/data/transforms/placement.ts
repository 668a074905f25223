/** Placing a picture in a frame of fixed size: it is cropped where it is larger and padded where it is smaller. */
import type { Box } from '../../boxes/types';
import type { Random } from '../../tensor/random';
import type { RgbImage } from '../types';
import { settleObjects, type ObjectRule } from './object-rule';
import { filledImage, mapBoxes, type Sample } from './transform';

/** Where a picture goes that is smaller than its frame: `corner` is top left, `random` anywhere. */
export type FramePadding = 'corner' | 'random';

/**
 * Draws where the picture's top left corner comes to lie on one axis: 0 or less where it is cropped, 0 or more where padded.
 * Every axis takes one draw, so that what follows does not depend on the sizes.
 */
export function drawOffset(size: number, frame: number, padding: FramePadding, random: Random): number {
  const at = Math.floor(random.next() * (Math.abs(size - frame) + 1));
  if (size >= frame) return -at;
  return padding === 'random' ? at : 0;
}

/** Copies the part of `source` that lies in `target` when its top left corner is at (x, y), which may be outside. */
export function pastePart(target: RgbImage, source: RgbImage, x: number, y: number): void {
  const [fromX, toX] = [Math.max(0, -x), Math.min(source.width, target.width - x)];
  const [fromY, toY] = [Math.max(0, -y), Math.min(source.height, target.height - y)];
  if (toX <= fromX) return;
  for (let j = fromY; j < toY; j++) {
    const row = j * source.width;
    const part = source.data.subarray((row + fromX) * 3, (row + toX) * 3);
    target.data.set(part, ((y + j) * target.width + x + fromX) * 3);
  }
}

/** The sample in a frame of `width` x `height`, its top left corner at (x, y); objects by the rule. */
export function placeInFrame(
  { image, objects }: Sample,
  width: number,
  height: number,
  [x, y]: readonly [number, number],
  fill: readonly [number, number, number],
  rule: Required<ObjectRule>,
): Sample {
  const target = filledImage(width, height, fill);
  pastePart(target, image, x, y);
  const move = ([x1, y1, x2, y2]: Box): Box => [x1 + x, y1 + y, x2 + x, y2 + y];
  return { image: target, objects: settleObjects(mapBoxes(objects, move), width, height, rule) };
}
