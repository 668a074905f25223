/**
 * Which anchor is responsible for which object.
 *
 * SSD (Liu et al., ECCV 2016, section 2.2): an anchor is positive for the object it overlaps most if their IoU is at least 0.5
 * ("per prediction"); besides, every object gets the anchor it overlaps most, whatever the IoU, so that none is lost
 * ("bipartite"). RetinaNet, Faster R-CNN and EfficientDet have other thresholds and other ways to lose no object:
 * `retinaNetMatching` and its like below are their options.
 *
 * IoU is computed in float32, step by step as torchvision's `box_iou` and the EfficientDet release do, so that a threshold or a tie
 * that rounding decides is decided as there.
 */
import { type BoxArray, boxCount } from './geometry';
import type { GroundTruth } from './types';

/** Label of an anchor that must learn to say "nothing here". */
export const backgroundLabel = -1;
/** Label of an anchor that training must leave alone. */
export const ignoreLabel = -2;

/** Options of `matchAnchors`. */
export interface MatchOptions {
  /** IoU from which an anchor is positive, inclusive. Default 0.5. */
  readonly positiveIou?: number;
  /** IoU below which an unmatched anchor is background; from there to `positiveIou` it is ignored. Default `positiveIou`. */
  readonly negativeIou?: number;
  /**
   * How every object gets an anchor:
   * - `independent` (default; ssd.pytorch, torchvision): each takes its best anchor, the lower index when tied; where two want
   *   the same, the later object takes it, and the earlier one keeps only what its IoU earns;
   * - `greedy` (Caffe SSD): the pair with the highest IoU of all is matched and both leave the pool, until no object is left; so
   *   every object gets one of its own;
   * - `low-quality` (torchvision's `Matcher` with low-quality matches: RetinaNet, region proposals): every anchor whose IoU with
   *   some object is the highest which that object has, ties included, is positive, and for the object that it overlaps most
   *   itself, which may be another one;
   * - `force` (the EfficientDet release's `ArgMaxMatcher`): each takes its best anchor, the lower index when tied; where two want
   *   the same, the earlier object has it, and the later one keeps only what its IoU earns;
   * - `none` (Faster R-CNN's box head): only IoU counts, and objects that fit no anchor are not learnt.
   *
   * Departure from all of them: an object that overlaps no anchor at all stays unmatched. ssd.pytorch, torchvision's SSD and
   * EfficientDet give it anchor 0; torchvision's low-quality matches make every anchor beside it positive.
   */
  readonly bipartite?: 'independent' | 'greedy' | 'low-quality' | 'force' | 'none';
  /**
   * What becomes of objects marked difficult: `use` (default; SSD on VOC) them like others, `drop` them, or `ignore`: they match
   * nothing, and unmatched anchors with `positiveIou` or more on them are ignored.
   */
  readonly difficult?: 'use' | 'drop' | 'ignore';
  /** The same for crowds, whose overlap is counted relative to the anchor's area as COCO does. Default `drop`. */
  readonly crowd?: 'use' | 'drop' | 'ignore';
}

/** RetinaNet's (Lin et al., ICCV 2017, section 4; torchvision): positive from 0.5, background below 0.4, ignored between. */
export const retinaNetMatching: MatchOptions = {
  positiveIou: 0.5,
  negativeIou: 0.4,
  bipartite: 'low-quality',
};
/** That of region proposals (Ren et al., NeurIPS 2015, section 3.1.2; torchvision): positive from 0.7, background below 0.3. */
export const rpnMatching: MatchOptions = { positiveIou: 0.7, negativeIou: 0.3, bipartite: 'low-quality' };
/** That of Faster R-CNN's box head, whose anchors are proposals (torchvision): positive from 0.5, background below. */
export const roiMatching: MatchOptions = { positiveIou: 0.5, bipartite: 'none' };
/** EfficientDet's (the authors' release): positive from 0.5, background below, and the best anchor of each object. */
export const efficientDetMatching: MatchOptions = { positiveIou: 0.5, bipartite: 'force' };

