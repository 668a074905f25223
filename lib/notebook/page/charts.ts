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
    if (!Array.isArray(source.values) || source.values.length === 0) return source;
    const key = JSON.stringify(source.values);
    let entry = pool.get(key);
    if (!entry) pool.set(key, (entry = { index: pool.size, value: source.values }));
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
  const legend = { ...(config.legend as Json | undefined) };
  const top = { ...spec, config: { ...config, legend: { ...legend, orient: legend.orient ?? 'bottom' } } };
  return narrowPart(top, factor) as Json;
}

function narrowPart(value: unknown, factor: number): unknown {
  if (Array.isArray(value)) return value.map((item) => narrowPart(item, factor));
  if (typeof value !== 'object' || value === null) return value;
  const out: Json = {};
  for (const [key, item] of Object.entries(value)) {
    if (key === 'data' || key === 'datasets' || key === 'transform') out[key] = item;
    else if (key === 'hconcat') out.vconcat = narrowPart(item, factor);
    else if (key === 'width' && typeof item === 'number' && item > 250)
      out.width = Math.max(220, Math.round(item * factor));
    else if (key === 'legend' && typeof item === 'object' && item !== null)
      out.legend = narrowLegend(item as Json, factor);
    else out[key] = narrowPart(item, factor);
  }
  if ('concat' in out || ('facet' in out && 'columns' in out) || ('repeat' in out && 'columns' in out))
    out.columns = 1;
  return out;
}

function narrowLegend(legend: Json, factor: number): Json {
  const columns =
    typeof legend.columns === 'number' ? { columns: Math.max(1, Math.floor(legend.columns * factor)) } : {};
  const side = legend.orient === 'right' || legend.orient === 'left' ? { orient: 'bottom' } : {};
  return { ...legend, ...columns, ...side };
}

/** The width a chart was made for; Vega-Lite's own default where it does not say. */
function widthOf(spec: Json): number {
  if (typeof spec.width === 'number') return spec.width;
  const parts = (spec.hconcat ?? spec.concat) as Json[] | undefined;
  if (Array.isArray(parts)) return parts.reduce((sum, part) => sum + widthOf(part) + 60, 0);
  return 400;
}
