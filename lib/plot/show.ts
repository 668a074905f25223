/** Showing a chart, picture or table in the notebook. */
import type { ChartSpec } from './chart-spec';
import {
  bundleOf,
  display,
  type DisplayOptions,
  displaySink,
  isShowable,
  type MimeBundle,
  type Showable,
} from './display';
import { chartPng, chartSvg } from './render';

/** Options of {@link show}. */
export interface ShowOptions extends DisplayOptions {
  /**
   * The static form of a chart. `png` unless told: JupyterLab prefers the interactive form anyway, and of those who show a
   * still picture every one takes a PNG, while GitHub's viewer filters SVG and nbconvert needs another program to put SVG
   * into a PDF. With 256 colours it is about as large as an SVG of the same curves. `svg` is for print.
   */
  still?: 'png' | 'svg' | 'none';
}

/** Whether a value is a chart: a specification that names Vega-Lite's schema. */
export function isChart(value: unknown): value is ChartSpec {
  const schema = (value as { $schema?: unknown } | null)?.$schema;
  return typeof schema === 'string' && schema.includes('vega-lite');
}

/**
 * A chart as one MIME bundle: the interactive form, a still picture and a sentence.
 * @returns the bundle and its metadata, which tell a viewer the size in CSS pixels of the picture, drawn at twice that.
 */
export async function chartBundle(
  spec: ChartSpec,
  still: 'png' | 'svg' | 'none' = 'png',
): Promise<{ bundle: MimeBundle; metadata: Record<string, unknown> }> {
  const bundle: MimeBundle = { 'application/vnd.vegalite.v5+json': spec };
  const metadata: Record<string, unknown> = {};
  if (still === 'svg') bundle['image/svg+xml'] = await chartSvg(spec);
  if (still === 'png') {
    const png = await chartPng(spec, 2);
    bundle['image/png'] = png.toString('base64');
    // Width and height sit at bytes 16 and 20 of every PNG.
    metadata['image/png'] = { width: png.readUInt32BE(16) / 2, height: png.readUInt32BE(20) / 2 };
  }
  bundle['text/plain'] = spec.description ?? 'Vega-Lite chart';
  return { bundle, metadata };
}

/**
 * Shows a chart (a Vega-Lite specification), a picture, a table, or anything with the `Symbol.for('Jupyter.display')` method.
 * Outside a notebook its text form goes to standard output, and no picture is made.
 * @throws when the value is none of these, or vega-lite does not accept the specification.
 */
export async function show(value: ChartSpec | Showable, options: ShowOptions = {}): Promise<void> {
  const { still, metadata: extra, ...rest } = options;
  if (isShowable(value)) {
    const shown = await bundleOf(value);
    if (shown) display(shown.bundle, { ...rest, metadata: { ...shown.metadata, ...extra } });
    return;
  }
  if (!isChart(value)) {
    const kind =
      value === null
        ? 'null'
        : Array.isArray(value)
          ? 'an array'
          : `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`;
    throw new TypeError(
      `show: got ${kind}; it shows what lineChart() and the other charts return, drawBoxes(), table(), or a Vega-Lite ` +
        'specification with its "$schema". Is an await missing?',
    );
  }
  // Without a notebook nobody sees the picture: only the sentence is printed.
  const { bundle, metadata } = await chartBundle(value, displaySink() ? still : 'none');
  display(bundle, { ...rest, metadata: { ...metadata, ...extra } });
}
