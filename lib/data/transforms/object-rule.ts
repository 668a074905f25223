/**
 * What happens to objects that a transform cuts, covers or shrinks: one rule for all transforms, here.
 *
 * An object's box is cut to what is still seen of it. The object goes when less than `minVisible` of its area is left, or when
 * a side of what is left is below `minSide` pixels of the new picture; boxes without area always go. One that stays keeps its
 * label, `difficult` and `crowd`, and becomes `truncated` when its box was cut. Shares are of the object as it came into the
 * transform. Transforms that show the whole picture at its size or another (flips, `resize`, `resizeShortSide`, `letterbox`,
 * `expand`, colours) keep every object, however small, so that an evaluation loses none; `dropDegenerate` applies the rule there.
 *
 * The defaults: a tenth of the area is what YOLOv5 asks for (`box_candidates`), a side of 1 pixel is that of torchvision's
 * `SanitizeBoundingBoxes`.
 */
import type { Box, GroundTruth } from '../../boxes/types';
import { intersection } from './coverage';
import { checkNumber, checkProbability } from './options';
import { defineTransform, type Sample, type Transform } from './transform';

/** When an object that was cut, covered or shrunk still counts. */
export interface ObjectRule {
  /** Smallest share of its area that must be left of an object, 0 to 1 (0.1 unless told). */
  minVisible?: number;
  /** Smallest side of its box in pixels of the new picture (1 unless told). */
  minSide?: number;
}

/** A movement of a side by less than this many pixels is rounding, not a cut. */
const rounding = 1e-6;

/** The rule with its defaults, checked. */
export function objectRule(transform: string, options: ObjectRule): Required<ObjectRule> {
  const { minVisible = 0.1, minSide = 1 } = options;
  checkProbability(transform, 'minVisible', minVisible);
  checkNumber(transform, 'minSide', minSide, 0);
  return { minVisible, minSide };
}

/**
 * The rule for one object.
 * @param object its box in pixels of the new picture, whole.
 * @param seen the box of what is seen of it.
 * @param share how much of its area that is; that of `seen` unless told (what is seen of a covered object need not fill its box).
 */
export function settleObject(
  object: GroundTruth,
  seen: Box,
  rule: Required<ObjectRule>,
  share: number = area(seen) / area(object.box),
): GroundTruth | undefined {
  const { box } = object;
  const [w, h] = [seen[2] - seen[0], seen[3] - seen[1]];
  // Written so that NaN fails.
  if (!(w > 0 && h > 0 && w >= rule.minSide && h >= rule.minSide && share >= rule.minVisible))
    return undefined;
  const cut = seen.some((side, i) => Math.abs(side - box[i]) > rounding);
  return { ...object, box: seen, ...(cut && { truncated: true }) };
}

/** The rule for the objects of a picture of `width` x `height`; boxes in its pixels, and they may reach beyond it. */
export function settleObjects(
  objects: readonly GroundTruth[],
  width: number,
  height: number,
  rule: Required<ObjectRule>,
): GroundTruth[] {
  const kept: GroundTruth[] = [];
  for (const object of objects) {
    const settled = settleObject(object, intersection(object.box, [0, 0, width, height]), rule);
    if (settled) kept.push(settled);
  }
  return kept;
}

/** Applies the rule to a sample as it is: cuts boxes to the picture and drops objects of which too little is left. */
export function dropDegenerate(options: ObjectRule = {}): Transform {
  const rule = objectRule('dropDegenerate', options);
  const apply = ({ image, objects }: Sample): Sample => ({
    image,
    objects: settleObjects(objects, image.width, image.height, rule),
  });
  return defineTransform(apply, { recipe: { name: 'dropDegenerate', options: rule } });
}

function area([x1, y1, x2, y2]: Box): number {
  return x2 > x1 && y2 > y1 ? (x2 - x1) * (y2 - y1) : 0;
}
