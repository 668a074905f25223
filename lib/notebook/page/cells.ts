/** Cells as HTML: prose, code with its run's facts, and what came of it. */
import type { Cell, CodeCell } from '../nbformat';
import type { HighlightCode } from './highlight';
import { escapeHtml } from './html';
import type { MarkdownRenderer } from './markdown';
import { type OutputContext, outputsHtml } from './outputs';
import type { Heading } from './toc';

/** What cells need of the page that they stand in. */
export interface CellContext extends OutputContext {
  highlight: HighlightCode;
  markdown: MarkdownRenderer;
  headings: Heading[];
  /** Number (from 1) of the cell that failed, if any. */
  failedCell?: number;
}

/** One cell; `number` counts all cells from 1, as the runner's messages do. */
export async function cellHtml(cell: Cell, number: number, context: CellContext): Promise<string> {
  if (cell.cell_type === 'raw') return '';
  if (cell.cell_type === 'markdown') {
    const { html, headings } = context.markdown(cell.source, cell.attachments);
    context.headings.push(...headings);
    return `<section class="cell prose" id="cell-${number}">\n${html}</section>`;
  }
  const failed = context.failedCell === number;
  const outputs = await outputsHtml(cell.outputs, context);
  const shown = outputs === '' ? '' : `\n<div class="outputs">\n${outputs}\n</div>`;
  if (cell.source.trim() === '' && outputs === '') return '';
  return `<section class="cell code${failed ? ' failed' : ''}" id="cell-${number}">\n${codeHtml(cell, context)}${shown}\n</section>`;
}

function codeHtml(cell: CodeCell, context: CellContext): string {
  const code = context.highlight(cell.source, 'typescript');
  const took = seconds(cell);
  const count = cell.execution_count;
  const facts =
    `<p class="facts"><span class="count" title="${count === null ? 'This cell was not run' : `Run as number ${count}`}">` +
    `[${count ?? '\u00a0'}]</span>${took === undefined ? '' : ` <span class="took">${formatSeconds(took)}</span>`}</p>`;
  const box = `<div class="source"><pre tabindex="0"><code>${code}</code></pre></div>`;
  const label = hiddenLabel(cell);
  return label === undefined
    ? `${facts}\n${box}`
    : `${facts}\n<details class="hidden-source"><summary>${escapeHtml(label)}</summary>\n${box}\n</details>`;
}

/** Jupyter's ways to say that a cell's code starts out folded. */
function hiddenLabel(cell: CodeCell): string | undefined {
  const tags = Array.isArray(cell.metadata.tags) ? cell.metadata.tags : [];
  if (tags.includes('solution')) return 'Solution';
  const jupyter = (cell.metadata.jupyter ?? {}) as Record<string, unknown>;
  const hidden = jupyter.source_hidden === true || tags.includes('hide-input') || tags.includes('hide-cell');
  return hidden ? 'Code' : undefined;
}

/** How long the cell ran, from the times that Jupyter's front ends and our runner record. */
function seconds(cell: CodeCell): number | undefined {
  const times = (cell.metadata.execution ?? {}) as Record<string, unknown>;
  const start = Date.parse(String(times['iopub.execute_input'] ?? times['iopub.status.busy']));
  const end = Date.parse(String(times['shell.execute_reply'] ?? times['iopub.status.idle']));
  const took = (end - start) / 1000;
  return Number.isFinite(took) && took >= 1 ? took : undefined;
}

/** A duration as people say it: 0.4 s, 12 s, 3 min 20 s, 1 h 5 min. */
export function formatSeconds(value: number): string {
  if (value < 9.95) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min${whole % 60 ? ` ${whole % 60} s` : ''}`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ''}`;
}
