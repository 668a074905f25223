/** From matched detections to precision and recall at every threshold, size and number of detections (`COCOeval.accumulate`). */
import { reachRecalls } from '../average-precision';
import { type ClassMatches, verdicts } from './matching';
import type { CocoParameters } from './parameters';
import type { CocoGrid } from './types';

/** A grid where no class has anything to find yet. */
export function createGrid(classes: number, parameters: CocoParameters): CocoGrid {
  const thresholds = parameters.iouThresholds.length;
  const recalls = parameters.recallThresholds.length;
  const sizes = parameters.areaRanges.length;
  const limits = parameters.maxDetections.length;
  const cells = thresholds * classes * sizes * limits;
  return {
    thresholds,
    recalls,
    classes,
    sizes,
    limits,
    precision: new Float64Array(cells * recalls).fill(-1),
    scores: new Float64Array(cells * recalls).fill(-1),
    recall: new Float64Array(cells).fill(-1),
  };
}

/** The index of `recall`. */
export function recallIndex(
  grid: CocoGrid,
  threshold: number,
  label: number,
  size: number,
  limit: number,
): number {
  return ((threshold * grid.classes + label) * grid.sizes + size) * grid.limits + limit;
}

/** The index of `precision` and `scores`. */
export function precisionIndex(
  grid: CocoGrid,
  threshold: number,
  recall: number,
  label: number,
  size: number,
  limit: number,
): number {
  return (
    (((threshold * grid.recalls + recall) * grid.classes + label) * grid.sizes + size) * grid.limits + limit
  );
}

/**
 * Fills in one class. Only right detections raise recall, and precision falls between them, so the curve is kept at these alone;
 * the values are those of the official code to the bit, its `np.spacing(1)` in the denominator included.
 */
export function accumulateClass(
  grid: CocoGrid,
  label: number,
  matches: ClassMatches,
  { recallThresholds, maxDetections }: CocoParameters,
): void {
  const { count, scores, ranks, verdicts: table, positives } = matches;
  const most = Math.max(0, ...positives);
  const envelope = new Float64Array(most);
  const hitScores = new Float64Array(most);
  const reached = new Int32Array(recallThresholds.length);
  const stride = grid.classes * grid.sizes * grid.limits;
  for (let size = 0; size < grid.sizes; size++) {
    if (positives[size] === 0) continue;
    for (let t = 0; t < grid.thresholds; t++) {
      const row = (size * grid.thresholds + t) * count;
      for (let m = 0; m < grid.limits; m++) {
        const limit = maxDetections[m];
        let right = 0;
        let wrong = 0;
        for (let p = 0; p < count; p++) {
          if (ranks[p] >= limit) continue;
          const verdict = table[row + p];
          if (verdict === verdicts.right) {
            right++;
            envelope[right - 1] = right / (wrong + right + Number.EPSILON);
            hitScores[right - 1] = scores[p];
          } else if (verdict === verdicts.wrong) wrong++;
        }
        grid.recall[recallIndex(grid, t, label, size, m)] = right / positives[size];
        reachRecalls(envelope, right, positives[size], recallThresholds, reached);
        let cell = precisionIndex(grid, t, 0, label, size, m);
        for (let r = 0; r < grid.recalls; r++, cell += stride) {
          grid.precision[cell] = reached[r] < 0 ? 0 : envelope[reached[r]];
          grid.scores[cell] = reached[r] < 0 ? 0 : hitScores[reached[r]];
        }
        // A recall of 0 is reached by the first detection, whatever it is.
        if (count > 0) grid.scores[precisionIndex(grid, t, 0, label, size, m)] = scores[0];
      }
    }
  }
}
