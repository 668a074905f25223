/** Points: accuracy against cost, one score against another. */
import type { Box } from '../boxes/types';
import {
  type ChartOptions,
  type ChartSpec,
  chartWidth,
  compact,
  formatNumber,
  legendColumns,
  logAxis,
  makeChart,
} from './chart-spec';
import { chartColors } from './colors';

/** One point. */
export interface ScatterPoint {
  x: number;
  y: number;
  /** Written beside the point. */
  label?: string;
  /** Points of a group share a colour. */
  group?: string;
}

/** Options of {@link scatterChart}. */
export interface ScatterChartOptions extends ChartOptions {
  /** Title of the horizontal axis with its unit, such as "Multiply-adds (millions)". */
  x: string;
  /** Title of the vertical axis with its unit, such as "mAP (%)". */
  y: string;
  xScale?: 'linear' | 'log';
  yScale?: 'linear' | 'log';
  /** Joins the points of each group, or of the groups told, in order of x: a trade-off curve. */
  connect?: boolean | readonly string[];
  /** A d3 number format for tooltips (".4~g" unless told). */
  format?: string;
}

type Side = keyof typeof textMarks;

/** Where a label stands beside its point, best first. */
const textMarks = {
  right: { align: 'left', baseline: 'middle', dx: 8 },
  left: { align: 'right', baseline: 'middle', dx: -8 },
  above: { align: 'center', baseline: 'bottom', dy: -7 },
  below: { align: 'center', baseline: 'top', dy: 8 },
  aboveRight: { align: 'left', baseline: 'bottom', dy: -7, dx: -4 },
  belowRight: { align: 'left', baseline: 'top', dy: 8, dx: -4 },
  aboveLeft: { align: 'right', baseline: 'bottom', dy: -7, dx: 4 },
  belowLeft: { align: 'right', baseline: 'top', dy: 8, dx: 4 },
} as const;

/**
 * A scatter chart. Labels stand where they cover no other label; one that finds no room is left to the tooltip. Points that are
 * not finite (or not positive on a log axis) cannot be drawn; the subtitle counts them.
 * @throws when no point can be drawn.
 */
export function scatterChart(points: readonly ScatterPoint[], options: ScatterChartOptions): ChartSpec {
  const drawable = (value: number, scale?: string): boolean =>
    Number.isFinite(value) && (scale !== 'log' || value > 0);
  const kept = points.filter((p) => drawable(p.x, options.xScale) && drawable(p.y, options.yScale));
  if (kept.length === 0) {
    throw new Error(
      points.length === 0
        ? 'scatterChart: no points; give at least one { x, y }'
        : `scatterChart: none of the ${points.length} points can be drawn; x and y must be finite, and positive on a log axis`,
    );
  }
  const width = options.width ?? chartWidth;
  const height = options.height ?? 360;
  const xRange = padded(
    kept.map((p) => p.x),
    options.xScale,
  );
  const yRange = padded(
    kept.map((p) => p.y),
    options.yScale,
  );
  const groups = [...new Set(kept.map((p) => p.group ?? ''))];
  const sides = labelSides(kept, options, xRange, yRange, width - 90, height - 110);
  const values = kept.map((p, i) => ({
    x: compact(p.x),
    y: compact(p.y),
    ...(p.group === undefined ? {} : { group: p.group }),
    ...(p.label === undefined ? {} : { label: p.label }),
    ...(sides[i] ? { side: sides[i] } : {}),
  }));
  const axis = (field: 'x' | 'y', range: [number, number]): Record<string, unknown> => ({
    field,
    type: 'quantitative',
    title: options[field],
    axis: { grid: true, ...(options[`${field}Scale`] === 'log' ? logAxis(...range) : {}) },
    scale: {
      type: options[`${field}Scale`] ?? 'linear',
      domain: range.map(compact),
      nice: false,
    },
  });
  const x = axis('x', xRange);
  const y = axis('y', yRange);
  const color =
    groups.length > 1
      ? {
          field: 'group',
          type: 'nominal',
          title: null,
          scale: { domain: groups, range: groups.map((_, i) => chartColors[i % chartColors.length]) },
          legend: { orient: 'top', symbolOpacity: 1, columns: legendColumns(groups, width) },
        }
      : { value: chartColors[0] };
  const format = options.format ?? '.4~g';
  const layer: Record<string, unknown>[] = [];
  if (options.connect) {
    layer.push({
      ...(options.connect === true
        ? {}
        : { transform: [{ filter: { field: 'group', oneOf: [...options.connect] } }] }),
      mark: { type: 'line', strokeWidth: 1.5, opacity: 0.5 },
      encoding: { x, y, color },
    });
  }
  layer.push({
    mark: {
      type: 'point',
      filled: true,
      size: kept.length > 200 ? 20 : 64,
      opacity: kept.length > 60 ? 0.6 : 1,
    },
    encoding: {
      x,
      y,
      color,
      tooltip: [
        ...(kept.some((p) => p.label !== undefined) ? [{ field: 'label', type: 'nominal' }] : []),
        ...(groups.length > 1 ? [{ field: 'group', type: 'nominal' }] : []),
        { field: 'x', type: 'quantitative', title: options.x, format },
        { field: 'y', type: 'quantitative', title: options.y, format },
      ],
    },
  });
  for (const side of Object.keys(textMarks) as Side[]) {
    if (!sides.includes(side)) continue;
    layer.push({
      transform: [{ filter: `datum.side === '${side}'` }],
      mark: { type: 'text', ...textMarks[side] },
      encoding: { x, y, text: { field: 'label', type: 'nominal' } },
    });
  }
  const missing = points.length - kept.length;
  const note = missing > 0 ? `${missing} point${missing > 1 ? 's' : ''} not drawable` : '';
  return makeChart(
    { data: { values }, layer },
    { ...options, subtitle: [options.subtitle, note].filter(Boolean).join(' · ') || undefined },
    `Scatter chart of ${options.y} against ${options.x}: ${summary(kept)}.`,
    height,
  );
}

