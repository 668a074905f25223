/** Outputs of a code cell as HTML: of each bundle the richest form that the page can show. */
import type { Output } from '../nbformat';
import { ansiToHtml, stripAnsi } from './ansi';
import { chartKind, prepareChart, type PreparedChart, stillPicture } from './charts';
import { cleanHtml, escapeHtml, scriptJson } from './html';
import type { MarkdownRenderer } from './markdown';
import type { MathRenderer } from './math';
import { pictureSize } from './picture';

/** What outputs need of the page that they stand in. */
export interface OutputContext {
  markdown: MarkdownRenderer;
  math: MathRenderer;
  /** Charts of the page so far: their number makes their ids. */
  charts: PreparedChart[];
}

// Most telling first. A bundle that has an interactive form has the others as its stand-ins.
const preference: readonly string[] = [
  'image/svg+xml',
  'image/png',
  'image/jpeg',
  'image/webp',
  'image/gif',
  'text/html',
  'text/markdown',
  'text/latex',
  'application/json',
  'text/plain',
];

/** The form of a bundle that the page shows, or `undefined` when it knows none of them. */
export function richestMime(data: Record<string, unknown>): string | undefined {
  return (
    Object.keys(data).find((mime) => chartKind(mime)) ?? preference.find((mime) => data[mime] !== undefined)
  );
}

/** All outputs of a cell. Text that was printed in pieces stands in one block. */
export async function outputsHtml(outputs: readonly Output[], context: OutputContext): Promise<string> {
  const parts: string[] = [];
  for (const output of mergeStreams(outputs)) {
    if (output.output_type === 'stream') {
      if (output.text !== '') parts.push(textBlock(ansiToHtml(output.text), `stream ${output.name}`));
    } else if (output.output_type === 'error') {
      parts.push(errorBlock(output.ename, output.evalue, output.traceback));
    } else parts.push(await bundleHtml(output.data, output.metadata, context));
  }
  return parts.join('\n');
}

function mergeStreams(outputs: readonly Output[]): Output[] {
  const merged: Output[] = [];
  for (const output of outputs) {
    const last = merged.at(-1);
    if (output.output_type === 'stream' && last?.output_type === 'stream' && last.name === output.name) {
      merged[merged.length - 1] = { ...last, text: last.text + output.text };
    } else merged.push(output);
  }
  return merged;
}

function textBlock(html: string, kind: string): string {
  return `<div class="out text ${kind}"><pre tabindex="0">${html.replace(/\n+$/, '')}</pre></div>`;
}

function errorBlock(ename: string, evalue: string, traceback: readonly string[]): string {
  const text = traceback.join('\n');
  const summary = `${ename}: ${stripAnsi(evalue)}`;
  const body = text === '' ? escapeHtml(summary) : ansiToHtml(text);
  return `<div class="out error" role="group" aria-label="Error"><pre tabindex="0">${body.replace(/\n+$/, '')}</pre></div>`;
}

async function bundleHtml(
  data: Record<string, unknown>,
  metadata: Record<string, unknown>,
  context: OutputContext,
): Promise<string> {
  const mime = richestMime(data);
  if (mime === undefined) {
    const names = Object.keys(data).map(escapeHtml).join(', ') || 'nothing';
    return `<p class="out note">An output that this page cannot show (${names}).</p>`;
  }
  const value = data[mime];
  const kind = chartKind(mime);
  if (kind !== undefined) return chartHtml(data, metadata, mime, context);
  if (mime === 'application/json') return textBlock(escapeHtml(JSON.stringify(value, null, 2)), 'json');
  const text = String(value);
  if (mime.startsWith('image/')) return pictureHtml(data, metadata, mime, altOf(data));
  if (mime === 'text/html')
    return `<div class="out html"><div class="scroll">${cleanHtml(text, 'output')}</div></div>`;
  if (mime === 'text/markdown') return `<div class="out prose">${context.markdown(text).html}</div>`;
  if (mime === 'text/latex') {
    const tex = text.trim().replace(/^\$\$?([\s\S]*?)\$?\$$/, '$1');
    return `<div class="out"><span class="formula">${context.math({ tex, display: true })}</span></div>`;
  }
  return textBlock(ansiToHtml(text), 'result');
}

function altOf(data: Record<string, unknown>): string {
  const text = data['text/plain'];
  return typeof text === 'string' ? stripAnsi(text).trim().slice(0, 300) : '';
}

/** An image as an address of its own, which isolates what is inside an SVG (ids, styles, scripts) from the page. */
function pictureAddress(mime: string, value: string): string {
  if (mime !== 'image/svg+xml') return `data:${mime};base64,${value.replace(/\s/g, '')}`;
  const encoded = value.trim().replace(/[%#"&\n\r\t<>']/g, (c) => encodeURIComponent(c).replace(/'/g, '%27'));
  return `data:image/svg+xml,${encoded}`;
}

function imgTag(
  data: Record<string, unknown>,
  metadata: Record<string, unknown>,
  mime: string,
  alt: string,
): string {
  const value = String(data[mime]);
  const size = pictureSize(mime, value, metadata);
  const sizes = size ? ` width="${size.width}" height="${size.height}"` : '';
  return `<img src="${pictureAddress(mime, value)}" alt="${escapeHtml(alt)}"${sizes} loading="lazy" decoding="async">`;
}

function pictureHtml(
  data: Record<string, unknown>,
  metadata: Record<string, unknown>,
  mime: string,
  alt: string,
): string {
  return `<figure class="out picture">${imgTag(data, metadata, mime, alt)}</figure>`;
}

async function chartHtml(
  data: Record<string, unknown>,
  metadata: Record<string, unknown>,
  mime: string,
  context: OutputContext,
): Promise<string> {
  const spec = data[mime] as Record<string, unknown>;
  const kind = chartKind(mime)!;
  const stillMime = ['image/svg+xml', 'image/png'].find((form) => data[form] !== undefined);
  let prepared: PreparedChart;
  let still: string;
  try {
    prepared = await prepareChart(spec, kind);
    const alt = prepared.description;
    still = stillMime
      ? imgTag(data, metadata, stillMime, alt)
      : imgTag({ 'image/svg+xml': await stillPicture(spec, kind) }, {}, 'image/svg+xml', alt);
  } catch (error) {
    // The picture that came with it is still good; without one, say what was wrong with the specification.
    if (stillMime) return pictureHtml(data, metadata, stillMime, altOf(data));
    return `<p class="out note">A chart that could not be drawn: ${escapeHtml((error as Error).message)}</p>`;
  }
  const id = `chart-${context.charts.push(prepared)}`;
  const { wide, narrow, pool } = prepared;
  return (
    `<figure class="out chart${prepared.fluid ? ' fluid' : ''}" id="${id}">` +
    `<div class="chart-still">${still}</div>` +
    `<div class="chart-live" role="img" aria-label="${escapeHtml(prepared.description)}" hidden></div>` +
    `<script type="application/json">${scriptJson({ wide, narrow, pool })}</script></figure>`
  );
}
