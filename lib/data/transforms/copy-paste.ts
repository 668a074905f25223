/** Copy-paste augmentation with boxes: regions of another picture on top of this one. */
import type { Box, GroundTruth } from '../../boxes/types';
import type { Random } from '../../tensor/random';
import { coverage, intersection } from './coverage';
import { objectRule, settleObject, type ObjectRule } from './object-rule';
import { checkProbability, checkWhole } from './options';
import { defineTransform, type Sample, type Transform } from './transform';

/** Options of `copyPaste`. */
export interface CopyPasteOptions extends ObjectRule {
  /** Probability of pasting at all (1 unless told). */
  probability?: number;
  /** Most objects to paste; no bound unless told. */
  maxObjects?: number;
  /** Applied to the other picture first, such as a `largeScaleJitter` and a flip of its own. */
  before?: Transform;
}

/**
 * Pastes a random choice of another picture's objects (at least one, up to all) onto this one, at their own coordinates, without
 * blending, as "Simple Copy-Paste" does (arXiv 2012.07177, section 3), which jitters scale and flips both pictures first:
 * `compose(jitter, flip, copyPaste({ before: compose(jitter, flip) }))`. Without masks, whole boxes are pasted, rounded outwards
 * to pixels; crowds are not chosen. Takes one partner, and those of `before`.
 *
 * An object that is partly covered keeps the box of what is still seen of it, by the rule for all transforms: it goes when less
 * than `minVisible` of its area is free, and is truncated only when its box gets smaller. What else the pasted regions show
 * of the other picture's objects comes with them by the same rule.
 * @throws RangeError on options that make no sense.
 */
export function copyPaste(options: CopyPasteOptions = {}): Transform {
  const { probability = 1, maxObjects, before } = options;
  checkProbability('copyPaste', 'probability', probability);
  if (maxObjects !== undefined) checkWhole('copyPaste', 'maxObjects', maxObjects);
  const rule = objectRule('copyPaste', options);
  const apply = (sample: Sample, random: Random, partners: readonly Sample[]): Sample => {
    if (random.next() >= probability) return sample;
    const other = before ? before(partners[0], random, partners.slice(1)) : partners[0];
    const frame = intersection(frameOf(sample), frameOf(other));
    const candidates = other.objects.filter(
      (object) => !object.crowd && settleObject(object, intersection(object.box, frame), rule),
    );
    if (candidates.length === 0) return sample;
    const count = 1 + random.integer(Math.min(candidates.length, maxObjects ?? candidates.length));
    const regions = random
      .shuffle(candidates)
      .slice(0, count)
      .map(({ box: [x1, y1, x2, y2] }) =>
        intersection([Math.floor(x1), Math.floor(y1), Math.ceil(x2), Math.ceil(y2)], frame),
      );
    return {
      image: pasteRegions(sample, other, regions),
      objects: objectsAfter(sample, other, regions, rule),
    };
  };
  const recipe =
    before && before.recipe === undefined
      ? undefined
      : { name: 'copyPaste', options: { probability, maxObjects, before: before?.recipe, ...rule } };
  const { changesSize, partners = 0 } = before ?? {};
  return defineTransform(apply, { changesSize, partners: 1 + partners, recipe });
}

function frameOf({ image }: Sample): Box {
  return [0, 0, image.width, image.height];
}

function pasteRegions({ image }: Sample, other: Sample, regions: readonly Box[]): Sample['image'] {
  const data = image.data.slice();
  for (const [left, top, right, bottom] of regions) {
    for (let y = top; y < bottom; y++) {
      const row = y * other.image.width;
      const part = other.image.data.subarray((row + left) * 3, (row + right) * 3);
      data.set(part, (y * image.width + left) * 3);
    }
  }
  return { ...image, data };
}

function objectsAfter(
  sample: Sample,
  other: Sample,
  regions: readonly Box[],
  rule: Required<ObjectRule>,
): GroundTruth[] {
  const result: GroundTruth[] = [];
  const add = (object: GroundTruth, part: 'free' | 'covered'): void => {
    const { [part]: seen } = coverage(object.box, regions);
    const [x1, y1, x2, y2] = object.box;
    const settled = settleObject(object, seen.bounds, rule, seen.area / ((x2 - x1) * (y2 - y1)));
    if (settled) result.push(settled);
  };
  for (const object of sample.objects) add(object, 'free');
  for (const object of other.objects) add(object, 'covered');
  return result;
}
