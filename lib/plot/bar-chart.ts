/** Bars with error bars: a score per method, a count per class. */
import {
  type ChartOptions,
  type ChartSpec,
  chartWidth,
  compact,
  formatNumber,
  legendColumns,
  makeChart,
} from './chart-spec';
import { chartColors } from './colors';

/** One bar. */
export interface Bar {
  name: string;
  /** The bar's length. NaN or Infinity is written as "diverged". */
  value?: number;
  /** Instead of `value`: the same measurement over seeds; the bar is their mean, the error bar spans least to greatest. */
  runs?: readonly number[];
  /** Ends of the error bar, in the units of `value`. */
  low?: number;
  high?: number;
  /** Bars of the same name and different groups stand side by side, coloured by group. */
  group?: string;
  /** A value to compare with (a published number), drawn as a black tick across the bar. */
  reference?: number;
}

/** Options of {@link barChart}. */
export interface BarChartOptions extends ChartOptions {
  /** Title of the value axis with its unit, such as "mAP at IoU 0.5 (%)". */
  value: string;
  /** Title of the category axis; none unless told, the names mostly say it. */
  category?: string;
  /** `horizontal` (unless told) leaves room for long names. */
  direction?: 'horizontal' | 'vertical';
  /** Ends of the value axis; bars start at zero unless told. */
  domain?: readonly [number, number];
  /** A d3 number format of the numbers at the bars (".3~g" unless told); `null` leaves them out. */
  format?: string | null;
  /** What the reference ticks are, for the legend ("published" unless told). */
  referenceName?: string;
}

interface BarRow {
  name: string;
  group: string;
  value: number | null;
  low: number | null;
  high: number | null;
  reference: number | null;
  diverged: boolean;
  end: number | null;
}

/**
 * A bar chart. Order and colours follow the order of the bars given.
 * @throws when there are no bars, a bar has neither value nor runs, or the same name and group come twice.
 */
export function barChart(bars: readonly Bar[], options: BarChartOptions): ChartSpec {
  if (bars.length === 0) throw new Error('barChart: no bars; give at least one { name, value }');
  const rows = bars.map(toRow);
  leaveRoomForReferences(rows, options);
  const seen = new Set<string>();
  for (const row of rows) {
    const key = JSON.stringify([row.name, row.group]);
    if (seen.has(key))
      throw new Error(
        `barChart: bar "${row.name}"${row.group ? ` of group "${row.group}"` : ''} is there twice`,
      );
    seen.add(key);
  }
  const names = [...new Set(rows.map((row) => row.name))];
  const groups = [...new Set(rows.map((row) => row.group))];
  const grouped = groups.length > 1;
  const flat = (options.direction ?? 'horizontal') === 'horizontal';
  const format = options.format === undefined ? '.3~g' : options.format;
  const [along, across] = flat ? ['x', 'y'] : ['y', 'x'];

  const value = {
    field: 'value',
    type: 'quantitative',
    title: options.value,
    stack: null,
    scale: options.domain ? { domain: [...options.domain] } : { zero: true },
    axis: { grid: true, domain: false, ticks: false, ...(flat ? {} : { tickCount: 6 }) },
  };
  const category = {
    field: 'name',
    type: 'nominal',
    sort: names,
    title: options.category ?? null,
    axis: {
      grid: false,
      domain: true,
      ticks: false,
      labelColor: '#1f2328',
      labelLimit: 220,
      ...(flat ? {} : { labelAngle: 0 }),
    },
    // Few bars on a wide chart would otherwise be slabs.
    scale: { paddingInner: grouped ? 0.25 : 0.4, paddingOuter: 0.2 },
  };
  const offset = grouped ? { [`${across}Offset`]: { field: 'group', type: 'nominal', sort: groups } } : {};
  const color = grouped
    ? {
        field: 'group',
        type: 'nominal',
        sort: groups,
        title: null,
        scale: { domain: groups, range: groups.map((_, i) => chartColors[i % chartColors.length]) },
        legend: { orient: 'top', columns: legendColumns(groups, options.width ?? chartWidth) },
      }
    : { value: chartColors[0] };
  const place = { [across]: category, ...offset };
  const tooltip = [
    { field: 'name', type: 'nominal', title: options.category ?? 'name' },
    ...(grouped ? [{ field: 'group', type: 'nominal' }] : []),
    { field: 'value', type: 'quantitative', title: options.value, format: format ?? '.4~g' },
    ...(rows.some((row) => row.low !== null)
      ? [
          { field: 'low', type: 'quantitative', title: 'lowest', format: format ?? '.4~g' },
          { field: 'high', type: 'quantitative', title: 'highest', format: format ?? '.4~g' },
        ]
      : []),
  ];
  const layer: Record<string, unknown>[] = [
    {
      mark: { type: 'bar', cornerRadiusEnd: 2, clip: true },
      encoding: { ...place, [along]: value, color, tooltip },
    },
  ];
  if (rows.some((row) => row.low !== null)) {
    layer.push({
      transform: [{ filter: 'isValid(datum.low)' }],
      mark: { type: 'rule', strokeWidth: 1.5, color: '#1f2328' },
      encoding: { ...place, [along]: { ...value, field: 'low' }, [`${along}2`]: { field: 'high' } },
    });
  }
  if (rows.some((row) => row.reference !== null)) {
    layer.push({
      transform: [{ filter: 'isValid(datum.reference)' }],
      mark: { type: 'tick', thickness: 2.5, color: '#1f2328', bandSize: grouped ? undefined : 26 },
      encoding: {
        ...place,
        [along]: { ...value, field: 'reference' },
        tooltip: [{ field: 'reference', title: options.referenceName ?? 'published', type: 'quantitative' }],
      },
    });
  }
  if (format !== null) layer.push(numbers(format, place, along, value));
  layer.push({
    transform: [{ filter: 'datum.diverged' }],
    mark: {
      type: 'text',
      fontStyle: 'italic',
      color: '#57606a',
      ...(flat ? { align: 'left', dx: 4 } : { dy: -8 }),
    },
    encoding: {
      ...place,
      [along]: { ...value, field: undefined, datum: options.domain?.[0] ?? 0 },
      text: { value: 'diverged' },
    },
  });
  const step = grouped ? 16 * groups.length + 14 : 34;
  const height = flat ? Math.max(120, names.length * step + 90) : 320;
  const reference = rows.some((row) => row.reference !== null)
    ? `black tick: ${options.referenceName ?? 'published'}`
    : '';
  return makeChart(
    { data: { values: rows }, layer },
    { ...options, subtitle: [options.subtitle, reference].filter(Boolean).join(' · ') || undefined },
    `Bar chart of ${options.value}. ${rows.map(summary).join('; ')}.`,
    height,
  );
}

