/** What evaluations found, as charts: confusions of classes, the price of each type of error, precision by size. */
import type { CocoResult } from '../eval/coco/types';
import type { ConfusionMatrix } from '../eval/confusion-matrix';
import type { ErrorBreakdown } from '../eval/errors/breakdown';
import { barChart } from './bar-chart';
import type { ChartOptions, ChartSpec } from './chart-spec';
import { formatCount } from './format';
import { heatMap } from './heat-map';

/** Options of {@link confusionChart}. */
export interface ConfusionChartOptions extends ChartOptions {
  /** The numbers in the cells: `shares` of the row (unless told), in percent, or `counts`. Colours are shares in both cases. */
  cells?: 'shares' | 'counts';
  /** Where there are more classes, those with the most confusions are shown (15 unless told), and the background. */
  maxClasses?: number;
}

/**
 * A confusion matrix as a heat map: what is there by rows, what was found by columns, the background last. Cells without any stay
 * empty, as does what is only between classes left out.
 * @throws when there are no classes.
 */
export function confusionChart(confusion: ConfusionMatrix, options: ConfusionChartOptions = {}): ChartSpec {
  const { labels, matrix, shares, scoreThreshold, iouThreshold } = confusion;
  const { cells = 'shares', maxClasses = 15 } = options;
  const background = labels.length - 1;
  if (background < 1) throw new Error('confusionChart: the matrix has no classes');
  const errors = (label: number): number =>
    matrix.reduce((sum, row, there) => sum + (there === label ? 0 : row[label] + matrix[label][there]), 0);
  const worst = [...labels.keys()].slice(0, background).sort((a, b) => errors(b) - errors(a));
  const shown = [...worst.slice(0, maxClasses).sort((a, b) => a - b), background];
  const names = unique(shown.map((label) => labels[label]));
  const conditions = `score from ${scoreThreshold}, IoU from ${iouThreshold}`;
  const cut = background > maxClasses ? `the ${maxClasses} of ${background} classes most confused, ` : '';
  return heatMap(
    {
      rows: names,
      columns: names,
      values: shown.map((there) =>
        shown.map((found) => (matrix[there][found] === 0 ? null : 100 * shares[there][found]!)),
      ),
      texts:
        cells === 'counts'
          ? shown.map((there) => shown.map((found) => String(matrix[there][found])))
          : undefined,
    },
    {
      subtitle: cut + conditions,
      height: Math.min(640, 44 * names.length + 130),
      ...options,
      x: 'Found',
      y: 'There',
      value: 'Share of the row (%)',
      domain: [0, 100],
      format: '.0f',
    },
  );
}

/** A result under the name that a chart gives it. */
export interface Named<T> {
  readonly name: string;
  readonly result: T;
}

/**
 * What each type of error costs: the average precision that would be gained without it, TIDE's way to compare detectors. One result
 * has the number of its errors beside each type; of several, given with their names, bars stand side by side.
 * @throws when there are no results, or two of one name.
 */
export function errorChart(
  breakdown: ErrorBreakdown | readonly Named<ErrorBreakdown>[],
  options: ChartOptions = {},
): ChartSpec {
  const several = isNamed(breakdown);
  const bars = (several ? breakdown : [{ name: '', result: breakdown }]).flatMap(({ name, result }) =>
    result.errors.map(({ type, count, apGain }) => ({
      name: several ? type : `${type} (${formatCount(count)})`,
      group: name,
      value: 100 * apGain,
    })),
  );
  const one = several ? undefined : `AP ${(100 * breakdown.ap).toFixed(1)} at IoU ${breakdown.iouThreshold}`;
  return barChart(bars, {
    subtitle: one,
    ...options,
    value: 'AP gained without these errors (points)',
    format: '.1f',
  });
}

/**
 * COCO's average precision of all objects and by their size. One result has the number of objects beside each size; of several,
 * given with their names, bars stand side by side. Sizes without objects have no bar.
 * @throws when there are no results with objects, or two of one name.
 */
export function sizeChart(
  result: CocoResult | readonly Named<CocoResult>[],
  options: ChartOptions = {},
): ChartSpec {
  const several = isNamed(result);
  const bars = (several ? result : [{ name: '', result }]).flatMap(({ name, result: one }) =>
    one.bySize
      .filter(({ ap }) => Number.isFinite(ap))
      .map((size) => ({
        name: several ? size.name : `${size.name} (${formatCount(size.objects, 'object')})`,
        group: name,
        value: 100 * size.ap,
      })),
  );
  return barChart(bars, { ...options, value: 'AP (%)', format: '.1f' });
}

function isNamed<T>(value: T | readonly Named<T>[]): value is readonly Named<T>[] {
  return Array.isArray(value);
}

/** Names as they are, the second of a kind with a number: an axis tells its ticks by their names. */
function unique(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const before = seen.get(name) ?? 0;
    seen.set(name, before + 1);
    return before === 0 ? name : `${name} (${before + 1})`;
  });
}
