/** The page of one notebook. */
import type { Cell, NotebookDocument } from '../nbformat';
import { stripAnsi } from './ansi';
import { cellHtml, type CellContext, formatSeconds } from './cells';
import { vegaSource } from './charts';
import { frameScript, notebookScript } from './client';
import { chartScript } from './client-charts';
import { barHtml, documentHtml } from './frame';
import { createHighlighter } from './highlight';
import { escapeHtml } from './html';
import { katexStyle } from './katex-style';
import { createMarkdown } from './markdown';
import { createMathRenderer } from './math';
import { frameStyle } from './style';
import { contentStyle } from './style-content';
import { createSlugger, tocHtml } from './toc';

/** How a notebook's run ended. */
export type RunStatus = 'ok' | 'failed' | 'interrupted';

/** A notebook that was run, and how the run went. */
export interface PageNotebook {
  /** File name without `.ipynb`: the page is `<name>.html`. */
  name: string;
  /** Used where the notebook does not begin with a heading of its own. */
  title: string;
  notebook: NotebookDocument;
  status: RunStatus;
  /** How long the run took. */
  seconds: number;
  /** Facts of the run to show, in this order: backend, profile, date, machine. `command` stands in the footer. */
  info?: Record<string, string>;
  /** The cell (number from 1, all cells counted) that failed; `line` counts from 1 in the cell. */
  failure?: { cell: number; ename: string; evalue: string; line?: number };
  /** Folder of the notebook's file, for pictures and links that are relative to it. */
  directory?: string;
}

/** A page and what the list of notebooks says about it. */
export interface NotebookPage {
  html: string;
  /** The title as plain text. */
  title: string;
}

/** Neighbours of a page, and where it is written. */
export interface PagePlace {
  directory: string;
  /** All notebooks that get a page, in order. */
  siblings: readonly PageNotebook[];
  /** The page that lists them, when there are several. */
  home?: string;
}

export async function notebookPage(item: PageNotebook, place: PagePlace): Promise<NotebookPage> {
  const math = await createMathRenderer();
  const highlight = await createHighlighter();
  const markdown = await createMarkdown({
    math,
    highlight,
    slugger: createSlugger(),
    pageDirectory: place.directory,
    siblings: new Set(place.siblings.map((sibling) => sibling.name)),
    ...(item.directory === undefined ? {} : { directory: item.directory }),
  });
  const context: CellContext = {
    math,
    highlight,
    markdown,
    charts: [],
    headings: [],
    ...(item.failure ? { failedCell: item.failure.cell } : {}),
  };

  const [heading, cells] = takeTitle(item.notebook.cells);
  const titleHtml = heading === undefined ? escapeHtml(item.title) : inlineHtml(markdown(heading).html);
  const title = heading === undefined ? item.title : plainText(titleHtml);
  const parts: string[] = [];
  for (const [i, cell] of cells.entries()) {
    const html = await cellHtml(cell, i + 1, context);
    if (html !== '') parts.push(html);
  }
  const contents = tocHtml(context.headings);
  const tools = cells.some((cell) => cell.cell_type === 'code')
    ? '<button type="button" class="tool" id="hide-code" aria-pressed="false">Hide code</button>'
    : '';
  const body = `${barHtml(place.home, tools)}
<div class="shell${contents ? ' with-toc' : ''}" id="top">
${mastheadHtml(item, titleHtml)}
${contents ? `<details class="toc" id="contents" open><summary>Contents</summary>${contents}</details>\n` : ''}<main id="main">
${parts.join('\n')}
</main>
${footerHtml(item, place)}
</div>
<dialog id="lightbox" aria-label="Picture"></dialog>
${context.charts.length > 0 ? '<div id="tip" role="status" hidden></div>' : ''}`;
  const charts =
    context.charts.length > 0
      ? `\n<script type="text/plain" id="vega-source">${vegaSource()}</script>\n<script>${chartScript}</script>`
      : '';
  const html = documentHtml({
    title: `${title} · detlab`,
    description: `${title}: an executed notebook`,
    style: `${frameStyle}${contentStyle}${katexStyle(body)}`,
    body,
    scripts: `<script>${frameScript}${notebookScript}</script>${charts}`,
  });
  return { html, title };
}

