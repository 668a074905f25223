/** From columns of objects and detections to COCO's figures, class by class. */
import type { EvaluationProblem } from '../problems';
import { groupByKey } from '../stable-order';
import { accumulateClass, createGrid, precisionIndex, recallIndex } from './accumulate';
import type { EvaluationColumns } from './columns';
import { matchClass } from './matching';
import type { CocoParameters } from './parameters';
import type { CocoClassResult, CocoFigures, CocoGrid, CocoResult } from './types';

/** What the columns do not say. */
export interface ColumnsContext {
  readonly classes: readonly string[];
  readonly parameters: CocoParameters;
  readonly problems: readonly EvaluationProblem[];
  readonly categoryIds?: readonly number[];
  /** Whether a detection that finds nothing is left out there (LVIS: the class is not fully annotated in the image). */
  readonly unmatchedIgnored?: (image: number, label: number) => boolean;
}

/** Evaluates columns, whose labels must be classes. */
export function evaluateColumns(columns: EvaluationColumns, context: ColumnsContext): CocoResult {
  const { parameters, unmatchedIgnored } = context;
  const { objects, detections, images } = columns;
  const { classAgnostic, areaRanges, iouThresholds, recallThresholds, maxDetections } = parameters;
  const classes = classAgnostic ? ['all classes'] : context.classes;
  const rows = { objects: rowsByClass(objects), detections: rowsByClass(detections) };
  const grid = createGrid(classes.length, parameters);
  const objectsBySize = areaRanges.map(() => 0);
  const perClass = classes.map((name, label): CocoClassResult => {
    const matches = matchClass(
      { objects: rows.objects(label), detections: rows.detections(label) },
      objects,
      detections,
      parameters,
      unmatchedIgnored && ((image) => unmatchedIgnored(image, label)),
    );
    accumulateClass(grid, label, matches, parameters);
    matches.positives.forEach((positives, size) => (objectsBySize[size] += positives));
    return {
      name,
      label,
      ...(context.categoryIds && !classAgnostic && { categoryId: context.categoryIds[label] }),
      objects: matches.positives[0],
      detections: matches.count,
      ...figures(grid, parameters, [label]),
    };
  });
  const labels = classes.map((_, label) => label);
  const all = figures(grid, parameters, labels);
  const limit = maxDetections.length - 1;
  return {
    ...all,
    stats: cocoFigureNames.map((name) => (Number.isNaN(all[name]) ? -1 : all[name])),
    perClass,
    bySize: areaRanges.map(({ name, from, to }, size) => ({
      name,
      from,
      to,
      objects: objectsBySize[size],
      ap: meanPrecision(grid, labels, size, limit),
      ap50: meanPrecision(grid, labels, size, limit, iouThresholds.indexOf(0.5)),
      ap75: meanPrecision(grid, labels, size, limit, iouThresholds.indexOf(0.75)),
      ar: meanRecall(grid, labels, size, limit),
    })),
    images,
    iouThresholds,
    recallThresholds,
    maxDetections,
    grid,
    problems: context.problems,
  };

  function rowsByClass({
    image,
    label,
  }: {
    image: Int32Array;
    label: Int32Array;
  }): (label: number) => Uint32Array {
    // Official order: without classes, an image's rows are put together class by class.
    if (classAgnostic) {
      const { order } = groupByKey(image, images, groupByKey(label, context.classes.length).order);
      return () => order;
    }
    const { order, starts } = groupByKey(label, classes.length, groupByKey(image, images).order);
    return (one) => order.subarray(starts[one], starts[one + 1]);
  }
}

/** The twelve figures in the official order. */
export const cocoFigureNames: readonly (keyof CocoFigures)[] = [
  ...(['ap', 'ap50', 'ap75', 'apSmall', 'apMedium', 'apLarge'] as const),
  ...(['ar1', 'ar10', 'ar100', 'arSmall', 'arMedium', 'arLarge'] as const),
];

function figures(
  grid: CocoGrid,
  { iouThresholds, areaRanges, maxDetections }: CocoParameters,
  labels: readonly number[],
): CocoFigures {
  const most = maxDetections.length - 1;
  const ap = (size: string, threshold?: number): number =>
    meanPrecision(
      grid,
      labels,
      areaRanges.findIndex(({ name }) => name === size),
      most,
      threshold === undefined ? undefined : iouThresholds.indexOf(threshold),
    );
  const ar = (size: string, limit: number): number =>
    meanRecall(
      grid,
      labels,
      areaRanges.findIndex(({ name }) => name === size),
      limit,
    );
  return {
    ap: ap('all'),
    ap50: ap('all', 0.5),
    ap75: ap('all', 0.75),
    apSmall: ap('small'),
    apMedium: ap('medium'),
    apLarge: ap('large'),
    ar1: ar('all', 0),
    ar10: ar('all', Math.min(1, most)),
    ar100: ar('all', most),
    arSmall: ar('small', most),
    arMedium: ar('medium', most),
    arLarge: ar('large', most),
  };
}

/** The mean over classes with something to find, recalls and thresholds (or one threshold; NaN where it is -1, not there). */
export function meanPrecision(
  grid: CocoGrid,
  labels: readonly number[],
  size: number,
  limit: number,
  threshold?: number,
): number {
  if (size < 0 || threshold === -1) return NaN;
  const [first, end] = threshold === undefined ? [0, grid.thresholds] : [threshold, threshold + 1];
  let sum = 0;
  let count = 0;
  for (const label of labels) {
    if (grid.recall[recallIndex(grid, 0, label, size, limit)] < 0) continue;
    for (let t = first; t < end; t++) {
      for (let r = 0; r < grid.recalls; r++) {
        sum += grid.precision[precisionIndex(grid, t, r, label, size, limit)];
      }
    }
    count += (end - first) * grid.recalls;
  }
  return sum / count;
}

/** The mean over classes with something to find and thresholds; NaN when there is none. */
export function meanRecall(grid: CocoGrid, labels: readonly number[], size: number, limit: number): number {
  if (size < 0) return NaN;
  let sum = 0;
  let count = 0;
  for (const label of labels) {
    for (let t = 0; t < grid.thresholds; t++) {
      const value = grid.recall[recallIndex(grid, t, label, size, limit)];
      if (value < 0) continue;
      sum += value;
      count++;
    }
  }
  return sum / count;
}