/** The verdict on every anchor. */
export interface AnchorMatches {
  /** `[A]`: class id from 0, or `backgroundLabel` (-1), or `ignoreLabel` (-2). */
  readonly labels: Int32Array;
  /** `[A]`: index of the matched object in the list that was given; -1 unless positive. */
  readonly objects: Int32Array;
  /** `[A]`: IoU with the matched object; for others, the highest IoU with any object that may be matched. */
  readonly iou: Float32Array;
  /** How many anchors are positive. */
  readonly positives: number;
}

/** What becomes of an object by its marks. */
export function objectRole(
  object: Pick<GroundTruth, 'difficult' | 'crowd'>,
  { difficult = 'use', crowd = 'drop' }: Pick<MatchOptions, 'difficult' | 'crowd'>,
): 'use' | 'drop' | 'ignore' {
  if (object.crowd && crowd !== 'use') return crowd;
  return object.difficult ? difficult : 'use';
}

/**
 * Matches anchors to one image's objects. Without objects, every anchor is background.
 * @param anchors `[A, 4]` xyxy
 * @param objects in the anchors' coordinates; degenerate boxes match nothing
 */
export function matchAnchors(
  anchors: BoxArray,
  objects: readonly GroundTruth[],
  options: MatchOptions = {},
): AnchorMatches {
  const { bipartite = 'independent' } = options;
  // In float32, as the IoU that is compared with them.
  const positiveIou = Math.fround(options.positiveIou ?? 0.5);
  const negativeIou = Math.fround(options.negativeIou ?? positiveIou);
  if (negativeIou > positiveIou) {
    throw new RangeError(
      `matchAnchors: negativeIou ${options.negativeIou} is above positiveIou ${options.positiveIou ?? 0.5}`,
    );
  }
  const count = boxCount(anchors);
  const used: number[] = [];
  objects.forEach((object, index) => {
    if (objectRole(object, options) === 'use') used.push(index);
  });

  const areas = areasInSingle(anchors);
  // The best object of every anchor, and the best anchor of every object.
  const best = new Float32Array(count);
  const bestObject = new Int32Array(count).fill(-1);
  const chosen: ObjectAnchors = {
    anchor: new Int32Array(used.length).fill(-1),
    iou: new Float32Array(used.length),
  };
  // Only the greedy rule looks at a pair twice.
  const overlaps = bipartite === 'greedy' ? new Float32Array(used.length * count) : undefined;
  for (let u = 0; u < used.length; u++) {
    const row = overlaps?.subarray(u * count, (u + 1) * count);
    let highest = 0;
    let highestAt = -1;
    forEachOverlap(anchors, areas, objects[used[u]], false, (a, value) => {
      if (row) row[a] = value;
      if (value > best[a]) {
        best[a] = value;
        bestObject[a] = used[u];
      }
      if (value > highest) {
        highest = value;
        highestAt = a;
      }
    });
    chosen.anchor[u] = highestAt;
    chosen.iou[u] = highest;
  }
  if (overlaps) makeUnique(chosen, overlaps, count);

  const labels = new Int32Array(count).fill(backgroundLabel);
  const matched = new Int32Array(count).fill(-1);
  const iou = new Float32Array(count);
  for (let a = 0; a < count; a++) {
    iou[a] = best[a];
    if (bestObject[a] >= 0 && best[a] >= positiveIou) matched[a] = bestObject[a];
    else if (best[a] >= negativeIou && best[a] > 0) labels[a] = ignoreLabel;
  }
  if (bipartite === 'low-quality') {
    for (let u = 0; u < used.length; u++) {
      forEachOverlap(anchors, areas, objects[used[u]], false, (a, value) => {
        if (value === chosen.iou[u]) matched[a] = bestObject[a];
      });
    }
  } else if (bipartite !== 'none') {
    // Of several objects that want an anchor, the last one has it; with `force`, the first one.
    for (let k = 0; k < used.length; k++) {
      const u = bipartite === 'force' ? used.length - 1 - k : k;
      const a = chosen.anchor[u];
      if (a < 0) continue;
      matched[a] = used[u];
      iou[a] = chosen.iou[u];
    }
  }
  objects.forEach((object) => {
    if (objectRole(object, options) !== 'ignore') return;
    forEachOverlap(anchors, areas, object, object.crowd === true, (a, value) => {
      if (value >= positiveIou) labels[a] = ignoreLabel;
    });
  });
  let positives = 0;
  for (let a = 0; a < count; a++) {
    if (matched[a] < 0) continue;
    labels[a] = objects[matched[a]].label;
    positives++;
  }
  return { labels, objects: matched, iou, positives };
}

