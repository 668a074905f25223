/** What is wrong with the detections of one image, by TIDE's rules (Bolya et al., ECCV 2020, arXiv 2008.08115, section 2.2). */
import type { Detection, GroundTruth } from '../../boxes/types';
import { cocoIou } from '../coco/matching';
import { descendingOrder } from '../stable-order';

/** TIDE's types of errors, in the order of its tables. */
export const errorTypes = [
  'classification',
  'localisation',
  'both',
  'duplicate',
  'background',
  'missed',
] as const;
/** One of `errorTypes`. */
export type ErrorType = (typeof errorTypes)[number];

/** From which overlap a detection is right, and up to which it is of the background. */
export interface ErrorThresholds {
  readonly iouThreshold: number;
  readonly backgroundThreshold: number;
}

/** A detection, judged. */
export interface JudgedDetection {
  readonly detection: Detection;
  /** Ignored: it found nothing, but lies in a crowd or a difficult object of its class. */
  readonly verdict: 'right' | 'wrong' | 'ignored';
  /** What is wrong with it; ignored ones are looked at, too. */
  readonly error?: Exclude<ErrorType, 'missed'>;
  /** The object that it found, found a second time, or would have found if the error were mended. */
  readonly object?: GroundTruth;
  /** Mending the error makes it right. Of several that would find an object, only the one with the highest score is. */
  readonly mendable: boolean;
}

/** An object to find, and what became of it. */
export interface JudgedObject {
  readonly object: GroundTruth;
  readonly found: boolean;
  /** Neither found, nor by a detection with its class or its box mended. */
  readonly missed: boolean;
}

/** One image, judged: detections from the highest score to the lowest, and the objects to find. */
export interface JudgedImage {
  readonly detections: readonly JudgedDetection[];
  readonly objects: readonly JudgedObject[];
}

/**
 * Judges an image.
 *
 * Detections take objects of their class in the order of their scores, each the one it overlaps most among those still free. One
 * that finds nothing is, the first that holds: badly localised (it overlaps an object of its class, but too little), wrongly
 * classified (it overlaps one of another class enough), a duplicate, background (it overlaps nothing), or both badly localised and
 * wrongly classified.
 * @param most detections looked at, those with the highest scores
 */
export function judgeImage(
  truths: readonly GroundTruth[],
  found: readonly Detection[],
  { iouThreshold, backgroundThreshold }: ErrorThresholds,
  most: number,
): JudgedImage {
  const wanted = truths.filter(({ crowd, difficult }) => !crowd && !difficult);
  const regions = truths.filter(({ crowd, difficult }) => crowd || difficult);
  const order = descendingOrder(found.map(({ score }) => score)).subarray(0, most);
  const detections = Array.from(order, (i) => found[i]);
  const [boxes, wantedBoxes, regionBoxes] = [detections, wanted, regions].map(xywhColumns);
  const G = wanted.length;

  const ious = new Float64Array(detections.length * G);
  const taken = new Uint8Array(G);
  const matches = detections.map(({ label }, d) => {
    let best = -1;
    let highest = 0;
    for (let g = 0; g < G; g++) {
      const value = (ious[d * G + g] = cocoIou(boxes, d, wantedBoxes, g, false));
      if (wanted[g].label === label && !taken[g] && value > highest) {
        highest = value;
        best = g;
      }
    }
    if (highest < iouThreshold) return -1;
    taken[best] = 1;
    return best;
  });
  /** The object a detection overlaps most among those asked for, and how much. */
  const nearest = (d: number, among: (g: number) => boolean): [overlap: number, object: number] => {
    let best = 0;
    let highest = 0;
    for (let g = 0; g < G; g++) {
      if (among(g) && ious[d * G + g] > highest) {
        highest = ious[d * G + g];
        best = g;
      }
    }
    return [highest, best];
  };
  const errorOf = (d: number): [error: Exclude<ErrorType, 'missed'>, object: number] => {
    const { label } = detections[d];
    const [own, ownObject] = nearest(d, (g) => wanted[g].label === label);
    if (own >= backgroundThreshold && own <= iouThreshold) return ['localisation', ownObject];
    const [other, otherObject] = nearest(d, (g) => wanted[g].label !== label);
    if (other >= iouThreshold) return ['classification', otherObject];
    const [double, twice] = nearest(d, (g) => wanted[g].label === label && taken[g] === 1);
    if (double >= iouThreshold) return ['duplicate', twice];
    const [any] = nearest(d, () => true);
    return [any <= backgroundThreshold ? 'background' : 'both', -1];
  };
  // Objects that a detection further up would find, were it mended.
  const claimed = new Uint8Array(G);
  const judged = detections.map((detection, d): JudgedDetection => {
    if (matches[d] >= 0) return { detection, verdict: 'right', object: wanted[matches[d]], mendable: false };
    const { label } = detection;
    const isIgnored = regions.some(
      (region, r) => region.label === label && cocoIou(boxes, d, regionBoxes, r, true) > iouThreshold,
    );
    const [error, g] = errorOf(d);
    const mendable = (error === 'localisation' || error === 'classification') && !taken[g] && !claimed[g];
    if (mendable) claimed[g] = 1;
    return { detection, verdict: isIgnored ? 'ignored' : 'wrong', error, object: wanted[g], mendable };
  });
  return {
    detections: judged,
    objects: wanted.map((object, g) => ({ object, found: taken[g] === 1, missed: !taken[g] && !claimed[g] })),
  };
}

function xywhColumns(items: readonly (GroundTruth | Detection)[]): Float64Array {
  const columns = new Float64Array(4 * items.length);
  items.forEach(({ box: [x1, y1, x2, y2] }, i) => columns.set([x1, y1, x2 - x1, y2 - y1], 4 * i));
  return columns;
}
