/**
 * COCO's rule of which detections are right (`COCOeval.evaluateImg`), for all images of one class at once.
 *
 * Detections take objects in the order of their scores: each the one it overlaps most, the later of two alike, among those not
 * yet taken. Ignored objects (crowds, sizes out of range) come after all others, and only for a detection that finds no other. A
 * crowd is never taken; IoU with it is the part of the detection that lies inside.
 */
import type { CocoParameters } from './parameters';
import type { DetectionColumns, ObjectColumns } from './columns';
import { descendingOrder } from '../stable-order';

/** What a detection turned out to be, at one size and threshold. */
export const verdicts = { wrong: 0, right: 1, ignored: 2 } as const;

/** One class's rows: indices into the columns, ascending by image, each image's in the order given. */
export interface ClassRows {
  readonly detections: Uint32Array;
  readonly objects: Uint32Array;
}

/** One class, matched. Detections stand from the highest score to the lowest, over all images. */
export interface ClassMatches {
  /** Detections that may count: the best of each image, as many as the highest of `maxDetections`. */
  readonly count: number;
  readonly scores: Float64Array;
  /** A detection's place among those of its image, from 0. */
  readonly ranks: Uint32Array;
  /** `verdicts[(size * thresholds + threshold) * count + detection]`, one of `verdicts`. */
  readonly verdicts: Uint8Array;
  /** Objects to find, by size. */
  readonly positives: readonly number[];
}

/** Matches one class. `unmatchedIgnored(image)`: whether what finds nothing there is left out (LVIS). */
export function matchClass(
  rows: ClassRows,
  objects: ObjectColumns,
  detections: DetectionColumns,
  { iouThresholds, maxDetections, areaRanges }: CocoParameters,
  unmatchedIgnored?: (image: number) => boolean,
): ClassMatches {
  const most = maxDetections[maxDetections.length - 1];
  const sorted = sortByScore(rows.detections, detections, most);
  const { count, index, places } = sorted;
  const levels = iouThresholds.length;
  const table = new Uint8Array(areaRanges.length * levels * count);

  // What all are unless they find something.
  areaRanges.forEach(({ from, to }, size) => {
    const first = table.subarray(size * levels * count, (size * levels + 1) * count);
    for (let p = 0; p < count; p++) {
      const d = index[p];
      const area = detections.box[4 * d + 2] * detections.box[4 * d + 3];
      if (area < from || area > to || unmatchedIgnored?.(detections.image[d])) first[p] = verdicts.ignored;
    }
    for (let t = 1; t < levels; t++) table.set(first, (size * levels + t) * count);
  });

  const matcher = createImageMatcher(objects, detections, iouThresholds, areaRanges, table, count);
  const positives = areaRanges.map(() => 0);
  let [o, d] = [0, 0];
  while (o < rows.objects.length) {
    const image = objects.image[rows.objects[o]];
    const firstObject = o;
    while (o < rows.objects.length && objects.image[rows.objects[o]] === image) o++;
    const mine = rows.objects.subarray(firstObject, o);
    areaRanges.forEach(({ from, to }, size) => {
      for (const g of mine) {
        if (!objects.ignore[g] && objects.area[g] >= from && objects.area[g] <= to) positives[size]++;
      }
    });
    while (d < rows.detections.length && detections.image[rows.detections[d]] < image) d++;
    const firstDetection = d;
    while (d < rows.detections.length && detections.image[rows.detections[d]] === image) d++;
    const kept = Math.min(d - firstDetection, most);
    if (kept > 0) matcher(mine, places.subarray(firstDetection, firstDetection + kept), index);
  }
  return { count, scores: sorted.scores, ranks: sorted.ranks, verdicts: table, positives };
}

/**
 * The detections of a class from the highest score to the lowest without those beyond the best `most` of their image. Because
 * the order is stable, each image's stand in it as they would when sorted alone.
 */
