/** What a chart is: a Vega-Lite specification, and the look that all charts share. */
import { chartColors } from './colors';
import { browserFont } from './fonts';

/**
 * A Vega-Lite 5 specification whose data are inside it. The type is loose on purpose: vega-lite's own `TopLevelSpec` takes
 * seconds to read in a notebook cell. Whatever vega-lite 5.23 accepts can be shown.
 */
export interface ChartSpec {
  readonly $schema: string;
  /** One sentence: what is shown. Screen readers read it, and it is the chart's text form. */
  readonly description?: string;
  readonly [key: string]: unknown;
}

/** What every chart function takes last. */
export interface ChartOptions {
  /** Says what the chart shows, left aligned above it. */
  title?: string;
  /** A second, lighter line under the title: conditions, sample sizes. */
  subtitle?: string;
  /** Width of the whole chart in CSS pixels, axes and legend included (600 unless told). */
  width?: number;
  /** Height of the whole chart in CSS pixels. */
  height?: number;
}

/** Width of a chart in CSS pixels: fits JupyterLab's cell, GitHub's page and a printed column. */
export const chartWidth: number = 600;

const ink = '#1f2328';
const softInk = '#57606a';
const grid = '#e6e8eb';

/**
 * The look of all charts (a Vega-Lite `config`): white ground so that charts read in dark notebooks too, light grid, 12 px
 * text, colours that readers of every colour vision can tell apart.
 */
export const chartTheme: Readonly<Record<string, unknown>> = {
  background: '#ffffff',
  padding: { left: 8, top: 8, right: 12, bottom: 8 },
  font: browserFont,
  view: { stroke: null },
  title: {
    anchor: 'start',
    frame: 'group',
    color: ink,
    fontSize: 15,
    fontWeight: 600,
    subtitleColor: softInk,
    subtitleFontSize: 12,
    subtitleFontWeight: 400,
    subtitlePadding: 5,
    offset: 12,
  },
  axis: {
    labelColor: softInk,
    labelFontSize: 12,
    titleColor: ink,
    titleFontSize: 12,
    titleFontWeight: 500,
    titlePadding: 8,
    gridColor: grid,
    domainColor: '#8c959f',
    tickColor: '#8c959f',
    tickSize: 4,
    labelPadding: 4,
  },
  axisX: { grid: false, labelFlush: false, labelSeparation: 6, tickCount: 7 },
  axisY: { domain: false, ticks: false, tickCount: 6 },
  legend: {
    labelColor: ink,
    labelFontSize: 12,
    titleColor: softInk,
    titleFontSize: 12,
    titleFontWeight: 500,
    labelLimit: 240,
    symbolStrokeWidth: 2.5,
    rowPadding: 4,
    columnPadding: 16,
  },
  header: { labelColor: ink, labelFontSize: 12, labelFontWeight: 600, titleColor: softInk },
  text: { color: ink, fontSize: 12 },
  line: { strokeWidth: 2, strokeJoin: 'round', strokeCap: 'round' },
  range: { category: [...chartColors] },
};

/** A chart's parts, in the order in which a reader of the JSON wants them. */
export function makeChart(
  parts: Record<string, unknown>,
  options: ChartOptions,
  description: string,
  defaultHeight = 320,
): ChartSpec {
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    description: sentence(options.title, description),
    ...titleOf(options),
    width: positive(options.width ?? chartWidth, 'width'),
    height: positive(options.height ?? defaultHeight, 'height'),
    // The size is that of the whole picture, so that charts below one another line up whatever their labels.
    autosize: { type: 'fit', contains: 'padding' },
    ...parts,
    config: chartTheme,
  };
}

/** The `title` part of a specification, or nothing. */
export function titleOf(options: ChartOptions): Record<string, unknown> {
  const { title, subtitle } = options;
  if (title === undefined && subtitle === undefined) return {};
  // Vega draws no subtitle where there is no title.
  if (title === undefined)
    return { title: { text: subtitle, color: softInk, fontSize: 12, fontWeight: 400 } };
  return { title: subtitle === undefined ? { text: title } : { text: title, subtitle } };
}

function sentence(title: string | undefined, description: string): string {
  return title === undefined ? description : `${title}. ${description}`;
}

function positive(value: number, name: string): number {
  if (!(value > 0) || !Number.isFinite(value)) {
    throw new RangeError(`a chart's ${name} is a positive number of pixels, got ${value}`);
  }
  return value;
}

/**
 * A layer that only a pointer needs (hover targets). Static pictures leave it out: it would double their size and show
 * nothing.
 */
export function interactiveLayer(layer: Record<string, unknown>): Record<string, unknown> {
  return { name: interactiveName, ...layer };
}

/** The name by which {@link interactiveLayer} layers are found again. */
export const interactiveName: string = 'interactive';

/** Columns of a horizontal legend of these labels that fit into a width in pixels (12 px text: about 6.5 px a letter). */
export function legendColumns(labels: readonly string[], width: number): number {
  for (let columns = labels.length; columns > 1; columns--) {
    let total = 60; // the axis, to the left of the legend
    for (let column = 0; column < columns; column++) {
      const inColumn = labels.filter((_, i) => i % columns === column);
      total += Math.max(...inColumn.map((label) => label.length)) * 6.5 + 36;
    }
    if (total <= width) return columns;
  }
  return 1;
}

/** Numbers as text: at most four significant digits, no trailing zeros. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude >= 1e6 || magnitude < 1e-4)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

/**
 * Numbers as they are stored in a specification: five significant digits are more than a screen shows and make a saved
 * notebook half as large. Integers (steps, counts) stay whole. What JSON cannot hold (NaN, Infinity) becomes `null`.
 */
export function compact(value: number): number | null {
  if (!Number.isFinite(value)) return null;
  return Number.isInteger(value) ? value : Number(value.toPrecision(5));
}

/**
 * Rows as inline CSV, a third of the size of the same rows as JSON objects: charts are saved inside notebooks.
 * @param numbers which columns are numbers; `null` and what is not finite becomes an empty cell, which vega reads as `null`.
 */
export function csvData(
  columns: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
  numbers: readonly string[],
): Record<string, unknown> {
  const cell = (value: string | number | null): string => {
    if (value === null) return '';
    if (typeof value === 'number') return String(compact(value) ?? '');
    return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  };
  return {
    values: [columns.join(','), ...rows.map((row) => row.map(cell).join(','))].join('\n'),
    format: { type: 'csv', parse: Object.fromEntries(numbers.map((column) => [column, 'number'])) },
  };
}

/**
 * Axis settings of a logarithmic axis that spans `low` to `high`: labels at powers of ten, with 2 and 5 or more between where there
 * is room, instead of vega's grid line for every digit.
 */
export function logAxis(low: number, high: number): Record<string, unknown> {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const decades = last - first;
  const stride = Math.max(1, Math.ceil(decades / 7));
  const digits = high < 4 * low ? [1, 2, 3, 4, 5, 6, 8] : decades <= 3 ? [1, 2, 5] : [1];
  const values: number[] = [];
  for (let power = first; power <= last; power += stride) {
    for (const digit of digits) values.push(Number(`${digit}e${power}`));
  }
  const inside = values.filter((value) => value >= low && value <= high);
  const plain = first >= -4 && last <= 5;
  // Between two neighbouring digits vega finds finer ones.
  return { ...(inside.length > 1 && { values: inside }), format: plain ? '~g' : '.0e', labelOverlap: true };
}
