/** From the raw predictions of the Open Images detector to detections, as MediaPipe's graph does it. */
import type { AnchorSet } from '../../boxes/anchors';
import { NanPrediction } from '../../boxes/nan-prediction';
import { batchedNms } from '../../boxes/nms';
import type { Detection } from '../../boxes/types';
import type { DetectionOptions } from '../detector';
import { mobileNetSsdCoder } from './anchors';

/** Options of `openImagesDetections`; the defaults are those of the graph in the package. */
export interface OpenImagesDetectionOptions extends DetectionOptions {
  /** At least. Default 0.5. */
  readonly scoreThreshold?: number;
  /** Default 0.5. */
  readonly iouThreshold?: number;
  /** Default 100. */
  readonly maxOutput?: number;
  /**
   * `across-classes` (default): an anchor speaks for its best class alone, and a box suppresses boxes of every class. `class-wise`: for every
   * class by itself, as evaluation wants it.
   */
  readonly suppression?: 'across-classes' | 'class-wise';
  /** Ids of the classes to look for; others neither show nor suppress. Default: all. */
  readonly labels?: readonly number[];
}

/**
 * Detections of one image, highest score first, boxes in pixels of the network's input, cut to it after suppression. Scores are sigmoids;
 * the background's is not looked at.
 * @param classLogits `[A, C + 1]` before the sigmoid, background at index 0
 * @param boxDeltas `[A, 4]` as ty, tx, th, tw
 * @throws RangeError when sizes do not go together; NanPrediction where a score is NaN.
 */
export function openImagesDetections(
  classLogits: Float32Array,
  boxDeltas: Float32Array,
  anchors: AnchorSet,
  options: OpenImagesDetectionOptions = {},
): Detection[] {
  const { scoreThreshold = 0.5, iouThreshold = 0.5, maxOutput = 100 } = options;
  const { suppression = 'across-classes', labels } = options;
  const count = anchors.boxes.length / 4;
  const columns = classLogits.length / count;
  if (boxDeltas.length !== 4 * count || !Number.isInteger(columns) || columns < 2) {
    throw new RangeError(
      `openImagesDetections: ${classLogits.length} logits and ${boxDeltas.length} deltas do not go with ${count} anchors; ` +
        'give [A, C + 1] logits and [A, 4] deltas of one image',
    );
  }
  const wanted = Array.from(
    { length: columns - 1 },
    (_, label) => labels === undefined || labels.includes(label),
  );
  const found: { anchor: number; label: number; score: number }[] = [];
  for (let anchor = 0; anchor < count; anchor++) {
    let best = -1;
    for (let label = 0; label < columns - 1; label++) {
      const logit = classLogits[anchor * columns + label + 1];
      if (logit !== logit) throw new NanPrediction(`openImagesDetections: a score of anchor ${anchor}`);
      if (suppression === 'across-classes') {
        if (best < 0 || logit > classLogits[anchor * columns + best + 1]) best = label;
        continue;
      }
      const score = sigmoid(logit);
      if (wanted[label] && score >= scoreThreshold) found.push({ anchor, label, score });
    }
    if (best < 0 || !wanted[best]) continue;
    const score = sigmoid(classLogits[anchor * columns + best + 1]);
    if (score >= scoreThreshold) found.push({ anchor, label: best, score });
  }
  const boxes = new Float32Array(4 * found.length);
  found.forEach(({ anchor }, i) =>
    mobileNetSsdCoder.decodeInto(boxes, i, boxDeltas, anchor, anchors.boxes, anchor),
  );
  const scores = Float32Array.from(found, ({ score }) => score);
  const groups = Int32Array.from(found, ({ label }) => (suppression === 'class-wise' ? label : 0));
  const kept = batchedNms(boxes, scores, groups, { iouThreshold, maxOutput });
  const { imageWidth, imageHeight } = anchors;
  const cut = (value: number, limit: number): number => Math.min(Math.max(value, 0), limit);
  return Array.from(kept, (i): Detection => {
    const [x1, y1, x2, y2] = boxes.subarray(4 * i, 4 * i + 4);
    return {
      box: [cut(x1, imageWidth), cut(y1, imageHeight), cut(x2, imageWidth), cut(y2, imageHeight)],
      label: found[i].label,
      score: scores[i],
    };
  });
}

function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}
