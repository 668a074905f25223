/** Curves against a step: losses, gradient norms, learning rates, mAP over training. */
import {
  type ChartOptions,
  type ChartSpec,
  chartWidth,
  compact,
  csvData,
  formatNumber,
  interactiveLayer,
  legendColumns,
  logAxis,
  makeChart,
} from './chart-spec';
import { chartColors } from './colors';
import { averageRuns, type CurvePoint, decimate, divergedAt, exponentialMovingAverage } from './curves';

/** One curve, or several runs of the same setting (seeds) drawn as their mean in a band from the least to the greatest. */
export interface LineSeries {
  name: string;
  /** The values. NaN and Infinity are allowed: a gap in the middle, a mark where the run diverged at the end. */
  y?: ArrayLike<number>;
  /** Instead of `y`: the values of several runs, at the same steps. A run may be shorter than the others. */
  runs?: readonly ArrayLike<number>[];
  /** The steps, ascending; 0, 1, 2 … unless told. */
  x?: ArrayLike<number>;
  /** A colour other than the next one of the theme. */
  color?: string;
  /** Drawn dashed: a baseline, a published number. */
  dashed?: boolean;
}

/** Options of {@link lineChart}. */
export interface LineChartOptions extends ChartOptions {
  /** Title of the horizontal axis with its unit, such as "Step" or "Images seen (thousands)". */
  x: string;
  /** Title of the vertical axis with its unit, such as "Loss (nats)" or "Step time (ms)". */
  y: string;
  xScale?: 'linear' | 'log';
  yScale?: 'linear' | 'log' | 'symlog';
  /** Least and greatest value shown; what goes beyond is cut off at the frame. */
  yDomain?: readonly [number, number];
  /** Whether the vertical axis starts at zero (no, unless told). */
  yZero?: boolean;
  /** Weight of the past in an exponential moving average, in [0, 1). The raw curve stays, faint, behind it. */
  smoothing?: number;
  /** Points kept of one curve (300 unless told); a longer one is thinned so that its spikes stay. */
  maxPoints?: number;
  /** A d3 number format for tooltips (".4~g" unless told). */
  format?: string;
}

interface Curve {
  name: string;
  color: string;
  dashed: boolean;
  points: CurvePoint[];
  band: boolean;
  /** Where runs stopped being finite: the step, and the last finite point before it. */
  stops: { x: number; lastX: number; lastY: number | null }[];
  hidden: number;
}

/**
 * A line chart of one or several series.
 *
 * A series whose values end in NaN or Infinity has diverged: its curve stops, and a cross with the step marks where.
 * The vertical axis is then fitted to what the other series need, or else the explosion before the NaN would flatten them.
 * Values that a logarithmic axis cannot hold (0 and below) are left out, and the subtitle says how many.
 * @throws when there is no series, a series is empty, or lengths do not match; the message names the series.
 */
