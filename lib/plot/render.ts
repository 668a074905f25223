/** Charts as static pictures, made on the spot with vega: no browser needed. */
import type { Canvas } from 'canvas';
import { loadCanvas } from './canvas';
import { type ChartSpec, interactiveName } from './chart-spec';
import { canvasFont } from './fonts';
import { palettePng } from './png';

interface VegaView {
  toSVG(scale?: number): Promise<string>;
  toCanvas(scale?: number): Promise<unknown>;
  finalize(): unknown;
}

/** Without the layers that only a pointer needs, at any depth. */
export function staticSpec(spec: ChartSpec): ChartSpec {
  const strip = (value: unknown): unknown => {
    if (Array.isArray(value)) {
      return value.filter((item) => !isInteractive(item)).map(strip);
    }
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, part]) => [key, key === 'values' ? part : strip(part)]),
    );
  };
  return strip(spec) as ChartSpec;
}

function isInteractive(value: unknown): boolean {
  const name = (value as { name?: unknown } | null)?.name;
  return typeof name === 'string' && name.startsWith(interactiveName);
}

async function view(spec: ChartSpec, font?: string): Promise<VegaView> {
  // Before vega measures its first text: it measures with the same canvas, hence with the shipped font.
  await loadCanvas();
  const [vega, vegaLite] = await Promise.all([import('vega'), import('vega-lite')]);
  const plain = staticSpec(spec);
  const config = (plain.config ?? {}) as Record<string, unknown>;
  const problems: string[] = [];
  const note = (...args: readonly unknown[]): unknown => {
    problems.push(args.map(String).join(' '));
    return logger;
  };
  const quiet = (): unknown => logger;
  // Warnings are a matter of taste (a setting without effect); they do not keep a reader from the chart.
  const logger = { level: quiet, error: note, warn: quiet, info: quiet, debug: quiet };
  const fonted = font === undefined ? plain : { ...plain, config: { ...config, font } };
  let compiled: { spec: unknown };
  try {
    compiled = vegaLite.compile(fonted as never, { logger: logger as never });
  } catch (error) {
    throw new Error(
      `this is not a Vega-Lite 5 specification: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  if (problems.length > 0) throw new Error(`the chart's specification has a fault: ${problems.join('; ')}`);
  return new vega.View(vega.parse(compiled.spec as never), { renderer: 'none', logLevel: vega.Error });
}

/**
 * A chart as SVG text. Its size in CSS pixels is that of the specification.
 * @throws when vega-lite does not accept the specification, with its reason.
 */
export async function chartSvg(spec: ChartSpec): Promise<string> {
  const chart = await view(spec);
  try {
    return slimSvg(await chart.toSVG());
  } finally {
    chart.finalize();
  }
}

/**
 * A chart as PNG, in at most 256 colours.
 * @param scale bitmap pixels per CSS pixel (2 unless told: sharp on dense screens and in print).
 * @throws when vega-lite does not accept the specification, with its reason.
 */
export async function chartPng(spec: ChartSpec, scale = 2): Promise<Buffer> {
  const chart = await view(spec, canvasFont);
  try {
    const canvas = (await chart.toCanvas(scale)) as Canvas;
    const { width, height } = canvas;
    return palettePng(canvas.getContext('2d').getImageData(0, 0, width, height).data, width, height);
  } finally {
    chart.finalize();
  }
}

/** Vega's SVG with rounded numbers, one font declaration instead of one a label, and no empty background paths. */
export function slimSvg(svg: string): string {
  const font = /font-family="([^"]*)"/.exec(svg)?.[1];
  let slim = svg
    .replace(/<path class="(?:background|foreground)"[^>]*d="M0,0h0v0h0Z"[^>]*\/>/g, '')
    .replace(/<path class="foreground"[^>]*display="none"[^>]*\/>/g, '')
    .replace(
      / (?:pointer-events="none"|role="graphics-[a-z]+"|aria-hidden="true"|aria-roledescription="[^"]*")/g,
      '',
    )
    .replace(/(d|transform|points)="([^"]*)"/g, (_, name: string, text: string) => {
      const rounded = text.replace(/-?\d+\.\d{2,}(?:e-?\d+)?/g, (n) => String(Number(Number(n).toFixed(1))));
      return `${name}="${rounded}"`;
    });
  if (font !== undefined) {
    slim = slim.replaceAll(` font-family="${font}"`, '').replace('<svg ', `<svg font-family="${font}" `);
  }
  return slim;
}
