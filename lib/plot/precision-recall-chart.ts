/** Precision against recall, one curve a class: what average precision is the area under. */
import {
  type ChartOptions,
  type ChartSpec,
  chartWidth,
  csvData,
  formatNumber,
  legendColumns,
  makeChart,
} from './chart-spec';
import { chartColors, classColor } from './colors';

/** The curve of one class (or one method). */
export interface PrecisionRecallCurve {
  name: string;
  /** Ascending, in [0, 1]. */
  recall: ArrayLike<number>;
  /** In [0, 1], at the same places. */
  precision: ArrayLike<number>;
  /** Average precision in [0, 1]; stands beside the name. */
  averagePrecision?: number;
}

/** Options of {@link precisionRecallChart}. */
export interface PrecisionRecallOptions extends ChartOptions {
  /** Points kept of one curve (150 unless told, less where there are more than eight). */
  maxPoints?: number;
}

/**
 * A precision-recall chart, of Pascal VOC's curves (a point a detection) or COCO's (`cocoCurves`: a point a recall, where precision 0
 * says that the recall is not reached; the curve ends before). A class without detections has an empty curve; it is in the legend,
 * so that it is not forgotten. Curves are thinned by keeping their extremes.
 * @throws when there are no curves, or recall and precision differ in length; the message names the curve.
 */
export function precisionRecallChart(
  curves: readonly PrecisionRecallCurve[],
  options: PrecisionRecallOptions = {},
): ChartSpec {
  if (curves.length === 0)
    throw new Error('precisionRecallChart: no curves; give at least one { name, recall, precision }');
  const limit = options.maxPoints ?? Math.max(45, Math.min(150, Math.floor(1200 / curves.length)));
  const names = curves.map((curve) =>
    curve.averagePrecision === undefined
      ? curve.name
      : `${curve.name} (AP ${curve.averagePrecision.toFixed(2)})`,
  );
  const rows = curves.flatMap((curve, i) => {
    const { recall, precision } = curve;
    if (recall.length !== precision.length) {
      throw new Error(
        `precisionRecallChart: curve "${curve.name}" has ${recall.length} recalls but ${precision.length} precisions`,
      );
    }
    return thin(curve, reached(curve), limit).map((k) => [names[i], recall[k], precision[k]]);
  });
  const many = curves.length > 4;
  const several = curves.length > 1 || curves[0].averagePrecision !== undefined;
  const x = axis('recall', 'Recall');
  const y = axis('precision', 'Precision');
  const color = {
    field: 'curve',
    type: 'nominal',
    title: null,
    scale: {
      domain: names,
      range: names.map((_, i) => (names.length > chartColors.length ? classColor(i) : chartColors[i])),
    },
    legend: several
      ? {
          symbolType: 'stroke',
          symbolOpacity: 1,
          ...(many
            ? { orient: 'right', columns: 1 }
            : { orient: 'top', columns: legendColumns(names, options.width ?? chartWidth) }),
        }
      : null,
  };
  return makeChart(
    {
      data: csvData(['curve', 'recall', 'precision'], rows, ['recall', 'precision']),
      mark: { type: 'line', interpolate: 'linear', clip: true, strokeWidth: many ? 1.5 : 2 },
      encoding: {
        x,
        y,
        color,
        order: { field: 'recall', type: 'quantitative' },
        tooltip: [
          { field: 'curve', type: 'nominal', title: 'class' },
          { field: 'recall', type: 'quantitative', format: '.3f' },
          { field: 'precision', type: 'quantitative', format: '.3f' },
        ],
      },
    },
    options,
    `Precision-recall curves. ${curves.map(summary).join('; ')}.`,
    Math.max(360, many ? curves.length * 17 + 90 : 0),
  );
}

/** How many points there are before precision is 0 for good. */
function reached({ precision }: PrecisionRecallCurve): number {
  let n = precision.length;
  while (n > 0 && precision[n - 1] === 0) n--;
  return n;
}

/**
 * Indices of the points to keep of the first `n`: of each stretch of recall the first, the last, and the lowest and highest precision. (Not of
 * so many detections: the first hundred of thousands may find half of the objects.)
 */
function thin({ recall, precision }: PrecisionRecallCurve, n: number, limit: number): number[] {
  if (n <= limit) return Array.from({ length: n }, (_, i) => i);
  const stretches = Math.max(1, Math.floor(limit / 4));
  const stretchOf = (i: number): number =>
    Math.min(stretches - 1, Math.floor((stretches * recall[i]) / recall[n - 1]));
  const kept = new Set<number>();
  for (let from = 0; from < n;) {
    let [lowest, highest, next] = [from, from, from];
    for (; next < n && stretchOf(next) === stretchOf(from); next++) {
      if (precision[next] < precision[lowest]) lowest = next;
      if (precision[next] > precision[highest]) highest = next;
    }
    for (const i of [from, lowest, highest, next - 1]) kept.add(i);
    from = next;
  }
  return [...kept].sort((i, j) => i - j);
}

function axis(field: string, title: string): Record<string, unknown> {
  return {
    field,
    type: 'quantitative',
    title,
    scale: { domain: [0, 1], nice: false },
    axis: { grid: true, format: '.1f', tickCount: 6 },
  };
}

function summary(curve: PrecisionRecallCurve): string {
  const n = reached(curve);
  const none = curve.recall.length === 0 ? 'no detections' : 'nothing found';
  const reach = n === 0 ? none : `recall up to ${formatNumber(curve.recall[n - 1])}`;
  const ap = curve.averagePrecision === undefined ? '' : `AP ${formatNumber(curve.averagePrecision)}, `;
  return `${curve.name}: ${ap}${reach}`;
}