export function lineChart(series: readonly LineSeries[], options: LineChartOptions): ChartSpec {
  if (series.length === 0) throw new Error('lineChart: no series; give at least one { name, y }');
  const names = new Set<string>();
  const curves = series.map((one, i) => {
    if (names.has(one.name))
      throw new Error(`lineChart: two series are called "${one.name}"; names tell them apart`);
    names.add(one.name);
    return toCurve(one, chartColors[i % chartColors.length], options);
  });
  const format = options.format ?? '.4~g';
  const hidden = curves.reduce((sum, curve) => sum + curve.hidden, 0);
  const note =
    hidden > 0 ? `${hidden} value${hidden > 1 ? 's' : ''} ≤ 0 not shown on the log axis` : undefined;
  const top = options.yDomain === undefined ? clampedTop(curves) : undefined;

  const whole = curves.every((c) => c.points.every((p) => Number.isInteger(p.x)));
  const xRange = range(curves.flatMap((c) => c.points.map((p) => p.x)));
  const yData = range(curves.flatMap((c) => c.points.flatMap((p) => [p.y, p.raw, p.low, p.high])));
  // Rounded to powers of ten, a loss that falls from 20 to 5 would fill a quarter of its chart.
  const yRange = options.yDomain ?? ([yData[0] / 1.1, top ?? yData[1] * 1.1] as const);
  const x = {
    field: 'x',
    type: 'quantitative',
    title: options.x,
    scale: options.xScale === 'log' ? { type: 'log' } : { zero: false, nice: false },
    // Steps and epochs have no halves.
    axis:
      options.xScale === 'log'
        ? logAxis(...xRange)
        : // Below 1 the prefixes would be those of thousandths.
          { format: xRange[1] < 1 ? '~g' : '~s', ...(whole ? { tickMinStep: 1 } : {}) },
  };
  const y = {
    field: 'y',
    type: 'quantitative',
    title: options.y,
    scale: {
      ...(options.yScale && options.yScale !== 'linear'
        ? { type: options.yScale }
        : { zero: options.yZero ?? false }),
      ...(options.yDomain || options.yScale === 'log'
        ? { domain: [...yRange] }
        : top !== undefined
          ? { domainMax: top }
          : {}),
    },
    ...(options.yScale === 'log' ? { axis: logAxis(...yRange) } : {}),
  };
  const color = {
    field: 'series',
    type: 'nominal',
    title: null,
    scale: { domain: curves.map((c) => c.name), range: curves.map((c) => c.color) },
    legend:
      curves.length > 1
        ? {
            orient: 'top',
            symbolType: 'stroke',
            symbolOpacity: 1,
            columns: legendColumns([...names], options.width ?? chartWidth),
          }
        : null,
  };
  const smoothed = (options.smoothing ?? 0) > 0;
  const banded = curves.some((c) => c.band);
  const layer: Record<string, unknown>[] = [];
  if (banded) {
    layer.push({
      transform: [{ filter: 'isValid(datum.low)' }],
      mark: { type: 'area', opacity: 0.18, clip: true, tooltip: false },
      encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
    });
  }
  if (smoothed) {
    layer.push({
      mark: { type: 'line', opacity: 0.25, strokeWidth: 1, clip: true, tooltip: false },
      encoding: { x, y: { ...y, field: 'raw' }, color },
    });
  }
  for (const dashed of [false, true]) {
    const some = curves.filter((c) => c.dashed === dashed).map((c) => c.name);
    if (some.length === 0) continue;
    layer.push({
      ...(some.length < curves.length ? { transform: [{ filter: { field: 'series', oneOf: some } }] } : {}),
      mark: { type: 'line', clip: true, ...(dashed ? { strokeDash: [5, 4] } : {}) },
      encoding: { x, y, color },
    });
  }
  layer.push(...divergedLayers(curves, x, y, color, top ?? options.yDomain?.[1]));
  layer.push(
    interactiveLayer({
      mark: { type: 'point', filled: true, size: 60, clip: true },
      params: [
        {
          name: 'hover',
          select: { type: 'point', nearest: true, on: 'pointermove', clear: 'pointerout', toggle: false },
        },
      ],
      encoding: {
        x,
        y,
        color,
        opacity: { condition: { param: 'hover', empty: false, value: 1 }, value: 0 },
        tooltip: [
          ...(curves.length > 1 ? [{ field: 'series', type: 'nominal', title: 'series' }] : []),
          { field: 'x', type: 'quantitative', title: options.x, format: ',~r' },
          { field: 'y', type: 'quantitative', title: options.y, format },
        ],
      },
    }),
  );
  return makeChart(
    { data: dataOf(curves, smoothed, banded), layer },
    { ...options, subtitle: [options.subtitle, note].filter(Boolean).join(' · ') || undefined },
    `Line chart of ${options.y} against ${options.x}. ${curves.map(summary).join('; ')}.`,
  );
}

function toCurve(series: LineSeries, color: string, options: LineChartOptions): Curve {
  const where = `lineChart: series "${series.name}"`;
  const runs = series.runs ?? (series.y ? [series.y] : []);
  if (series.runs && series.y) throw new Error(`${where} has both y and runs; give one of them`);
  const length = runs.reduce((most, run) => Math.max(most, run.length), 0);
  if (length === 0) throw new Error(`${where} is empty; was it filled before it was drawn?`);
  if (series.x && series.x.length !== length) {
    throw new Error(
      `${where} has ${length} values of y but ${series.x.length} of x; they belong together in pairs`,
    );
  }
  const xs = series.x ?? Array.from({ length }, (_, i) => i);
  const limit = options.maxPoints ?? 300;
  const { mean, low, high } = averageRuns(runs);
  let hidden = 0;
  const fits = (value: number | null): number | null => {
    if (value === null || options.yScale !== 'log' || value > 0) return value;
    hidden++;
    return null;
  };
  const raw = mean.map(fits);
  const smooth = exponentialMovingAverage(raw, options.smoothing ?? 0);
  const band = runs.length > 1;
  const points = smooth.map((value, i): CurvePoint => {
    const point: CurvePoint = { x: xs[i], y: value, raw: raw[i] };
    if (band && low[i] !== null && (options.yScale !== 'log' || (low[i] as number) > 0)) {
      point.low = low[i] as number;
      point.high = high[i] as number;
    }
    return point;
  });
  const stops = runs.flatMap((run) => {
    const at = divergedAt(run);
    if (at === undefined) return [];
    return [{ x: xs[at], lastX: at > 0 ? xs[at - 1] : xs[at], lastY: at > 0 ? run[at - 1] : null }];
  });
  return {
    name: series.name,
    color: series.color ?? color,
    dashed: series.dashed ?? false,
    points: decimate(points, limit),
    band,
    stops,
    hidden,
  };
}

