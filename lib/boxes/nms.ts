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
 *
 * Boxes are compared as they are, as torchvision does from 1001 boxes on. Up to 1000 it adds a multiple of the largest coordinate for
 * each group, which rounds an IoU within about 1e-6 of the threshold otherwise, and lets boxes with negative corners meet those of
 * another group; and it leaves the order of equal scores open.
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
  const { sorted, ends } = sortByGroup(order, groups);
  const kept = new Uint8Array(n);
  let count = 0;
  for (let g = 0, start = 0; g < ends.length; start = ends[g++]) {
    const members = sorted.subarray(start, Math.min(ends[g], start + Math.max(0, topK)));
    const indices = suppress(boxes, 0, 1, members, iouThreshold, maxOutput);
    for (let k = 0; k < indices.length; k++) kept[indices[k]] = 1;
    count += indices.length;
  }
  const result = new Int32Array(Math.max(0, Math.min(count, maxOutput)));
  for (let k = 0, at = 0; at < result.length; k++) if (kept[order[k]] === 1) result[at++] = order[k];
  return result;
}

/** The indices of `order` group by group, each group's still in that order, and where each group ends. */
function sortByGroup(order: Int32Array, groups: Int32Array): { sorted: Int32Array; ends: Int32Array } {
  const numbers = new Map<number, number>();
  const group = new Int32Array(order.length);
  let [last, number] = [NaN, 0];
  for (let k = 0; k < order.length; k++) {
    const name = groups[order[k]];
    if (name !== last) {
      number = numbers.get(name) ?? numbers.size;
      if (number === numbers.size) numbers.set(name, number);
      last = name;
    }
    group[k] = number;
  }
  const starts = new Int32Array(numbers.size + 1);
  for (let k = 0; k < group.length; k++) starts[group[k] + 1]++;
  for (let g = 1; g < starts.length; g++) starts[g] += starts[g - 1];
  // Filling a group moves its start to its end.
  const sorted = new Int32Array(order.length);
  for (let k = 0; k < order.length; k++) sorted[starts[group[k]]++] = order[k];
  return { sorted, ends: starts.subarray(0, numbers.size) };
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
