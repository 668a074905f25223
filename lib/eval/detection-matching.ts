/**
 * Which detections are right: those of one image and one class against its objects, by Pascal VOC's rule (development kit,
 * section 4.4): detections in the order of their scores, each compared with the object it overlaps most.
 */
import { boxArea, iou as boxIou } from '../boxes/geometry';
import type { Box, GroundTruth } from '../boxes/types';

/** What a detection turned out to be. */
export const outcomes = { falsePositive: 0, truePositive: 1, ignored: 2 } as const;

/** One of `outcomes`. */
export type Outcome = (typeof outcomes)[keyof typeof outcomes];

/** What counts as found. */
export interface DetectionMatchOptions {
  /** IoU from which a detection finds an object, inclusive. */
  readonly iouThreshold: number;
  /**
   * Only objects whose area in square pixels lies in `[from, to)` count. Others are ignored, as is a detection that finds
   * nothing and has such an area itself (COCO's rule for its size ranges).
   */
  readonly areaRange?: readonly [from: number, to: number];
}

/** Whether evaluation skips the object: difficult, a crowd, or out of the range of sizes. */
export function isIgnored(object: GroundTruth, areaRange: DetectionMatchOptions['areaRange']): boolean {
  return object.difficult === true || object.crowd === true || outside(object.box, areaRange);
}

/**
 * The outcome of each detection, in the order given, which must be from the highest score to the lowest.
 *
 * A detection's object is the one with the highest IoU (the earlier one when tied), even if that one has been found already: then
 * the detection is a duplicate, a false positive. A detection of an ignored object counts neither way, however often.
 */
export function matchDetections(
  objects: readonly GroundTruth[],
  detections: readonly Box[],
  { iouThreshold, areaRange }: DetectionMatchOptions,
): Outcome[] {
  const found = new Uint8Array(objects.length);
  return detections.map((box): Outcome => {
    let best = -1;
    let bestIou = 0;
    for (let j = 0; j < objects.length; j++) {
      const value = boxIou(box, objects[j].box);
      if (value > bestIou) {
        bestIou = value;
        best = j;
      }
    }
    if (best < 0 || bestIou < iouThreshold) {
      return outside(box, areaRange) ? outcomes.ignored : outcomes.falsePositive;
    }
    if (isIgnored(objects[best], areaRange)) return outcomes.ignored;
    if (found[best]) return outcomes.falsePositive;
    found[best] = 1;
    return outcomes.truePositive;
  });
}

function outside(box: Box, areaRange: DetectionMatchOptions['areaRange']): boolean {
  if (!areaRange) return false;
  const area = boxArea(box);
  return area < areaRange[0] || area >= areaRange[1];
}
