/**
 * Charts of a page. Vega-Lite is compiled when the page is written, so that the page carries Vega's run time alone: a third
 * less to parse, and nothing to compile while somebody scrolls. Each chart comes in a wide and a narrow layout that share
 * their data, and with a still picture for print and for browsers without scripts.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { Spec } from 'vega';
import type { TopLevelSpec } from 'vega-lite';
import { scriptSource } from './html';

type Json = Record<string, unknown>;

/** A chart as the page's script wants it. `pool` holds the data; layouts refer to it by `{"$pool": index}`. */
export interface PreparedChart {
  wide: Json;
  /** The layout for phones, left out when it would be the same. */
  narrow?: Json;
  pool: unknown[];
  /** Whether the chart fills the width it is given, or has a size of its own. */
  fluid: boolean;
  /** Width it was made for, in CSS pixels. */
  width: number;
  description: string;
}

export type ChartKind = 'vega-lite' | 'vega';

/** Which of our two chart languages a MIME type names. */
export function chartKind(mime: string): ChartKind | undefined {
  if (/^application\/vnd\.vegalite\.v[45](\.\d+)*\+json$/.test(mime)) return 'vega-lite';
  if (/^application\/vnd\.vega\.v5(\.\d+)*\+json$/.test(mime)) return 'vega';
  return undefined;
}

