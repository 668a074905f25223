/**
 * Non-maximum suppression: of boxes that cover the same object, keep the one with the highest score.
 *
 * A box is suppressed when its IoU with a kept box is above the threshold (equal is kept), as in Caffe, ssd.pytorch and
 * torchvision. Boxes with equal scores are taken in the order of their index. Scores that are NaN are never kept.
 */
import { type BoxArray, boxCount } from './geometry';
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

/** Reinterprets a score's bits; shared, as every use is over before the next one begins. */
const floatBits = new Float32Array(1);
const intBits = new Uint32Array(floatBits.buffer);
/** Indices a packed key has room for: 53 bits less the 32 of a float. */
const packedIndices = 2 ** 21;

/**
 * Indices i of the highest `scores[offset + i * stride]` above the threshold, highest first, equal ones by index.
 *
 * A comparator called from the engine's sort costs ten times the sort itself, so score and index are packed into one double
 * whose numeric order is the order wanted: the float's bits, made monotonic and descending, times 2^21, plus the index.
 */
export function topScores(
  scores: Float32Array,
  offset: number,
  stride: number,
  count: number,
  threshold: number,
  topK: number,
): Int32Array {
  // Without a limit (-Infinity), scores of -Infinity take part too; NaN never does.
  const unlimited = threshold === -Infinity;
  const passes = (score: number): boolean => score > threshold || (unlimited && score === -Infinity);
  let n = 0;
  for (let i = 0, at = offset; i < count; i++, at += stride) if (passes(scores[at])) n++;
  if (count > packedIndices) return topScoresOfMillions(scores, offset, stride, count, topK, n, passes);
  const keys = new Float64Array(n);
  n = 0;
  for (let i = 0, at = offset; i < count; i++, at += stride) {
    const score = scores[at];
    if (!passes(score)) continue;
    floatBits[0] = score + 0; // -0 and 0 are equal scores
    const bits = intBits[0];
    // Positive floats order like their bits; negative ones the other way round. Descending: the complement.
    const descending = bits & 0x80000000 ? bits : ~(bits | 0x80000000) >>> 0;
    keys[n++] = descending * packedIndices + i;
  }
  keys.sort();
  const kept = new Int32Array(Math.max(0, Math.min(n, topK)));
  for (let k = 0; k < kept.length; k++) kept[k] = keys[k] % packedIndices;
  return kept;
}

function topScoresOfMillions(
  scores: Float32Array,
  offset: number,
  stride: number,
  count: number,
  topK: number,
  n: number,
  passes: (score: number) => boolean,
): Int32Array {
  const indices = new Int32Array(n);
  n = 0;
  for (let i = 0, at = offset; i < count; i++, at += stride) {
    if (passes(scores[at])) indices[n++] = i;
  }
  indices.sort((a, b) => scores[offset + b * stride] - scores[offset + a * stride] || a - b);
  return indices.slice(0, Math.max(0, topK));
}