/** For every object an anchor, -1 where there is none, and their IoU. */
interface ObjectAnchors {
  readonly anchor: Int32Array;
  readonly iou: Float32Array;
}

/** The anchors' areas, each step rounded to float32; 0 for those without area. */
function areasInSingle(anchors: BoxArray): Float32Array {
  const areas = new Float32Array(anchors.length / 4);
  for (let a = 0, k = 0; a < areas.length; a++, k += 4) {
    const w = Math.fround(anchors[k + 2] - anchors[k]);
    const h = Math.fround(anchors[k + 3] - anchors[k + 1]);
    if (w > 0 && h > 0) areas[a] = w * h;
  }
  return areas;
}

/** Calls `visit` with every anchor that an object overlaps and by how much: IoU, or relative to the anchor's area. */
function forEachOverlap(
  anchors: BoxArray,
  areas: Float32Array,
  { box }: GroundTruth,
  relativeToAnchor: boolean,
  visit: (anchor: number, overlap: number) => void,
): void {
  const fround = Math.fround;
  const [x1, y1, x2, y2] = box.map(fround);
  const area = fround(fround(x2 - x1) * fround(y2 - y1));
  if (!(x2 > x1 && y2 > y1 && area < Infinity)) return;
  for (let a = 0, k = 0; a < areas.length; a++, k += 4) {
    const left = anchors[k];
    const right = anchors[k + 2];
    const w = fround((right < x2 ? right : x2) - (left > x1 ? left : x1));
    if (!(w > 0)) continue;
    const top = anchors[k + 1];
    const bottom = anchors[k + 3];
    const h = fround((bottom < y2 ? bottom : y2) - (top > y1 ? top : y1));
    if (!(h > 0) || areas[a] === 0) continue;
    const intersection = fround(w * h);
    const whole = relativeToAnchor ? areas[a] : fround(fround(area + areas[a]) - intersection);
    visit(a, fround(intersection / whole));
  }
}

/**
 * Caffe's MatchBBox: of all pairs still in the pool the highest overlap first; among equals the lower anchor, then the earlier
 * object. Starts from every object's best anchor and leaves it only when another object has taken it.
 */
function makeUnique({ anchor, iou }: ObjectAnchors, overlaps: Float32Array, anchors: number): void {
  const settled = new Uint8Array(anchor.length);
  const taken = new Uint8Array(anchors);
  for (;;) {
    let winner = -1;
    for (let u = 0; u < anchor.length; u++) {
      if (settled[u] || anchor[u] < 0) continue;
      if (winner < 0 || iou[u] > iou[winner] || (iou[u] === iou[winner] && anchor[u] < anchor[winner]))
        winner = u;
    }
    if (winner < 0) return;
    settled[winner] = 1;
    const lost = anchor[winner];
    taken[lost] = 1;
    for (let u = 0; u < anchor.length; u++) {
      if (settled[u] || anchor[u] !== lost) continue;
      anchor[u] = -1;
      iou[u] = 0;
      for (let a = 0, at = u * anchors; a < anchors; a++, at++) {
        if (!taken[a] && overlaps[at] > iou[u]) {
          iou[u] = overlaps[at];
          anchor[u] = a;
        }
      }
    }
  }
}
