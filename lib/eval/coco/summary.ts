/** COCO's figures as the official code prints them, and as curves. */
import { precisionIndex, recallIndex } from './accumulate';
import { meanPrecision } from './figures';
import type { CocoResult } from './types';

/** The twelve lines that pycocotools' `summarize()` prints, to the letter. -1 is what there is not. */
export function cocoSummary(result: CocoResult): string {
  const { iouThresholds, maxDetections, stats } = result;
  const range = `${iouThresholds[0].toFixed(2)}:${iouThresholds[iouThresholds.length - 1].toFixed(2)}`;
  const most = maxDetections[maxDetections.length - 1];
  const line = (
    kind: 'Precision' | 'Recall',
    iou: string,
    area: string,
    limit: number,
    value: number,
  ): string =>
    ` Average ${kind === 'Precision' ? 'Precision  (AP)' : 'Recall     (AR)'} @[ IoU=${iou.padEnd(9)} | ` +
    `area=${area.padStart(6)} | maxDets=${String(limit).padStart(3)} ] = ${value.toFixed(3)}`;
  return [
    line('Precision', range, 'all', most, stats[0]),
    line('Precision', '0.50', 'all', most, stats[1]),
    line('Precision', '0.75', 'all', most, stats[2]),
    ...['small', 'medium', 'large'].map((area, i) => line('Precision', range, area, most, stats[3 + i])),
    ...maxDetections.map((limit, i) => line('Recall', range, 'all', limit, stats[6 + i])),
    ...['small', 'medium', 'large'].map((area, i) => line('Recall', range, area, most, stats[9 + i])),
  ].join('\n');
}

/** Which curves to take. */
export interface CocoCurveOptions {
  /** One of the result's. Default its first, 0.5. */
  readonly iouThreshold?: number;
  /** `all` unless told, or the name of a range of sizes. */
  readonly area?: string;
  /** Classes by label. Default: all with something to find. */
  readonly labels?: readonly number[];
}

/** A precision-recall curve at COCO's 101 recalls; `precisionRecallChart` draws it. */
export interface CocoCurve {
  readonly name: string;
  readonly label: number;
  /** 0, 0.01, ..., 1. */
  readonly recall: readonly number[];
  /** The highest precision at this recall or a higher one; 0 beyond what is reached. */
  readonly precision: Float64Array;
  /** The score from which detections reach the recall; 0 beyond what is reached. */
  readonly scores: Float64Array;
  /** The mean of `precision`. */
  readonly averagePrecision: number;
}

/**
 * The curves of a result, with as many detections as the last of its `maxDetections`.
 * @throws RangeError when the threshold or the range of sizes was not measured, or a class had nothing to find
 */
export function cocoCurves(result: CocoResult, options: CocoCurveOptions = {}): CocoCurve[] {
  const { grid, iouThresholds, perClass, bySize, recallThresholds } = result;
  const { iouThreshold = iouThresholds[0], area = 'all' } = options;
  const t = iouThresholds.indexOf(iouThreshold);
  if (t < 0) {
    throw new RangeError(
      `cocoCurves: IoU ${iouThreshold} was not measured; there are ${iouThresholds.join(', ')}`,
    );
  }
  const size = bySize.findIndex(({ name }) => name === area);
  if (size < 0) {
    throw new RangeError(
      `cocoCurves: area '${area}' was not measured; there are ${bySize.map(({ name }) => name).join(', ')}`,
    );
  }
  const limit = grid.limits - 1;
  const measured = (label: number): boolean => grid.recall[recallIndex(grid, t, label, size, limit)] >= 0;
  const labels = options.labels ?? perClass.map(({ label }) => label).filter(measured);
  return labels.map((label) => {
    if (!(label in perClass)) {
      throw new RangeError(`cocoCurves: there is no class ${label}; there are ${perClass.length}`);
    }
    const { name } = perClass[label];
    if (!measured(label))
      throw new RangeError(`cocoCurves: class '${name}' has no objects of area '${area}'`);
    const at = (r: number): number => precisionIndex(grid, t, r, label, size, limit);
    return {
      name,
      label,
      recall: recallThresholds,
      precision: Float64Array.from(recallThresholds, (_, r) => grid.precision[at(r)]),
      scores: Float64Array.from(recallThresholds, (_, r) => grid.scores[at(r)]),
      averagePrecision: meanPrecision(grid, [label], size, limit, t),
    };
  });
}