function toRow(bar: Bar): BarRow {
  const runs = bar.runs;
  if (runs === undefined && bar.value === undefined) {
    throw new Error(`barChart: bar "${bar.name}" has neither value nor runs`);
  }
  if (runs !== undefined && (bar.value !== undefined || runs.length === 0)) {
    throw new Error(
      `barChart: bar "${bar.name}" ${runs.length === 0 ? 'has no runs' : 'has both value and runs; give one'}`,
    );
  }
  const value = runs ? runs.reduce((sum, v) => sum + v, 0) / runs.length : (bar.value as number);
  const spread = runs !== undefined && runs.length > 1;
  const low = bar.low ?? (spread ? Math.min(...runs) : NaN);
  const high = bar.high ?? (spread ? Math.max(...runs) : NaN);
  return {
    name: bar.name,
    group: bar.group ?? '',
    value: compact(value),
    low: compact(low),
    high: compact(high),
    reference: bar.reference === undefined ? null : compact(bar.reference),
    diverged: !Number.isFinite(value),
    end: compact(Number.isFinite(high) ? Math.max(value, high) : value),
  };
}

/** A number that would stand on its reference tick stands beyond it. */
function leaveRoomForReferences(rows: BarRow[], options: BarChartOptions): void {
  const ends = rows.flatMap((row) => [row.end ?? 0, row.reference ?? 0]);
  const [low, high] = options.domain ?? [Math.min(0, ...ends), Math.max(0, ...ends)];
  const textWidth = (high - low) * 0.09;
  for (const row of rows) {
    if (row.reference === null || row.end === null) continue;
    const ahead = row.reference - row.end;
    if (ahead >= -0.01 * (high - low) && ahead < textWidth) row.end = row.reference;
  }
}

/** Numbers stand beyond the bar and its error bar. */
function numbers(
  format: string,
  place: Record<string, unknown>,
  along: string,
  value: Record<string, unknown>,
): Record<string, unknown> {
  return {
    transform: [{ filter: '!datum.diverged' }],
    mark: {
      type: 'text',
      ...(along === 'x'
        ? { align: 'left', baseline: 'middle', dx: 5 }
        : { align: 'center', baseline: 'bottom', dy: -4 }),
    },
    encoding: {
      ...place,
      [along]: { ...value, field: 'end' },
      text: { field: 'value', type: 'quantitative', format },
    },
  };
}

function summary(row: BarRow): string {
  const name = row.group ? `${row.name} (${row.group})` : row.name;
  if (row.value === null) return `${name}: diverged`;
  const spread =
    row.low === null || row.high === null ? '' : ` (${formatNumber(row.low)} to ${formatNumber(row.high)})`;
  const reference = row.reference === null ? '' : `, published ${formatNumber(row.reference)}`;
  return `${name}: ${formatNumber(row.value)}${spread}${reference}`;
}