function dataOf(curves: readonly Curve[], raw: boolean, band: boolean): Record<string, unknown> {
  const columns = [
    'x',
    'y',
    ...(raw ? ['raw'] : []),
    ...(band ? ['low', 'high'] : []),
  ] as (keyof CurvePoint)[];
  const rows = curves.flatMap((curve) =>
    curve.points.map((point) => [curve.name, ...columns.map((column) => point[column] ?? null)]),
  );
  return csvData(['series', ...columns], rows, columns);
}

/** Least and greatest positive value: what a log axis spans. */
function range(values: readonly (number | null | undefined)[]): [number, number] {
  const positive = values.filter((v): v is number => typeof v === 'number' && v > 0);
  return positive.length > 0 ? [Math.min(...positive), Math.max(...positive)] : [0.1, 1];
}

/** Where some series diverged: what the healthy ones need, with some room, if the explosion would go far beyond it. */
function clampedTop(curves: readonly Curve[]): number | undefined {
  const values = (some: readonly Curve[]): number[] =>
    some.flatMap((c) => c.points.flatMap((p) => (typeof p.raw === 'number' ? [p.raw] : [])));
  const exploded = curves.filter((c) => c.stops.length > 0);
  if (exploded.length === 0) return undefined;
  const starts = exploded.flatMap((c) => (typeof c.points[0].raw === 'number' ? [c.points[0].raw] : []));
  const needed = Math.max(...values(curves.filter((c) => c.stops.length === 0)), ...starts);
  const highest = Math.max(...values(exploded));
  return Number.isFinite(needed) && highest > 3 * Math.abs(needed) ? needed * 1.5 : undefined;
}

function divergedLayers(
  curves: readonly Curve[],
  x: Record<string, unknown>,
  y: Record<string, unknown>,
  color: Record<string, unknown>,
  top: number | undefined,
): Record<string, unknown>[] {
  const finite = curves.flatMap((c) => c.points.flatMap((p) => (p.y === null ? [] : [p.y])));
  const highest = finite.length > 0 ? Math.max(...finite) : 1;
  const values = curves.flatMap((curve) =>
    curve.stops.map((stop) => ({
      series: curve.name,
      x: compact(stop.lastX),
      y: compact(Math.min(stop.lastY ?? highest, top ?? Infinity)),
      label: `diverged at ${formatNumber(stop.x)}`,
    })),
  );
  if (values.length === 0) return [];
  const data = { values };
  // Text right of a cross at the end of the axis would leave the picture.
  const xs = curves.flatMap((c) => c.points.map((p) => p.x));
  const middle = (Math.min(...xs) + Math.max(...xs)) / 2;
  const tooltip = [
    { field: 'series', type: 'nominal' },
    { field: 'label', type: 'nominal', title: 'run' },
  ];
  return [
    {
      data,
      mark: { type: 'point', shape: 'cross', angle: 45, filled: true, size: 110, opacity: 1 },
      encoding: { x, y, color, tooltip },
    },
    ...(['left', 'right'] as const).map((align) => ({
      data,
      transform: [{ filter: align === 'left' ? `datum.x <= ${middle}` : `datum.x > ${middle}` }],
      mark: {
        type: 'text',
        align,
        baseline: 'middle',
        dx: align === 'left' ? 10 : -10,
        fontWeight: 600,
        fontSize: 11,
      },
      encoding: { x, y, color, text: { field: 'label' } },
    })),
  ];
}

function summary(curve: Curve): string {
  const finite = curve.points.filter((point) => point.y !== null);
  const stopped =
    curve.stops.length > 0 ? `diverged at ${curve.stops.map((s) => formatNumber(s.x)).join(', ')}` : '';
  if (finite.length === 0) return `${curve.name}: ${stopped || 'no finite value'}`;
  const [first, last] = [finite[0].y as number, finite[finite.length - 1].y as number];
  const course = finite.length > 1 ? `${formatNumber(first)} to ${formatNumber(last)}` : formatNumber(first);
  return `${curve.name}: ${course}${stopped ? `, ${stopped}` : ''}`;
}