/** Vega as text, for one `<script>` of a page. */
export function vegaSource(): string {
  const file = require.resolve('vega/build/vega.min.js');
  const code = fs.readFileSync(file, 'utf8').replace(/\/\/# sourceMappingURL=\S+\s*$/, '');
  const { version } = JSON.parse(fs.readFileSync(require.resolve('vega/package.json'), 'utf8')) as {
    version: string;
  };
  return scriptSource(`/* vega ${version}, BSD-3-Clause, ${path.basename(file)} */\n${code}`);
}

/** A specification made ready. Throws what vega-lite throws on one it cannot compile. */
export async function prepareChart(spec: Json, kind: ChartKind): Promise<PreparedChart> {
  const description = typeof spec.description === 'string' ? spec.description : 'Chart';
  const pool = new Map<string, { index: number; value: unknown }>();
  const width = widthOf(spec);
  if (kind === 'vega')
    return { wide: poolData(spec, pool), pool: valuesOf(pool), fluid: false, width, description };
  const vegaLite = await import('vega-lite');
  // Vega-Lite's advice to authors belongs in their notebook, not in the exporter's log.
  const quiet = {
    level: () => quiet,
    error: () => quiet,
    warn: () => quiet,
    info: () => quiet,
    debug: () => quiet,
  };
  const compile = (source: Json): Json =>
    poolData(
      vegaLite.compile(source as unknown as TopLevelSpec, {
        logger: quiet as never,
        config: tooltips as never,
      }).spec as unknown as Json,
      pool,
    );
  const fluid = canFill(spec);
  const wide = compile(fluid ? filling(spec) : spec);
  const narrow = compile(narrowed(fluid ? filling(spec) : spec, width));
  const same = JSON.stringify(wide) === JSON.stringify(narrow);
  return { wide, ...(same ? {} : { narrow }), pool: valuesOf(pool), fluid, width, description };
}

/** The chart as an SVG of its own, for bundles that came without a picture. */
export async function stillPicture(spec: Json, kind: ChartKind): Promise<string> {
  const vega = await import('vega');
  const compiled =
    kind === 'vega' ? spec : (await import('vega-lite')).compile(spec as unknown as TopLevelSpec).spec;
  const view = new vega.View(vega.parse(compiled as Spec), { renderer: 'none' });
  view.logLevel(vega.Error);
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

// Marks that stand for one datum each say what it is; a line stands for many, and its author has to choose.
const tooltips: Json = Object.fromEntries(
  ['point', 'circle', 'square', 'bar', 'rect', 'tick', 'arc'].map((mark) => [mark, { tooltip: true }]),
);

/** Data move into a pool, so that two layouts of one chart carry them once. */
function poolData(compiled: Json, pool: Map<string, { index: number; value: unknown }>): Json {
  const data = (compiled.data as Json[] | undefined)?.map((source) => {
    const { values } = source;
    // Rows, or a table as text.
    if (!(Array.isArray(values) || typeof values === 'string') || values.length === 0) return source;
    const key = JSON.stringify(values);
    let entry = pool.get(key);
    if (!entry) pool.set(key, (entry = { index: pool.size, value: values }));
    return { ...source, values: { $pool: entry.index } };
  });
  const { $schema: _schema, background, ...rest } = compiled;
  // The page is the ground: a white one would be a hole in a dark page.
  const ground =
    typeof background === 'string' && /^(#fff(fff)?|white|transparent)$/i.test(background)
      ? {}
      : { background };
  return { ...rest, ...ground, ...(data ? { data } : {}) };
}

function valuesOf(pool: Map<string, { index: number; value: unknown }>): unknown[] {
  return [...pool.values()].map((entry) => entry.value);
}

const compositions = ['hconcat', 'vconcat', 'concat', 'facet', 'repeat', 'spec'];

/** Whether Vega-Lite can fit the chart to a width: one plot, without facets, that does not set its own step. */
function canFill(spec: Json): boolean {
  if (compositions.some((key) => key in spec)) return false;
  const encoding = (spec.encoding ?? {}) as Json;
  if (['row', 'column', 'facet'].some((channel) => channel in encoding)) return false;
  if (spec.width !== undefined && spec.width !== 'container' && typeof spec.width !== 'number') return false;
  // A square is meant to be one: confusion matrices, precision against recall.
  const { width, height } = spec;
  return !(
    typeof width === 'number' &&
    typeof height === 'number' &&
    Math.abs(width - height) < 0.25 * width
  );
}

function filling(spec: Json): Json {
  const autosize = typeof spec.autosize === 'object' ? (spec.autosize as Json) : {};
  const type =
    spec.height === undefined || typeof spec.height !== 'number' ? 'fit-x' : (autosize.type ?? 'fit-x');
  return { ...spec, width: 'container', autosize: { contains: 'padding', ...autosize, type } };
}

/** The layout for a phone: plots below one another, legends below their plot, in as many columns as fit. */
function narrowed(spec: Json, width: number): Json {
  const factor = 330 / Math.max(width, 330);
  const config = (spec.config ?? {}) as Json;
  const legend = { orient: 'bottom', gradientLength: 160, ...(config.legend as Json | undefined) };
  const out = narrowPart({ ...spec, config: { ...config, legend } }, factor) as Json;
  // Where the height is that of the whole picture, what titles and legends now take more must not be the plot's loss.
  const fitted = typeof out.autosize === 'object' && (out.autosize as Json).type === 'fit';
  if (fitted && typeof out.height === 'number') {
    const rows = titleRows(out.title) - titleRows(spec.title) + legendRows(out) - legendRows(spec);
    out.height += 17 * Math.max(0, rows);
  }
  return out;
}

function titleRows(title: unknown): number {
  const { text, subtitle } = (
    typeof title === 'object' && !Array.isArray(title) ? title : { text: title }
  ) as Json;
  return [text, subtitle].reduce<number>(
    (sum, t) => sum + (t === undefined ? 0 : Array.isArray(t) ? t.length : 1),
    0,
  );
}

/** Rows of the legends that stand above or below the plot; a colour bar counts as three. */
function legendRows(node: unknown): number {
  if (Array.isArray(node)) return Math.max(0, ...node.map(legendRows));
  if (typeof node !== 'object' || node === null) return 0;
  const { scale, legend, type, ...rest } = node as Json;
  if (typeof type === 'string' && legend !== null && (legend !== undefined || scale !== undefined)) {
    const { orient, columns } = (legend ?? {}) as Json;
    const items = (scale as Json | undefined)?.domain;
    if (type !== 'quantitative' && Array.isArray(items) && typeof columns === 'number')
      return Math.ceil(items.length / columns);
    return orient === 'bottom' && type === 'quantitative' ? 3 : 0;
  }
  return Math.max(
    0,
    ...Object.entries(rest).map(([key, part]) =>
      /^(data|datasets|config)$/.test(key) ? 0 : legendRows(part),
    ),
  );
}

function narrowPart(value: unknown, factor: number, inside = false): unknown {
  if (Array.isArray(value)) return value.map((item) => narrowPart(item, factor, inside));
  if (typeof value !== 'object' || value === null) return value;
  const out: Json = {};
  for (const [key, item] of Object.entries(value)) {
    const isObject = typeof item === 'object' && item !== null;
    if (key === 'data' || key === 'datasets' || key === 'transform' || key === 'config') out[key] = item;
    else if (key === 'hconcat' || key === 'vconcat') out.vconcat = narrowPart(item, factor, true);
    else if (key === 'concat') out.concat = narrowPart(item, factor, true);
    else if (key === 'title' && !('field' in value)) out.title = narrowTitle(item);
    else if (key === 'legend' && isObject) out.legend = narrowLegend(item as Json, factor);
    else out[key] = narrowPart(item, factor, inside);
  }
  const { width, height } = out;
  if (typeof width === 'number') {
    // A plot that stood beside others may now take the row; a square one stays square.
    const square = typeof height === 'number' && Math.abs(width - height) < 0.25 * width;
    const fitted = typeof out.autosize === 'object' && (out.autosize as Json).type === 'fit';
    const room = fitted ? phoneWidth : plotWidth;
    if (width > room || (inside && width > 150 && !square)) out.width = room;
    if (square && out.width !== width) out.height = Math.round((height * room) / width);
  }
  if ('concat' in out || ('columns' in out && ('facet' in out || 'repeat' in out))) out.columns = 1;
  return out;
}

// What a phone's page has for a chart, and what axis labels leave of it.
const phoneWidth = 336;
const plotWidth = 270;

/** Vega does not wrap titles, but takes them in lines. */
function narrowTitle(title: unknown): unknown {
  if (typeof title === 'string') return lines(title, 42);
  if (typeof title !== 'object' || title === null || Array.isArray(title)) return title;
  const { text, subtitle, ...rest } = title as Json;
  return {
    ...rest,
    ...(text === undefined ? {} : { text: typeof text === 'string' ? lines(text, 42) : text }),
    ...(subtitle === undefined
      ? {}
      : { subtitle: typeof subtitle === 'string' ? lines(subtitle, 50) : subtitle }),
  };
}

function lines(text: string, length: number): string | string[] {
  const out: string[] = [];
  for (const word of text.split(' ')) {
    const last = out.at(-1);
    if (last !== undefined && last.length + word.length < length) out[out.length - 1] = `${last} ${word}`;
    else out.push(word);
  }
  return out.length > 1 ? out : text;
}

function narrowLegend(legend: Json, factor: number): Json {
  const columns =
    typeof legend.columns === 'number' ? { columns: Math.max(1, Math.floor(legend.columns * factor)) } : {};
  const side =
    legend.orient === 'right' || legend.orient === 'left'
      ? { orient: 'bottom', ...('gradientLength' in legend ? { gradientLength: 160 } : {}) }
      : {};
  return { ...legend, ...columns, ...side };
}

/** The width a chart was made for; Vega-Lite's own default where it does not say. */
function widthOf(spec: Json): number {
  if (typeof spec.width === 'number') return spec.width;
  const parts = (spec.hconcat ?? spec.concat) as Json[] | undefined;
  if (Array.isArray(parts)) return parts.reduce((sum, part) => sum + widthOf(part) + 60, 0);
  return 400;
}
