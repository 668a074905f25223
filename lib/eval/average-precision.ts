/** From hits and misses in the order of their scores to a precision-recall curve and the area under it. */

/** A precision-recall curve: a point after each detection that counts, from the highest score to the lowest. */
export interface PrecisionRecall {
  readonly recall: readonly number[];
  readonly precision: readonly number[];
}

/** How average precision is read off the curve: VOC2007's mean over 11 recalls, or the area from VOC2010 on. */
export type ApMethod = '11-point' | 'all-point';

/**
 * The curve of detections sorted by score.
 * @param hits 1 or true for a true positive, 0 or false for a false positive
 * @param positives how many objects there were to find; 0 gives NaN recalls
 */
export function precisionRecall(hits: ArrayLike<number | boolean>, positives: number): PrecisionRecall {
  const recall: number[] = [];
  const precision: number[] = [];
  let found = 0;
  for (let i = 0; i < hits.length; i++) {
    if (hits[i]) found++;
    recall.push(found / positives);
    precision.push(found / (i + 1));
  }
  return { recall, precision };
}

/** The highest precision at this point of the curve or any later one: precision made monotonic. */
export function precisionEnvelope(precision: readonly number[]): number[] {
  const envelope = [...precision];
  for (let i = envelope.length - 2; i >= 0; i--) envelope[i] = Math.max(envelope[i], envelope[i + 1]);
  return envelope;
}

/**
 * Mean of the envelope's precision at the given recalls, 0 where the curve does not reach: the shape of both VOC2007's measure
 * (11 recalls) and COCO's (101).
 */
export function interpolatedAp({ recall, precision }: PrecisionRecall, recalls: readonly number[]): number {
  const envelope = precisionEnvelope(precision);
  let sum = 0;
  let at = 0;
  for (const r of recalls) {
    while (at < recall.length && recall[at] < r) at++;
    if (at < recall.length) sum += envelope[at];
  }
  return sum / recalls.length;
}

/**
 * The same from the precision at each hit alone, of which it makes the envelope in place: which hit reaches each recall.
 * @param precision at the hits, from the highest score to the lowest
 * @param hits how many of `precision` there are
 * @param reached takes the hit's index for each of `recalls`, -1 where none reaches it
 */
export function reachRecalls(
  precision: Float64Array,
  hits: number,
  positives: number,
  recalls: readonly number[],
  reached: Int32Array,
): void {
  for (let i = hits - 2; i >= 0; i--) precision[i] = Math.max(precision[i], precision[i + 1]);
  let at = 0;
  for (let r = 0; r < recalls.length; r++) {
    while (at < hits && (at + 1) / positives < recalls[r]) at++;
    reached[r] = at < hits ? at : -1;
  }
}

/** The area under the envelope, every change of recall counted (VOC2010 and later). */
export function areaUnderCurve({ recall, precision }: PrecisionRecall): number {
  const envelope = precisionEnvelope(precision);
  let area = 0;
  let last = 0;
  for (let i = 0; i < recall.length; i++) {
    area += (recall[i] - last) * envelope[i];
    last = recall[i];
  }
  return area;
}

/**
 * 0, 0.1, ..., 1 as `i * 0.1`, to the bit what NumPy's `arange(0, 1.1, 0.1)` gives and the Python evaluators of the field use.
 * It matters: the third is 0.30000000000000004, which a recall of exactly 3 in 10 does not reach.
 */
export const vocRecalls: readonly number[] = Array.from({ length: 11 }, (_, i) => i * 0.1);

/** Average precision by VOC2007's or VOC2010's rule. An empty curve gives 0. */
export function averagePrecision(curve: PrecisionRecall, method: ApMethod): number {
  return method === '11-point' ? interpolatedAp(curve, vocRecalls) : areaUnderCurve(curve);
}
