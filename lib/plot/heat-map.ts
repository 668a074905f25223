/** A matrix of numbers: a sweep over two settings, a confusion matrix. */
import { type ChartOptions, type ChartSpec, compact, formatNumber, makeChart } from './chart-spec';
import { luminance } from './colors';

/** Rows, columns and the numbers where they meet. */
export interface HeatMapData {
  rows: readonly string[];
  columns: readonly string[];
  /** `values[row][column]`; NaN or Infinity is a run that diverged, `null` a cell that was not measured. */
  values: readonly (readonly (number | null)[])[];
  /** What is written into the cells, where that is not their value: the colour is a share, the text a count. */
  texts?: readonly (readonly string[])[];
}

/** Options of {@link heatMap}. */
export interface HeatMapOptions extends ChartOptions {
  /** Title of the columns with their unit, such as "Learning rate". */
  x: string;
  /** Title of the rows with their unit, such as "Batch size (images)". */
  y: string;
  /** What the numbers are, with their unit: the title of the colour scale. */
  value: string;
  /** The numbers that the lightest and the darkest colour stand for; the data's own range unless told. */
  domain?: readonly [number, number];
  /** A d3 number format (".3~g" unless told). */
  format?: string;
}

/** Light to dark in one hue: reads in grey and for every colour vision. */
const ramp: readonly string[] = ['#f1f6fb', '#c9dff0', '#93c1e0', '#559fcb', '#237ab0', '#0b588c', '#083660'];
const divergedColor = '#e4e4e7';

/**
 * A heat map with the number in each cell. Runs that diverged are grey cells that say so; cells not measured stay empty.
 * @throws when there are no cells, or a row has another length than `columns`; the message names the row.
 */
export function heatMap(data: HeatMapData, options: HeatMapOptions): ChartSpec {
  const { rows, columns, values, texts } = data;
  if (rows.length === 0 || columns.length === 0)
    throw new Error('heatMap: no cells; rows and columns need names');
  if (values.length !== rows.length) {
    throw new Error(`heatMap: ${rows.length} row names but ${values.length} rows of values`);
  }
  values.forEach((row, i) => {
    if (row.length !== columns.length) {
      throw new Error(`heatMap: row "${rows[i]}" has ${row.length} values for ${columns.length} columns`);
    }
  });
  if (texts && (texts.length !== rows.length || texts.some((row) => row.length !== columns.length))) {
    throw new Error(`heatMap: texts are for other cells; give ${rows.length} rows of ${columns.length}`);
  }
  const finite = values.flat().filter((v): v is number => v !== null && Number.isFinite(v));
  const [low, high] = options.domain ?? [Math.min(...finite), Math.max(...finite)];
  const cells = rows.flatMap((row, r) =>
    columns.flatMap((column, c) => {
      const value = values[r][c];
      if (value === null) return [];
      const diverged = !Number.isFinite(value);
      const light = !diverged && isDark(value, low, high);
      return [
        { row, column, value: compact(value), diverged, light, ...(texts ? { text: texts[r][c] } : {}) },
      ];
    }),
  );
  const x = {
    field: 'column',
    type: 'ordinal',
    // A column without cells has its place, too.
    scale: { domain: [...columns] },
    title: options.x,
    axis: { labelAngle: columns.some((name) => name.length > 9) ? -40 : 0, domain: false, ticks: false },
  };
  const y = {
    field: 'row',
    type: 'ordinal',
    scale: { domain: [...rows] },
    title: options.y,
    axis: { domain: false, ticks: false, grid: false, labelLimit: 160 },
  };
  const format = options.format ?? '.3~g';
  const tooltip = [
    { field: 'row', type: 'nominal', title: options.y },
    { field: 'column', type: 'nominal', title: options.x },
    { field: 'value', type: 'quantitative', title: options.value, format },
    ...(texts ? [{ field: 'text', type: 'nominal' }] : []),
  ];
  const fontSize = columns.length > 14 ? 9 : columns.length > 9 ? 10 : 12;
  const layer: Record<string, unknown>[] = [
    {
      transform: [{ filter: '!datum.diverged' }],
      mark: { type: 'rect', stroke: '#ffffff', strokeWidth: 1.5 },
      encoding: {
        x,
        y,
        tooltip,
        color: {
          field: 'value',
          type: 'quantitative',
          title: options.value,
          scale: {
            domain: finite.length > 0 ? [low, high] : [0, 1],
            range: [...ramp],
            interpolate: 'lab',
            clamp: true,
          },
          legend: {
            orient: 'right',
            gradientThickness: 12,
            gradientLength: { expr: 'min(height, 180)' },
            titleLimit: 160,
          },
        },
      },
    },
    {
      transform: [{ filter: '!datum.diverged' }],
      mark: { type: 'text', fontSize },
      encoding: {
        x,
        y,
        tooltip,
        text: texts ? { field: 'text', type: 'nominal' } : { field: 'value', type: 'quantitative', format },
        color: { condition: { test: 'datum.light', value: '#ffffff' }, value: '#1f2328' },
      },
    },
    {
      transform: [{ filter: 'datum.diverged' }],
      mark: { type: 'rect', color: divergedColor, stroke: '#ffffff', strokeWidth: 1.5 },
      encoding: { x, y },
    },
    {
      transform: [{ filter: 'datum.diverged' }],
      mark: { type: 'text', fontStyle: 'italic', fontSize: Math.min(11, fontSize), color: '#57606a' },
      encoding: { x, y, text: { value: columns.length > 7 ? '×' : 'diverged' } },
    },
  ];
  const height = Math.max(160, Math.min(560, rows.length * 36 + 110));
  const diverged = cells.filter((cell) => cell.diverged).length;
  const note = diverged > 0 && columns.length > 7 ? '×: diverged' : undefined;
  return makeChart(
    { data: { values: cells }, layer },
    { ...options, subtitle: [options.subtitle, note].filter(Boolean).join(' · ') || undefined },
    `Heat map of ${options.value}, ${options.y} by ${options.x}: ${
      finite.length > 0
        ? `${finite.length} cells from ${formatNumber(Math.min(...finite))} to ${formatNumber(Math.max(...finite))}`
        : 'no finite cell'
    }${diverged > 0 ? `, ${diverged} diverged` : ''}.`,
    height,
  );
}

/** Whether the cell's colour needs white text. The nearest of the ramp's colours decides. */
function isDark(value: number, low: number, high: number): boolean {
  const t = high > low ? Math.min(1, Math.max(0, (value - low) / (high - low))) : 0;
  return luminance(ramp[Math.round(t * (ramp.length - 1))]) < 0.3;
}
