/**
 * From the raw predictions of a dense detector with sigmoid scores to detections: the best candidates, decoding, class-wise
 * suppression. RetinaNet (Lin et al., ICCV 2017, section 4.1) as torchvision does it, EfficientDet as its authors' release does.
 */
import type { AnchorSet } from './anchors';
import { type BoxCoder, efficientDetCoder, retinaNetCoder } from './coders';
import { clipBoxes } from './geometry';
import { NanPrediction } from './nan-prediction';
import { batchedNms } from './nms';
import { topScores } from './score-order';
import { softNms } from './soft-nms';
import type { Detection } from './types';

/** Options of `denseDetections`; unless set, those of torchvision's RetinaNet. */
export interface DenseDetectionOptions {
  /** Default `retinaNetCoder`. */
  readonly coder?: BoxCoder;
  /** A class must score above this, not equal. Default 0.05. */
  readonly scoreThreshold?: number;
  /** How many pairs of an anchor and a class are decoded at most: the best of each level, or of all levels together. Default 1000. */
  readonly topK?: number;
  readonly topKOf?: 'level' | 'image';
  /**
   * What befalls a box that overlaps a better one of its class: `hard` (default) drops it where IoU is above `iouThreshold`, `gaussian`
   * lowers its score by `exp(-IoU^2 / sigma)` (see `softNms`) and drops it where that is not above `scoreThreshold`.
   */
  readonly suppression?: 'hard' | 'gaussian';
  /** Of `hard`. Default 0.5. */
  readonly iouThreshold?: number;
  /** Of `gaussian`. Default 0.5. */
  readonly sigma?: number;
  /** Detections an image. Default 300. */
  readonly maxOutput?: number;
  /** Whether boxes are cut to the image `before` suppression (default), `after` it, or not at all (`none`). */
  readonly clip?: 'before' | 'after' | 'none';
  /**
   * The part of the network's input that the image fills, from the upper left corner, pixels: boxes are cut to it, the rest is padding.
   * Default: all of the input.
   */
  readonly contentWidth?: number;
  readonly contentHeight?: number;
  /** Boxes are scaled from that part to an image of this size, pixels. Default: not scaled. */
  readonly width?: number;
  readonly height?: number;
}

/**
 * EfficientDet's as released: of all levels together the best 5000 pairs, gaussian soft-NMS with sigma 0.5 down to 0.001 as TensorFlow's
 * op does it, 100 detections. Boxes are cut only at the end; the release leaves them uncut. For its hard NMS add
 * `suppression: 'hard', scoreThreshold: -Infinity`.
 */
export const efficientDetDetectionOptions: DenseDetectionOptions = {
  coder: efficientDetCoder,
  scoreThreshold: 0.001,
  topK: 5000,
  topKOf: 'image',
  suppression: 'gaussian',
  maxOutput: 100,
  clip: 'after',
};

/**
 * Detections of one image, highest score first; empty when nothing scores above the threshold, or there are no anchors.
 *
 * Candidates are ordered by their logits, equal ones by anchor, then class; in suppression, equal scores by level, then that order.
 * Only boxes of one class suppress each other, wherever they lie; torchvision's `batched_nms` moves the classes apart by adding to the
 * coordinates of up to 1000 boxes, which may round an IoU at the threshold to its other side.
 * @param logits `[A, C]` before the sigmoid, no background class
 * @param deltas `[A, 4]` encoded by the coder
 * @throws RangeError when sizes do not go together; NanPrediction, naming the first prediction that is NaN
 */
export function denseDetections(
  logits: Float32Array,
  deltas: Float32Array,
  anchors: AnchorSet,
  options: DenseDetectionOptions = {},
): Detection[] {
  const { scoreThreshold = 0.05, suppression = 'hard', clip = 'before', maxOutput = 300 } = options;
  const count = anchors.boxes.length / 4;
  if (count === 0 && logits.length === 0 && deltas.length === 0) return [];
  const classes = logits.length / count;
  if (deltas.length !== 4 * count || !Number.isInteger(classes) || classes < 1) {
    throw new RangeError(
      `denseDetections: ${logits.length} logits and ${deltas.length} deltas do not go with ${count} anchors; ` +
        'give [A, C] logits and [A, 4] deltas of one image',
    );
  }
  refuseNan(logits, classes, 'logit');
  refuseNan(deltas, 4, 'delta');
  const candidates = bestCandidates(logits, classes, anchors, options);
  const scores = Float32Array.from(candidates, (at) => sigmoid(logits[at]));
  const labels = Int32Array.from(candidates, (at) => at % classes);
  const { coder = retinaNetCoder } = options;
  let boxes: Float32Array = new Float32Array(4 * candidates.length);
  for (let i = 0; i < candidates.length; i++) {
    const anchor = Math.floor(candidates[i] / classes);
    coder.decodeInto(boxes, i, deltas, anchor, anchors.boxes, anchor);
  }
  const { contentWidth = anchors.imageWidth, contentHeight = anchors.imageHeight } = options;
  if (clip === 'before') boxes = clipBoxes(boxes, contentWidth, contentHeight);
  let kept: { readonly indices: Int32Array; readonly scores: Float32Array };
  if (suppression === 'gaussian') {
    kept = softNms(boxes, scores, { sigma: options.sigma, scoreThreshold, groups: labels, maxOutput });
  } else {
    const indices = batchedNms(boxes, scores, labels, { iouThreshold: options.iouThreshold, maxOutput });
    kept = { indices, scores: Float32Array.from(indices, (i) => scores[i]) };
  }
  if (clip === 'after') boxes = clipBoxes(boxes, contentWidth, contentHeight);
  const scaleX = (options.width ?? contentWidth) / contentWidth;
  const scaleY = (options.height ?? contentHeight) / contentHeight;
  return Array.from(kept.indices, (i, k): Detection => {
    const [x1, y1, x2, y2] = boxes.subarray(4 * i, 4 * i + 4);
    return {
      box: [x1 * scaleX, y1 * scaleY, x2 * scaleX, y2 * scaleY],
      label: labels[i],
      score: kept.scores[k],
    };
  });
}

/** Where in `logits` the pairs that are worth decoding are: level by level, or all together, the best first. */
function bestCandidates(
  logits: Float32Array,
  classes: number,
  anchors: AnchorSet,
  { scoreThreshold = 0.05, topK = 1000, topKOf = 'level' }: DenseDetectionOptions,
): number[] {
  const limit = Math.fround(scoreThreshold);
  // A little lower than it need be, as the rounded scores have the last word.
  const logit = Math.log(limit / (1 - limit)) - 1e-3;
  const logitThreshold = limit <= 0 ? -Infinity : limit >= 1 ? Infinity : logit;
  const all = { start: 0, count: anchors.boxes.length / 4 };
  return (topKOf === 'level' ? anchors.levels : [all]).flatMap(({ start, count }) => {
    const best = topScores(logits, start * classes, 1, count * classes, logitThreshold, topK);
    const candidates = Array.from(best, (at) => start * classes + at);
    const end = candidates.findIndex((at) => !(Math.fround(sigmoid(logits[at])) > limit));
    return end < 0 ? candidates : candidates.slice(0, end);
  });
}

function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}

function refuseNan(values: Float32Array, columns: number, what: string): void {
  for (let i = 0; i < values.length; i++) {
    if (values[i] === values[i]) continue;
    throw new NanPrediction(`denseDetections: ${what} ${i % columns} of anchor ${Math.floor(i / columns)}`);
  }
}
