/**
 * Non-maximum suppression: of boxes that cover the same object, keep the one with the highest score.
 *
 * A box is suppressed when its IoU with a kept box is above the threshold (equal is kept), as in Caffe, ssd.pytorch and
 * torchvision; IoU is rounded as torchvision's kernel rounds it. Boxes with equal scores are taken in the order of their index.
 * Scores that are NaN are never kept.
 */
import { type BoxArray, boxCount } from './geometry';
import { topScores } from './score-order';
import { suppress } from './suppression';

/** Options of `nms`. */
export interface NmsOptions {
  /** Default 0.5. */
  readonly iouThreshold?: number;
  /** Boxes must score above this, not equal. Default: no limit. */
  readonly scoreThreshold?: number;
  /** Only this many of the highest scores take part. Default: all. */
  readonly topK?: number;
  /** At most this many are kept. Default: all. */
  readonly maxOutput?: number;
}

/**
 * Indices of the kept boxes, highest score first. Empty in, empty out.
 * @param boxes `[N, 4]` xyxy
 * @param scores `[N]`
 */
export function nms(boxes: BoxArray, scores: Float32Array, options: NmsOptions = {}): Int32Array {
  const n = boxCount(boxes);
  if (scores.length !== n)
    throw new RangeError(`nms: ${n} boxes, but ${scores.length} scores; give one score a box`);
  const { iouThreshold = 0.5, scoreThreshold = -Infinity, topK = n, maxOutput = n } = options;
  const order = topScores(scores, 0, 1, n, scoreThreshold, topK);
  return suppress(boxes, 0, 1, order, iouThreshold, maxOutput);
}

/** Options of `batchedNms`. */
export interface BatchedNmsOptions extends NmsOptions {
  /** Default 0.5. */
  readonly iouThreshold?: number;
  /** Only this many of the highest scores of each group take part. Default: all. */
  readonly topK?: number;
  /** At most this many are kept of all groups together. Default: all. */
  readonly maxOutput?: number;
}

/**
 * NMS in which only boxes of one group suppress each other (torchvision's `batched_nms`): groups are classes, pyramid levels, or
 * images. Indices of the kept boxes of all groups, highest score first. Empty in, empty out.
 * @param boxes `[N, 4]` xyxy
 * @param scores `[N]`
 * @param groups `[N]`, any whole numbers
 */
export function batchedNms(
  boxes: BoxArray,
  scores: Float32Array,
  groups: Int32Array,
  options: BatchedNmsOptions = {},
): Int32Array {
  const n = boxCount(boxes);
  if (scores.length !== n || groups.length !== n) {
    throw new RangeError(
      `batchedNms: ${n} boxes, but ${scores.length} scores and ${groups.length} groups; give one of each a box`,
    );
  }
  const { iouThreshold = 0.5, scoreThreshold = -Infinity, topK = n, maxOutput = n } = options;
  const order = topScores(scores, 0, 1, n, scoreThreshold, n);
  // A group's boxes, still in the order of their scores, lie one behind the other.
  const numbers = new Map<number, number>();
  const group = Int32Array.from(order, (i) => {
    const known = numbers.get(groups[i]);
    if (known !== undefined) return known;
    numbers.set(groups[i], numbers.size);
    return numbers.size - 1;
  });
  const ends = new Int32Array(numbers.size);
  for (const g of group) ends[g]++;
  for (let g = 1; g < ends.length; g++) ends[g] += ends[g - 1];
  const sorted = new Int32Array(order.length);
  for (let k = order.length - 1; k >= 0; k--) sorted[--ends[group[k]]] = order[k];
  const kept = new Uint8Array(n);
  for (let g = 0; g < ends.length; g++) {
    const last = g + 1 < ends.length ? ends[g + 1] : sorted.length;
    const members = sorted.subarray(ends[g], Math.min(last, ends[g] + topK));
    for (const i of suppress(boxes, 0, 1, members, iouThreshold, maxOutput)) kept[i] = 1;
  }
  return order.filter((i) => kept[i] === 1).slice(0, Math.max(0, maxOutput));
}

/** Options of `classwiseNms`; the defaults are the Caffe SSD's. */
export interface ClasswiseNmsOptions {
  /** Default 0.45. */
  readonly iouThreshold?: number;
  /** Boxes must score above this, not equal. Default 0.01. */
  readonly scoreThreshold?: number;
  /** Highest scores of each class that take part. Default 400. */
  readonly topK?: number;
  /** Boxes kept of all classes together. Default 200. */
  readonly maxOutput?: number;
}

/** Boxes kept by `classwiseNms`, highest score first; entry i of each array belongs together. */
export interface ClasswiseKept {
  /** Index of the box (the anchor) in the input. */
  readonly indices: Int32Array;
  /** Class id, from 0. */
  readonly labels: Int32Array;
  readonly scores: Float32Array;
}

/**
 * NMS of each class by itself, then the best of all classes together. Equal scores come in the order of class, then index.
 * @param boxes `[N, 4]` xyxy, shared by the classes, or `[N, classes, 4]`, a box a class (Faster R-CNN)
 * @param scores `[N, classes]` row-major, no background class
 */
export function classwiseNms(
  boxes: BoxArray,
  scores: Float32Array,
  classes: number,
  options: ClasswiseNmsOptions = {},
): ClasswiseKept {
  const { iouThreshold = 0.45, scoreThreshold = 0.01, topK = 400, maxOutput = 200 } = options;
  if (!(Number.isInteger(classes) && classes > 0)) {
    throw new RangeError(`classwiseNms: classes must be a positive whole number, got ${classes}`);
  }
  const n = scores.length / classes;
  const shared = boxes.length === 4 * n;
  if (!Number.isInteger(n) || (!shared && boxes.length !== 4 * n * classes)) {
    throw new RangeError(
      `classwiseNms: ${scores.length} scores of ${classes} classes do not go with ${boxes.length / 4} boxes; ` +
        'give [N, classes] scores with [N, 4] or [N, classes, 4] boxes',
    );
  }
  const keptIndices: Int32Array[] = [];
  const keptLabels: number[] = [];
  let total = 0;
  for (let label = 0; label < classes; label++) {
    const order = topScores(scores, label, classes, n, scoreThreshold, topK);
    if (order.length === 0) continue;
    const kept = shared
      ? suppress(boxes, 0, 1, order, iouThreshold, maxOutput)
      : suppress(boxes, label, classes, order, iouThreshold, maxOutput);
    keptIndices.push(kept);
    keptLabels.push(label);
    total += kept.length;
  }
  const indices = new Int32Array(total);
  const labels = new Int32Array(total);
  const values = new Float32Array(total);
  let at = 0;
  keptIndices.forEach((kept, k) => {
    for (const index of kept) {
      indices[at] = index;
      labels[at] = keptLabels[k];
      values[at++] = scores[index * classes + keptLabels[k]];
    }
  });
  const order = topScores(values, 0, 1, total, -Infinity, maxOutput);
  return {
    indices: Int32Array.from(order, (i) => indices[i]),
    labels: Int32Array.from(order, (i) => labels[i]),
    scores: Float32Array.from(order, (i) => values[i]),
  };
}
