/**
 * Soft-NMS (Bodla et al., ICCV 2017, equations 2 and 3): a box that overlaps a better one keeps a lower score instead of going.
 * EfficientDet's suppression.
 */
import { type BoxArray, boxCount } from './geometry';

/** Options of `softNms`. */
export interface SoftNmsOptions {
  /**
   * `gaussian` (default): a score is multiplied by `exp(-IoU^2 / sigma)` for each better box kept. `linear`: by `1 - IoU` where IoU
   * is above `iouThreshold`.
   */
  readonly method?: 'gaussian' | 'linear';
  /** Of `gaussian`. Default 0.5, the paper's and EfficientDet's. TensorFlow's `soft_nms_sigma` is half of it. */
  readonly sigma?: number;
  /** Of `linear`. Default 0.3, the authors'. */
  readonly iouThreshold?: number;
  /** Boxes are dropped when their score, lowered or not, is not above this. Default 0.001. */
  readonly scoreThreshold?: number;
  /** At most this many are kept. Default: all; EfficientDet keeps 100. */
  readonly maxOutput?: number;
  /** Only boxes of one group lower each other's scores. `[N]` whole numbers: classes. Default: one group. */
  readonly groups?: Int32Array;
  /**
   * Added to every width and height in the IoU. Default 0, as in TensorFlow's op, which EfficientDet detects with; 1 in the authors'
   * code and in the release's NumPy version, which take coordinates for whole pixels.
   */
  readonly pixelOffset?: number;
}

/** Boxes that `softNms` kept, highest score first; entry i of both arrays belongs together. */
export interface SoftKept {
  /** Index of the box in the input. */
  readonly indices: Int32Array;
  /** Scores as they were lowered. */
  readonly scores: Float32Array;
}

/**
 * Soft non-maximum suppression. Equal scores are taken in the order of their index; a degenerate box has IoU 0 with every other;
 * scores that are NaN are never kept. Empty in, empty out.
 *
 * A box is compared with those kept before it, each pair once: cut the input to the best few thousand (EfficientDet: 5000) or set
 * `maxOutput` where there are many more.
 * @param boxes `[N, 4]` xyxy
 * @param scores `[N]`, 0 or more
 */
export function softNms(boxes: BoxArray, scores: Float32Array, options: SoftNmsOptions = {}): SoftKept {
  const n = boxCount(boxes);
  const { groups, maxOutput = n } = options;
  const scoreThreshold = Math.fround(options.scoreThreshold ?? 0.001);
  if (scores.length !== n || (groups && groups.length !== n)) {
    throw new RangeError(
      `softNms: ${n} boxes, but ${scores.length} scores and ${groups?.length ?? 'no'} groups; give one of each a box`,
    );
  }
  const weight = decay(options);
  const current = Float64Array.from(scores);
  const queue = new ScoreQueue(current);
  for (let i = 0; i < n; i++) if (scores[i] > scoreThreshold) queue.push(i);
  /** How many of its group's kept boxes a box has been compared with. */
  const compared = new Int32Array(n);
  const keptOf = new Map<number, number[]>();
  const kept: number[] = [];
  while (kept.length < maxOutput) {
    const i = queue.pop();
    if (i === undefined) break;
    const group = groups ? groups[i] : 0;
    const rivals = keptOf.get(group) ?? [];
    const before = current[i];
    for (let k = compared[i]; k < rivals.length; k++) {
      current[i] *= weight(overlap(boxes, rivals[k], i, options.pixelOffset ?? 0));
    }
    compared[i] = rivals.length;
    if (current[i] === before) {
      kept.push(i);
      rivals.push(i);
      keptOf.set(group, rivals);
    } else if (current[i] > scoreThreshold) {
      // Lowered: others may be better now.
      queue.push(i);
    }
  }
  return { indices: Int32Array.from(kept), scores: Float32Array.from(kept, (i) => current[i]) };
}

function decay({
  method = 'gaussian',
  sigma = 0.5,
  iouThreshold = 0.3,
}: SoftNmsOptions): (iou: number) => number {
  if (method === 'linear') return (iou) => (iou > iouThreshold ? 1 - iou : 1);
  if (!(sigma > 0)) throw new RangeError(`softNms: sigma must be a positive number, got ${sigma}`);
  return (iou) => Math.exp(-(iou * iou) / sigma);
}

function overlap(boxes: BoxArray, i: number, j: number, one: number): number {
  const a = 4 * i;
  const b = 4 * j;
  const w = Math.min(boxes[a + 2], boxes[b + 2]) - Math.max(boxes[a], boxes[b]) + one;
  if (!(w > 0)) return 0;
  const h = Math.min(boxes[a + 3], boxes[b + 3]) - Math.max(boxes[a + 1], boxes[b + 1]) + one;
  if (!(h > 0)) return 0;
  const areaA = (boxes[a + 2] - boxes[a] + one) * (boxes[a + 3] - boxes[a + 1] + one);
  const areaB = (boxes[b + 2] - boxes[b] + one) * (boxes[b + 3] - boxes[b + 1] + one);
  const value = (w * h) / (areaA + areaB - w * h);
  return value > 0 ? value : 0; // infinite boxes give NaN
}

/** Indices by score, the highest first, equal ones by index: a binary heap. */
class ScoreQueue {
  private readonly heap: number[] = [];
  private readonly scores: Float64Array;

  constructor(scores: Float64Array) {
    this.scores = scores;
  }

  push(index: number): void {
    const { heap } = this;
    let at = heap.push(index) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.before(index, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = index;
  }

  pop(): number | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return last;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.before(heap[child + 1], heap[child])) child++;
      if (!this.before(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return first;
  }

  private before(i: number, j: number): boolean {
    return this.scores[i] > this.scores[j] || (this.scores[i] === this.scores[j] && i < j);
  }
}
