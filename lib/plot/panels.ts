/** Several charts as one picture. */
import { type ChartOptions, type ChartSpec, chartTheme, chartWidth, titleOf } from './chart-spec';

/** Options of {@link panels}. */
export interface PanelsOptions extends ChartOptions {
  /** Charts in a row (2 unless told). */
  columns?: number;
  /** Draws all panels against the same vertical (`y`), horizontal (`x`) or both axes: panels can then be compared by eye. */
  shared?: 'x' | 'y' | 'both';
}

/** About what the axis of a panel takes beside its plot, and the space between panels, in pixels. */
const axisRoom = 58;
const spacing = 18;

/**
 * Puts charts side by side, in rows. `width` is that of the whole (600 unless told) and `height` that of one panel's plot (180
 * unless told); each panel's own size is replaced. Legends are drawn once for all where the panels have the same series.
 * @throws when there are no charts.
 */
export function panels(charts: readonly ChartSpec[], options: PanelsOptions = {}): ChartSpec {
  if (charts.length === 0) throw new Error('panels: no charts; give at least one');
  const columns = Math.min(options.columns ?? 2, charts.length);
  if (!Number.isInteger(columns) || columns < 1) {
    throw new RangeError(`panels: columns is a positive integer, got ${options.columns}`);
  }
  const total = options.width ?? chartWidth;
  const width = Math.max(60, Math.floor((total - columns * axisRoom - (columns - 1) * spacing) / columns));
  const height = options.height ?? 180;
  const shared = options.shared;
  const scale = {
    ...(shared === 'x' || shared === 'both' ? { x: 'shared' } : { x: 'independent' }),
    ...(shared === 'y' || shared === 'both' ? { y: 'shared' } : { y: 'independent' }),
  };
  return {
    $schema: charts[0].$schema,
    description: [options.title, ...charts.map((chart) => chart.description)].filter(Boolean).join(' '),
    ...titleOf(options),
    columns,
    // Plots line up by their frames, whatever their labels; the room for labels and titles is therefore part of the spacing.
    bounds: 'flush',
    spacing: { column: axisRoom + spacing, row: rowSpacing(charts) },
    concat: charts.map((chart, i) => panel(chart, i, width, height)),
    resolve: { scale: { ...scale, color: sameColors(charts) ? 'shared' : 'independent' } },
    config: chartTheme,
  };
}

/** Room between rows: an axis with its title, and what stands above a panel. */
function rowSpacing(charts: readonly ChartSpec[]): number {
  const titled = charts.some((chart) => chart.title !== undefined);
  const subtitled = charts.some(
    (chart) => (chart.title as { subtitle?: unknown } | undefined)?.subtitle !== undefined,
  );
  const ownLegends = !sameColors(charts) && charts.some((chart) => findColor(chart) !== undefined);
  return 58 + (titled ? 26 : 0) + (subtitled ? 18 : 0) + (ownLegends ? 26 : 0);
}

function panel(chart: ChartSpec, index: number, width: number, height: number): Record<string, unknown> {
  const {
    $schema: _schema,
    config: _config,
    autosize: _autosize,
    description: _text,
    title,
    ...rest
  } = chart;
  const small =
    title === undefined
      ? {}
      : {
          title: {
            ...(typeof title === 'string' ? { text: title } : title),
            fontSize: 12,
            subtitleFontSize: 11,
            offset: 8,
          },
        };
  const inner = 'concat' in rest ? {} : { width, height };
  return { ...(renamed(rest, index) as Record<string, unknown>), ...small, ...inner };
}

/** Names of layers and parameters are global in a specification: each panel's get its number. */
function renamed(value: unknown, index: number): unknown {
  if (Array.isArray(value)) return value.map((item) => renamed(item, index));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => {
      if (key === 'data') return [key, part];
      if (key === 'param' || (key === 'name' && typeof part === 'string'))
        return [key, `${String(part)}-${index}`.replaceAll('-', '_')];
      return [key, renamed(part, index)];
    }),
  );
}

/** Whether all panels colour the same series alike, so that one legend serves them. */
function sameColors(charts: readonly ChartSpec[]): boolean {
  const scales = charts.map((chart) => JSON.stringify(findColor(chart)?.scale ?? null));
  return scales[0] !== 'null' && scales.every((scale) => scale === scales[0]);
}

function findColor(value: unknown): { scale?: unknown } | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { encoding, layer } = value as { encoding?: { color?: { scale?: unknown } }; layer?: unknown[] };
  if (encoding?.color?.scale) return encoding.color;
  for (const part of layer ?? []) {
    const found = findColor(part);
    if (found) return found;
  }
  return undefined;
}