/** The range of values with room for the points' own size and their labels. */
function padded(values: readonly number[], scale: 'linear' | 'log' = 'linear'): [number, number] {
  const toAxis = scale === 'log' ? Math.log10 : (v: number): number => v;
  const fromAxis = scale === 'log' ? (v: number): number => 10 ** v : (v: number): number => v;
  const low = toAxis(Math.min(...values));
  const high = toAxis(Math.max(...values));
  const room = high > low ? (high - low) * 0.08 : scale === 'log' ? 0.3 : Math.abs(high) * 0.1 || 1;
  return [fromAxis(low - room), fromAxis(high + room)];
}

/** On which side of its point each label stands; the plot's size in pixels is estimated, as vega lays it out later. */
function labelSides(
  points: readonly ScatterPoint[],
  options: ScatterChartOptions,
  xRange: readonly [number, number],
  yRange: readonly [number, number],
  width: number,
  height: number,
): (Side | undefined)[] {
  const at = (value: number, [low, high]: readonly [number, number], scale?: string): number =>
    scale === 'log' ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  const centres = points.map((point) => [
    at(point.x, xRange, options.xScale) * width,
    (1 - at(point.y, yRange, options.yScale)) * height,
  ]);
  const taken: Box[] = centres.map(([x, y]) => [x - 5, y - 5, x + 5, y + 5]);
  // Where there is room, no line runs through a label.
  const lines = joined(points, options.connect).flatMap(([from, to]) => along(centres[from], centres[to]));
  return points.map((point, i) => {
    if (point.label === undefined) return undefined;
    const [x, y] = centres[i];
    const w = point.label.length * 6.6; // 12 px text; a little wide on average
    const spots: Record<Side, Box> = {
      right: [x + 7, y - 8, x + 7 + w, y + 8],
      left: [x - 7 - w, y - 8, x - 7, y + 8],
      above: [x - w / 2, y - 23, x + w / 2, y - 7],
      below: [x - w / 2, y + 7, x + w / 2, y + 23],
      aboveRight: [x - 4, y - 23, x - 4 + w, y - 7],
      belowRight: [x - 4, y + 7, x - 4 + w, y + 23],
      aboveLeft: [x + 4 - w, y - 23, x + 4, y - 7],
      belowLeft: [x + 4 - w, y + 7, x + 4, y + 23],
    };
    const free = (Object.entries(spots) as [Side, Box][]).filter(([, spot]) => {
      const fits = spot[0] >= 0 && spot[2] <= width && spot[1] >= 0 && spot[3] <= height;
      return fits && !taken.some((other) => meet(spot, other));
    });
    const best = free.find(([, spot]) => !lines.some((dot) => meet(spot, dot))) ?? free[0];
    if (best) taken.push(best[1]);
    return best?.[0];
  });
}

/** Which points a line joins: those of a group, in order of x. */
function joined(
  points: readonly ScatterPoint[],
  connect: boolean | readonly string[] = false,
): [from: number, to: number][] {
  const byGroup = new Map<string, number[]>();
  points.forEach(({ group = '' }, i) => {
    if (connect === true || (connect && connect.includes(group)))
      byGroup.set(group, [...(byGroup.get(group) ?? []), i]);
  });
  return [...byGroup.values()].flatMap((members) => {
    const sorted = [...members].sort((a, b) => points[a].x - points[b].x);
    return sorted.slice(1).map((to, i): [number, number] => [sorted[i], to]);
  });
}

/** Small boxes along a line, a few pixels apart. */
function along([x1, y1]: readonly number[], [x2, y2]: readonly number[]): Box[] {
  const count = Math.ceil(Math.hypot(x2 - x1, y2 - y1) / 4);
  return Array.from({ length: count }, (_, i): Box => {
    const [x, y] = [x1 + ((x2 - x1) * i) / count, y1 + ((y2 - y1) * i) / count];
    return [x - 1, y - 1, x + 1, y + 1];
  });
}

function meet(a: Box, b: Box): boolean {
  return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}

function summary(points: readonly ScatterPoint[]): string {
  if (points.length > 8) return `${points.length} points`;
  return points
    .map((p) => `${p.label ?? p.group ?? 'point'} (${formatNumber(p.x)}, ${formatNumber(p.y)})`)
    .join('; ');
}
