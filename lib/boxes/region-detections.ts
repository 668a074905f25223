/** From a two-stage detector's raw predictions to detections (Girshick, ICCV 2015; torchvision's `postprocess_detections`). */
import { type BoxCoder, fasterRcnnCoder } from './coders';
import { NanPrediction } from './nan-prediction';
import { classwiseNms } from './nms';
import type { Detection } from './types';

/** Options of `regionDetections`; the defaults are torchvision's. */
export interface RegionDetectionOptions {
  /** A class must score above this, not equal. Default 0.05. */
  readonly scoreThreshold?: number;
  /** A detection is dropped when its IoU with a better one of its class is above this. Default 0.5. */
  readonly iouThreshold?: number;
  /** Detections an image. Default 100. */
  readonly maxOutput?: number;
  /** Detections narrower or lower than this are dropped, pixels. Default 0.01. */
  readonly minSize?: number;
  /** Default `fasterRcnnCoder`. */
  readonly coder?: BoxCoder;
}

/** What the second stage says of one image's P regions. */
export interface RegionPredictions {
  /** `[P, 4]` xyxy in pixels of the network's input. */
  readonly boxes: Float32Array;
  /** `[P, C + 1]` probabilities, background at index 0. */
  readonly classScores: Float32Array;
  /** `[P, C + 1, 4]` offsets, a box a class (background's too, as torchvision has it), or `[P, 4]`, one for all classes. */
  readonly boxDeltas: Float32Array;
}

/**
 * Detections of one image, highest score first; empty when nothing scores above the threshold. Boxes are cut to the image before
 * suppression. The background's class and box are passed over.
 * @param width, height of the network's input, pixels
 * @throws RangeError when sizes do not go together; NanPrediction, naming the first region whose score is NaN
 */
export function regionDetections(
  { boxes, classScores, boxDeltas }: RegionPredictions,
  { width, height }: { readonly width: number; readonly height: number },
  options: RegionDetectionOptions = {},
): Detection[] {
  const { scoreThreshold = 0.05, iouThreshold = 0.5, maxOutput = 100, minSize = 1e-2 } = options;
  const { coder = fasterRcnnCoder } = options;
  const count = boxes.length / 4;
  if (count === 0) return [];
  const columns = classScores.length / count;
  const shared = boxDeltas.length === 4 * count;
  if (!Number.isInteger(columns) || columns < 2 || (!shared && boxDeltas.length !== 4 * count * columns)) {
    throw new RangeError(
      `regionDetections: ${classScores.length} scores and ${boxDeltas.length} deltas do not go with ${count} boxes; ` +
        'give [P, C + 1] scores and [P, C + 1, 4] or [P, 4] deltas of one image',
    );
  }
  const classes = columns - 1;
  const scores = new Float32Array(count * classes);
  const decoded = new Float32Array(4 * count * classes);
  const limit = Math.fround(scoreThreshold);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < classes; c++) {
      const score = classScores[i * columns + c + 1];
      if (score !== score) {
        throw new NanPrediction(`regionDetections: the score of region ${i}, class ${c}`);
      }
      const at = i * classes + c;
      // Absent, unless it is worth decoding and large enough.
      scores[at] = NaN;
      if (!(score > limit)) continue;
      coder.decodeInto(decoded, at, boxDeltas, shared ? i : i * columns + c + 1, boxes, i);
      for (let k = 0; k < 4; k++) {
        decoded[4 * at + k] = Math.min(Math.max(decoded[4 * at + k], 0), k % 2 === 0 ? width : height);
      }
      const [x1, y1, x2, y2] = decoded.subarray(4 * at, 4 * at + 4);
      if (x2 - x1 >= minSize && y2 - y1 >= minSize) scores[at] = score;
    }
  }
  const kept = classwiseNms(decoded, scores, classes, {
    iouThreshold,
    scoreThreshold,
    topK: count,
    maxOutput,
  });
  return Array.from(kept.indices, (index, k): Detection => {
    const at = 4 * (index * classes + kept.labels[k]);
    const [x1, y1, x2, y2] = decoded.subarray(at, at + 4);
    return { box: [x1, y1, x2, y2], label: kept.labels[k], score: kept.scores[k] };
  });
}
