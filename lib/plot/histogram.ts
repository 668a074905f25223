/** How values are distributed: box sizes, scores, IoUs, the weights of a layer. */
import {
  type ChartOptions,
  type ChartSpec,
  chartWidth,
  compact,
  csvData,
  formatNumber,
  legendColumns,
  makeChart,
} from './chart-spec';
import { chartColors } from './colors';

/** Values of one kind. */
export interface HistogramSeries {
  name: string;
  values: ArrayLike<number>;
}

/** Options of {@link histogram}. */
export interface HistogramOptions extends ChartOptions {
  /** Title of the horizontal axis with its unit, such as "Box area (% of the image)". */
  x: string;
  /** Title of the vertical axis ("Count", or "Share (%)" with `share`, unless told). */
  y?: string;
  /** Number of bins of equal width (30 unless told). */
  bins?: number;
  /** First and last edge; the range of the data unless told. Values outside are counted in the subtitle. */
  domain?: readonly [number, number];
  /** Percent of each series instead of counts: compares series of different sizes. */
  share?: boolean;
}

/**
 * A histogram of one series, or of several over one another. The bins are counted here, so that the saved chart holds a few
 * counts and not thousands of values. Non-finite values are left out, and the subtitle says how many. Any array of numbers
 * will do, typed or not; a tensor's are `await tensor.data()`.
 * @throws when there is no series or one has no finite value; the message names it.
 */
export function histogram(
  data: ArrayLike<number> | readonly HistogramSeries[],
  options: HistogramOptions,
): ChartSpec {
  const series = isSeries(data) ? data : [{ name: 'values', values: data }];
  if (series.length === 0) throw new Error('histogram: no series; give at least one { name, values }');
  const bins = options.bins ?? 30;
  if (!Number.isInteger(bins) || bins < 1)
    throw new RangeError(`histogram: bins is a positive integer, got ${bins}`);
  const finite = series.map(({ name, values }) => {
    const kept = Array.from(values).filter(Number.isFinite);
    if (kept.length === 0) {
      throw new Error(`histogram: series "${name}" has no finite value among its ${values.length}`);
    }
    return kept;
  });
  let [low, high] =
    options.domain ??
    finite.flat().reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  if (!(high > low)) [low, high] = [low - 0.5, low + 0.5]; // one value only: a bin around it
  const width = (high - low) / bins;
  let outside = 0;
  const rows = finite.flatMap((values, s) => {
    const counts = new Array<number>(bins).fill(0);
    for (const value of values) {
      if (value < low || value > high) outside++;
      else counts[Math.min(bins - 1, Math.floor((value - low) / width))]++;
    }
    return counts.map((count, b) => [
      series[s].name,
      low + b * width,
      low + (b + 1) * width,
      options.share ? (100 * count) / values.length : count,
    ]);
  });
  const skipped = series.reduce((sum, one, s) => sum + one.values.length - finite[s].length, 0);
  const notes = [
    options.subtitle,
    skipped > 0 ? `${skipped} non-finite value${skipped > 1 ? 's' : ''} left out` : '',
    outside > 0 ? `${outside} value${outside > 1 ? 's' : ''} outside the axis` : '',
  ];
  const names = series.map((one) => one.name);
  const several = series.length > 1;
  const yTitle = options.y ?? (options.share ? 'Share (%)' : 'Count');
  const color = several
    ? {
        field: 'series',
        type: 'nominal',
        title: null,
        scale: { domain: names, range: names.map((_, i) => chartColors[i % chartColors.length]) },
        legend: {
          orient: 'top',
          symbolOpacity: 1,
          columns: legendColumns(names, options.width ?? chartWidth),
        },
      }
    : { value: chartColors[0] };
  return makeChart(
    {
      data: csvData(['series', 'from', 'to', 'count'], rows, ['from', 'to', 'count']),
      mark: {
        type: 'bar',
        binSpacing: several ? 0 : 1,
        opacity: several ? 0.5 : 1,
        ...(several ? {} : { cornerRadiusEnd: 1 }),
      },
      encoding: {
        x: {
          field: 'from',
          type: 'quantitative',
          title: options.x,
          bin: 'binned',
          scale: { zero: false, nice: false },
        },
        x2: { field: 'to' },
        y: {
          field: 'count',
          type: 'quantitative',
          title: yTitle,
          stack: null,
          ...(options.share ? {} : { axis: { tickMinStep: 1 } }),
        },
        color,
        tooltip: [
          ...(several ? [{ field: 'series', type: 'nominal' }] : []),
          { field: 'from', type: 'quantitative', title: 'from', format: '.4~g' },
          { field: 'to', type: 'quantitative', title: 'to', format: '.4~g' },
          { field: 'count', type: 'quantitative', title: yTitle, format: options.share ? '.1f' : ',d' },
        ],
      },
    },
    { ...options, subtitle: notes.filter(Boolean).join(' · ') || undefined },
    `Histogram of ${options.x}. ${finite.map((values, s) => summary(names[s], values)).join('; ')}.`,
    280,
  );
}

function isSeries(data: ArrayLike<number> | readonly HistogramSeries[]): data is readonly HistogramSeries[] {
  return (
    Array.isArray(data) &&
    data.every((item) => typeof item === 'object') &&
    (data.length === 0 || 'values' in data[0])
  );
}

function summary(name: string, values: number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const median = sorted[Math.floor((sorted.length - 1) / 2)];
  const ends = [sorted[0], sorted[sorted.length - 1]].map((v) => formatNumber(compact(v) ?? v));
  return `${name}: ${values.length} from ${ends[0]} to ${ends[1]}, median ${formatNumber(median)}`;
}