/** The first cell's `# heading` goes to the top of the page; the rest of the cell stays where it is. */
function takeTitle(cells: readonly Cell[]): [string | undefined, Cell[]] {
  const first = cells[0];
  const match = first?.cell_type === 'markdown' ? /^\s*#[ \t]+([^\n]+)\n?/.exec(first.source) : null;
  if (!first || !match) return [undefined, [...cells]];
  return [
    match[1]!.replace(/[ \t]+#+[ \t]*$/, ''),
    [{ ...first, source: first.source.slice(match[0].length) } as Cell, ...cells.slice(1)],
  ];
}

/** A paragraph's contents, for a place that is a heading already. */
function inlineHtml(html: string): string {
  return html.trim().replace(/^<p>([\s\S]*)<\/p>$/, '$1');
}

function plainText(html: string): string {
  return html
    .replace(/<annotation[\s\S]*?<\/annotation>|<span class="katex-html"[\s\S]*$/g, '')
    .replace(/<[^>]*>/g, '')
    .replace(
      /&(amp|lt|gt|quot|#39);/g,
      (_, n: string) => ({ amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" })[n]!,
    )
    .trim();
}

function mastheadHtml(item: PageNotebook, titleHtml: string): string {
  const facts: [string, string][] = [];
  const paper = paperLink(item.notebook);
  if (paper) facts.push(['Paper', `<a href="${escapeHtml(paper.href)}">${escapeHtml(paper.label)}</a>`]);
  facts.push([item.status === 'ok' ? 'Ran in' : 'Ran for', formatSeconds(item.seconds)]);
  for (const [key, value] of Object.entries(item.info ?? {})) {
    if (key !== 'command') facts.push([escapeHtml(key[0]!.toUpperCase() + key.slice(1)), escapeHtml(value)]);
  }
  const list = facts.map(([key, value]) => `<div><dt>${key}</dt><dd>${value}</dd></div>`).join('');
  return `<header class="masthead">
<div class="boxed ${item.status}"><p class="label">${escapeHtml(item.name)}</p><h1>${titleHtml}</h1></div>
<dl class="run">${list}</dl>${bannerHtml(item)}
</header>`;
}

function bannerHtml(item: PageNotebook): string {
  if (item.status === 'ok') return '';
  const { failure } = item;
  const cell = failure && cellLabel(item, failure.cell);
  const where = cell === undefined ? '' : ` in <a href="#cell-${failure!.cell}">cell ${cell}</a>`;
  const rest = cell === undefined ? '' : ' The cells after it were not run.';
  if (item.status === 'interrupted') {
    return `\n<div class="banner interrupted" id="failure" role="note"><p><strong>Interrupted</strong>${where}.${rest}</p></div>`;
  }
  const line = cell === undefined || failure?.line === undefined ? '' : `, line ${failure.line}`;
  const why = failure ? `: <code>${escapeHtml(`${failure.ename}: ${firstLine(failure.evalue)}`)}</code>` : '';
  return `\n<div class="banner failed" id="failure" role="alert"><p><strong>Failed</strong>${where}${line}${why}.${rest}</p></div>`;
}

/** A code cell as the reader sees it named, `[7]`; `undefined` for what is no code cell (the kernel failed, not a cell). */
export function cellLabel(item: PageNotebook, number: number): string | undefined {
  const cells = item.notebook.cells;
  const cell = cells[number - 1];
  if (cell?.cell_type !== 'code') return undefined;
  const position = cells.slice(0, number).filter((c) => c.cell_type === 'code').length;
  return `[${cell.execution_count ?? position}]`;
}

function firstLine(text: string): string {
  const line = stripAnsi(text).split('\n')[0]!;
  return line.length > 300 ? `${line.slice(0, 299)}…` : line;
}

const paperHosts =
  /https?:\/\/(?:www\.)?(?:arxiv\.org|doi\.org|openaccess\.thecvf\.com|openreview\.net|proceedings\.\w+\.\w+|papers\.nips\.cc|link\.springer\.com)\/[^\s)>\]"']+/;

/** The paper: what the notebook's metadata name (`detlab.paper`), else the first such link in its first two cells. */
function paperLink(notebook: NotebookDocument): { href: string; label: string } | undefined {
  const own = (notebook.metadata.detlab ?? {}) as Record<string, unknown>;
  const prose = notebook.cells
    .slice(0, 2)
    .map((cell) => (cell.cell_type === 'markdown' ? cell.source : ''))
    .join('\n');
  const href = typeof own.paper === 'string' ? own.paper : paperHosts.exec(prose)?.[0].replace(/[.,;]+$/, '');
  if (href === undefined || !/^https?:/.test(href)) return undefined;
  const arxiv = /arxiv\.org\/(?:abs|pdf|html)\/([\w./-]+?)(?:v\d+)?(?:\.pdf)?$/.exec(href)?.[1];
  return {
    href,
    label: arxiv === undefined ? new URL(href).hostname.replace(/^www\./, '') : `arXiv ${arxiv}`,
  };
}

function footerHtml(item: PageNotebook, place: PagePlace): string {
  const at = place.siblings.findIndex((sibling) => sibling.name === item.name);
  const link = (sibling: PageNotebook | undefined, before: string, after: string): string =>
    sibling
      ? `<a href="${encodeURI(sibling.name)}.html">${before}${escapeHtml(sibling.name)}${after}</a>`
      : '';
  const neighbours = [link(place.siblings[at - 1], '← ', ''), link(place.siblings[at + 1], '', ' →')].filter(
    Boolean,
  );
  const command = item.info?.command ?? `npm start -- ${item.name}`;
  const nav = neighbours.length > 0 ? `<p>${neighbours.join(' · ')}</p>` : '';
  return `<footer class="foot"><p>Made by <code>${escapeHtml(command)}</code> from <code>${escapeHtml(item.name)}.ipynb</code></p>${nav}</footer>`;
}