function sortByScore(
  rows: Uint32Array,
  { image, score }: DetectionColumns,
  most: number,
): {
  readonly count: number;
  readonly index: Uint32Array;
  readonly scores: Float64Array;
  readonly ranks: Uint32Array;
  /** Parallel to `rows`: at `(first row of an image) + rank`, the place in the order. */
  readonly places: Uint32Array;
} {
  const n = rows.length;
  // The row at which each row's image begins.
  const begins = new Uint32Array(n);
  for (let i = 1; i < n; i++) begins[i] = image[rows[i]] === image[rows[i - 1]] ? begins[i - 1] : i;
  const rowScores = new Float64Array(n);
  for (let i = 0; i < n; i++) rowScores[i] = score[rows[i]];
  const order = descendingOrder(rowScores);
  const taken = new Uint32Array(n);
  const index = new Uint32Array(n);
  const scores = new Float64Array(n);
  const ranks = new Uint32Array(n);
  const places = new Uint32Array(n);
  let count = 0;
  for (let i = 0; i < n; i++) {
    const row = order[i];
    const begin = begins[row];
    const rank = taken[begin]++;
    if (rank >= most) continue;
    index[count] = rows[row];
    scores[count] = rowScores[row];
    ranks[count] = rank;
    places[begin + rank] = count;
    count++;
  }
  return { count, index, scores, ranks, places };
}

/** Matches one image's detections (their places in the order, best first) with its objects, and writes the verdicts. */
function createImageMatcher(
  objects: ObjectColumns,
  detections: DetectionColumns,
  iouThresholds: readonly number[],
  areaRanges: CocoParameters['areaRanges'],
  table: Uint8Array,
  count: number,
): (mine: Uint32Array, places: Uint32Array, index: Uint32Array) => void {
  const levels = iouThresholds.length;
  // An object at an IoU of 1 is found although a quotient may come out just below.
  const thresholds = iouThresholds.map((t) => Math.min(t, 1 - 1e-10));
  const lowest = Math.min(...thresholds);
  let ious = new Float64Array(64);
  return (mine, places, index) => {
    const G = mine.length;
    const D = places.length;
    if (ious.length < G * D) ious = new Float64Array(2 * G * D);
    const best = new Float64Array(D);
    let any = false;
    for (let d = 0; d < D; d++) {
      for (let g = 0; g < G; g++) {
        const value = cocoIou(detections.box, index[places[d]], objects.box, mine[g], objects.crowd[mine[g]]);
        ious[d * G + g] = value;
        if (value > best[d]) best[d] = value;
      }
      any ||= best[d] >= lowest;
    }
    if (!any) return;

    const order = new Uint32Array(G);
    const taken = new Uint8Array(G);
    for (let size = 0; size < areaRanges.length; size++) {
      const { from, to } = areaRanges[size];
      // Counted objects first, ignored ones after them.
      let counted = 0;
      for (let g = 0; g < G; g++) if (isCounted(mine[g], from, to)) order[counted++] = g;
      let at = counted;
      for (let g = 0; g < G; g++) if (!isCounted(mine[g], from, to)) order[at++] = g;
      for (let t = 0; t < levels; t++) {
        taken.fill(0);
        const row = (size * levels + t) * count;
        for (let d = 0; d < D; d++) {
          if (best[d] < thresholds[t]) continue;
          let overlap = thresholds[t];
          let match = -1;
          for (let i = 0; i < G; i++) {
            if (i === counted && match >= 0) break;
            const g = order[i];
            if (taken[g] || ious[d * G + g] < overlap) continue;
            overlap = ious[d * G + g];
            match = i;
          }
          if (match < 0) continue;
          const g = order[match];
          if (!objects.crowd[mine[g]]) taken[g] = 1;
          if (match >= counted) table[row + places[d]] = verdicts.ignored;
          // The official code keeps a match by the object's id, and takes 0 for none.
          else if (objects.id[mine[g]] !== 0) table[row + places[d]] = verdicts.right;
        }
      }
    }
  };

  function isCounted(object: number, from: number, to: number): boolean {
    const area = objects.area[object];
    return objects.ignore[object] === 0 && area >= from && area <= to;
  }
}

/** IoU of two `[x, y, width, height]` boxes, to the bit as `bbIou` of COCO's mask API; with a crowd, over the detection's area. */
export function cocoIou(
  a: Float64Array,
  i: number,
  b: Float64Array,
  j: number,
  crowd: number | boolean,
): number {
  const [ax, ay, aw, ah] = [a[4 * i], a[4 * i + 1], a[4 * i + 2], a[4 * i + 3]];
  const [bx, by, bw, bh] = [b[4 * j], b[4 * j + 1], b[4 * j + 2], b[4 * j + 3]];
  const width = Math.min(aw + ax, bw + bx) - Math.max(ax, bx);
  if (width <= 0) return 0;
  const height = Math.min(ah + ay, bh + by) - Math.max(ay, by);
  if (height <= 0) return 0;
  const intersection = width * height;
  return intersection / (crowd ? aw * ah : aw * ah + bw * bh - intersection);
}
