/** Which anchors, or which proposals, count in the loss: by chance in a fixed proportion, or the hardest. On plain arrays. */
import type { Random } from '../tensor/random';
import { type BoxArray, boxCount } from './geometry';
import { backgroundLabel } from './matching';
import { nms } from './nms';
import { topScores } from './score-order';

/** Options of `balancedSample`; the defaults are the region proposals'. */
export interface BalancedSampleOptions {
  /** How many to take. Default 256; Faster R-CNN's box head takes 512. */
  readonly size?: number;
  /** Part of them that may be positive at most. Default 0.5; Faster R-CNN's box head has 0.25. */
  readonly positiveFraction?: number;
  readonly random: Random;
}

/** What `balancedSample` drew: indices, ascending. */
export interface BalancedSample {
  readonly positives: Int32Array;
  readonly negatives: Int32Array;
}

/**
 * A random sample in a fixed proportion (Faster R-CNN: Ren et al., NeurIPS 2015, section 3.1.3; torchvision's
 * `BalancedPositiveNegativeSampler`): `floor(size * positiveFraction)` positives or as many as there are, then background up to
 * `size` or as much as there is. Every positive is as likely as another, and every piece of background.
 * @param labels `[A]` as `matchAnchors` gives them: class id, or -1 background, or -2 ignored
 */
export function balancedSample(labels: Int32Array, options: BalancedSampleOptions): BalancedSample {
  const { size = 256, positiveFraction = 0.5, random } = options;
  if (!(size >= 0) || !(positiveFraction >= 0 && positiveFraction <= 1)) {
    throw new RangeError(
      `balancedSample: size must be 0 or more and positiveFraction in [0, 1], got ${size} and ${positiveFraction}`,
    );
  }
  const positives: number[] = [];
  const negatives: number[] = [];
  labels.forEach((label, a) => {
    if (label >= 0) positives.push(a);
    else if (label === backgroundLabel) negatives.push(a);
  });
  const positive = draw(positives, Math.floor(size * positiveFraction), random);
  return { positives: positive, negatives: draw(negatives, size - positive.length, random) };
}

/** `count` of the items, each subset with the same probability, or all; ascending. Changes the order of `items`. */
function draw(items: number[], count: number, random: Random): Int32Array {
  const n = Math.min(items.length, Math.floor(count));
  for (let i = 0; i < n; i++) {
    const j = i + random.integer(items.length - i);
    [items[i], items[j]] = [items[j], items[i]];
  }
  return Int32Array.from(items.slice(0, n)).sort();
}

/** Options of `hardNegatives`, and of the mining inside `multiboxLoss`. */
export interface HardNegativeOptions {
  /** Negatives for each positive. Default 3. */
  readonly ratio?: number;
  /**
   * Negatives an image keeps when `ratio` gives fewer, as in an image without objects. Default 0, the references' rule: such an
   * image then adds nothing to the loss.
   */
  readonly minNegatives?: number;
}

/**
 * Marks an image's hardest negatives (Liu et al., ECCV 2016, section 2.2): of the background anchors, the `ratio * positives` with
 * the highest loss; equal losses in the order of the anchors. There may be fewer background anchors than that; then all are
 * marked.
 * @param losses `[A]` classification loss of each anchor
 * @param labels `[A]` as `matchAnchors` gives them: class id, or -1 background, or -2 ignored
 * @param eligible `[A]`, optional: 0 takes a background anchor out (Caffe's rule: IoU with any object of 0.5 or more)
 * @returns `[A]`, 1 for the negatives to train on, 0 elsewhere; positives are not marked
 */
export function hardNegatives(
  losses: Float32Array,
  labels: Int32Array,
  options: HardNegativeOptions = {},
  eligible?: Uint8Array,
): Uint8Array {
  const { ratio = 3, minNegatives = 0 } = options;
  if (losses.length !== labels.length) {
    throw new RangeError(
      `hardNegatives: ${losses.length} losses, but ${labels.length} labels; give one of each an anchor`,
    );
  }
  const candidates = new Float32Array(losses.length).fill(NaN);
  let positives = 0;
  for (let a = 0; a < labels.length; a++) {
    if (labels[a] >= 0) positives++;
    else if (labels[a] === backgroundLabel && (!eligible || eligible[a])) candidates[a] = losses[a];
  }
  const wanted = Math.max(Math.floor(ratio * positives), minNegatives);
  const mask = new Uint8Array(losses.length);
  for (const a of topScores(candidates, 0, 1, candidates.length, -Infinity, wanted)) mask[a] = 1;
  return mask;
}

/** Options of `hardExamples`. */
export interface HardExampleOptions {
  /** How many to take. Default 128, the paper's for two images. */
  readonly count?: number;
  /** Examples that overlap a harder one by more than this are passed over, as their losses tell the same. Default 0.7. */
  readonly iouThreshold?: number;
}

/**
 * Online hard example mining (Shrivastava et al., CVPR 2016, section 4.1): the `count` examples with the highest loss, positive and
 * background alike, after suppression of those that overlap a harder one. Indices, hardest first; a loss of NaN is never taken.
 * @param losses `[N]`
 * @param boxes `[N, 4]` xyxy, the proposals; without them nothing is suppressed
 */
export function hardExamples(
  losses: Float32Array,
  boxes?: BoxArray,
  options: HardExampleOptions = {},
): Int32Array {
  const { count = 128, iouThreshold = 0.7 } = options;
  if (!boxes) return topScores(losses, 0, 1, losses.length, -Infinity, count);
  if (boxCount(boxes) !== losses.length) {
    throw new RangeError(
      `hardExamples: ${losses.length} losses, but ${boxes.length / 4} boxes; give one loss a box`,
    );
  }
  return nms(boxes, losses, { iouThreshold, maxOutput: count });
}
