/** From raw SSD predictions to detections: softmax, score threshold, decoding, class-wise NMS (Liu et al., ECCV 2016, section 3). */
import type { AnchorSet } from './anchors';
import { type BoxCoder, createBoxCoder } from './coders';
import { type ClasswiseNmsOptions, classwiseNms } from './nms';
import type { Detection } from './types';

/** Options of `ssdDetections`; score threshold 0.01, IoU 0.45, 400 a class before and 200 an image after, unless set. */
export interface SsdDetectionOptions extends ClasswiseNmsOptions {
  /** Default: SSD's, variances 0.1, 0.1, 0.2, 0.2. */
  readonly coder?: BoxCoder;
  /** Boxes are scaled from the network's input to an image of this size, pixels. Default: the network's input. */
  readonly width?: number;
  readonly height?: number;
  /** Cut boxes to the image. Default true. Suppression sees the boxes before they are cut, as in the references. */
  readonly clip?: boolean;
}

/**
 * Detections of one image, highest score first; empty when nothing scores above the threshold.
 * @param classLogits `[A, C + 1]` before the softmax, background at index 0
 * @param boxDeltas `[A, 4]` encoded by `coder`
 */
export function ssdDetections(
  classLogits: Float32Array,
  boxDeltas: Float32Array,
  anchors: AnchorSet,
  options: SsdDetectionOptions = {},
): Detection[] {
  const { coder = createBoxCoder(), clip = true, scoreThreshold = 0.01 } = options;
  const { imageWidth, imageHeight } = anchors;
  const { width = imageWidth, height = imageHeight } = options;
  const count = anchors.boxes.length / 4;
  const columns = classLogits.length / count;
  if (boxDeltas.length !== 4 * count || !Number.isInteger(columns) || columns < 2) {
    throw new RangeError(
      `ssdDetections: ${classLogits.length} logits and ${boxDeltas.length} deltas do not go with ${count} anchors; ` +
        'give [A, C + 1] logits and [A, 4] deltas of one image',
    );
  }
  const classes = columns - 1;
  const scores = new Float32Array(count * classes);
  const boxes = new Float32Array(4 * count);
  const exponentials = new Float64Array(columns);
  for (let a = 0; a < count; a++) {
    let max = -Infinity;
    for (let c = 0, at = a * columns; c < columns; c++, at++)
      if (classLogits[at] > max) max = classLogits[at];
    let sum = 0;
    for (let c = 0, at = a * columns; c < columns; c++, at++)
      sum += exponentials[c] = Math.exp(classLogits[at] - max);
    let candidate = false;
    for (let c = 0, at = a * classes; c < classes; c++, at++) {
      scores[at] = exponentials[c + 1] / sum;
      if (scores[at] > scoreThreshold) candidate = true;
    }
    // Most anchors are background: only those that may be kept are worth two exponentials more.
    if (candidate) coder.decodeInto(boxes, a, boxDeltas, a, anchors.boxes, a);
  }
  const kept = classwiseNms(boxes, scores, classes, { ...options, scoreThreshold });
  const scaleX = width / imageWidth;
  const scaleY = height / imageHeight;
  const cut = (value: number, limit: number): number => (clip ? Math.min(Math.max(value, 0), limit) : value);
  return Array.from(kept.indices, (index, i): Detection => {
    const [x1, y1, x2, y2] = boxes.subarray(4 * index, 4 * index + 4);
    return {
      box: [
        cut(x1 * scaleX, width),
        cut(y1 * scaleY, height),
        cut(x2 * scaleX, width),
        cut(y2 * scaleY, height),
      ],
      label: kept.labels[i],
      score: kept.scores[i],
    };
  });
}
