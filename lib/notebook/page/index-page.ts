/** The page that lists the notebooks of a run: one card each, with a picture from it. */
import { formatSeconds } from './cells';
import { frameScript } from './client';
import { barHtml, documentHtml, markSvg } from './frame';
import { escapeHtml } from './html';
import { cellLabel, type PageNotebook } from './notebook-page';
import { richestMime } from './outputs';
import { thumbnail } from './picture';
import { cardStyle, frameStyle } from './style';

/** The list; `titles` are the pages' own, in the notebooks' order. */
export async function indexPage(
  notebooks: readonly PageNotebook[],
  titles: readonly string[],
): Promise<string> {
  const cards: string[] = [];
  for (const [i, item] of notebooks.entries()) cards.push(await cardHtml(item, titles[i]!));
  const failed = notebooks.filter((item) => item.status !== 'ok').length;
  const total = notebooks.reduce((sum, item) => sum + item.seconds, 0);
  const count = `${notebooks.length} ${notebooks.length === 1 ? 'notebook' : 'notebooks'}`;
  const facts: [string, string][] = [
    ['Result', failed === 0 ? `${count}, all ran to the end` : `${failed} of ${count} did not finish`],
    ['Ran in', formatSeconds(total)],
    ...sharedInfo(notebooks),
  ];
  const list = facts
    .map(([key, value]) => `<div><dt>${escapeHtml(key)}</dt><dd>${escapeHtml(value)}</dd></div>`)
    .join('');
  const body = `${barHtml(undefined, '')}
<div class="shell" id="top">
<header class="masthead wide">
<div class="boxed${failed > 0 ? ' failed' : ''}"><p class="label">notebooks</p><h1>Object detection papers, reproduced step by step</h1></div>
<dl class="run">${list}</dl>
</header>
<main id="main">
<ul class="cards">
${cards.join('\n')}
</ul>
</main>
</div>`;
  return documentHtml({
    title: 'detlab: the notebooks of this run',
    description: `${count}, executed`,
    style: frameStyle + cardStyle,
    body,
    scripts: `<script>${frameScript}</script>`,
  });
}

/** Facts that are the same for every notebook of the run. */
function sharedInfo(notebooks: readonly PageNotebook[]): [string, string][] {
  return Object.entries(notebooks[0]?.info ?? {})
    .filter(([key, value]) => key !== 'command' && notebooks.every((item) => item.info?.[key] === value))
    .map(([key, value]) => [key[0]!.toUpperCase() + key.slice(1), value]);
}

async function cardHtml(item: PageNotebook, title: string): Promise<string> {
  const states = { ok: 'Complete', failed: 'Failed', interrupted: 'Interrupted' };
  const cell = item.failure && cellLabel(item, item.failure.cell);
  const where = cell === undefined ? '' : ` in cell ${cell}`;
  const state = `<b>${states[item.status]}</b>${where} · ${formatSeconds(item.seconds)} · ${escapeHtml(item.name)}`;
  return `<li class="card ${item.status}">${await thumbHtml(item)}<div class="text"><h2><a href="${encodeURI(item.name)}.html">${escapeHtml(title)}</a></h2><p>${escapeHtml(summary(item))}</p><span class="state">${state}</span></div></li>`;
}

/** The first paragraph of prose, without its marks. */
function summary(item: PageNotebook): string {
  for (const cell of item.notebook.cells) {
    if (cell.cell_type !== 'markdown') continue;
    for (const paragraph of cell.source.split(/\n\s*\n/)) {
      const text = paragraph
        .split('\n')
        .filter((line) => !/^\s*(#|\||>|[-*+] |\d+\. |```|!\[|\$\$|<)/.test(line))
        .join(' ')
        .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
        .replace(/<[^>]*>|[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}/g, '')
        .trim();
      if (text.length > 40) return text.length > 220 ? `${text.slice(0, 219).replace(/\s+\S*$/, '')}…` : text;
    }
  }
  return '';
}

/** The cell tagged `thumbnail`, else the last picture that is not a chart, else the last chart. */
async function thumbHtml(item: PageNotebook): Promise<string> {
  type Found = { bytes: Buffer; mime: string; chart: boolean; tagged: boolean };
  let best: Found | undefined;
  for (const cell of item.notebook.cells) {
    if (cell.cell_type !== 'code') continue;
    const tagged = Array.isArray(cell.metadata.tags) && cell.metadata.tags.includes('thumbnail');
    for (const output of cell.outputs) {
      if (output.output_type !== 'display_data' && output.output_type !== 'execute_result') continue;
      const { data } = output;
      const mime = ['image/png', 'image/jpeg', 'image/svg+xml'].find(
        (form) => typeof data[form] === 'string',
      );
      if (mime === undefined) continue;
      const chart = !(richestMime(data) ?? '').startsWith('image/') || mime === 'image/svg+xml';
      const rank = (f: Found): number => (f.tagged ? 2 : 0) + (f.chart ? 0 : 1);
      const bytes = Buffer.from(data[mime] as string, mime === 'image/svg+xml' ? 'utf8' : 'base64');
      const found = { bytes, mime, chart, tagged };
      if (!best || rank(found) >= rank(best)) best = found;
    }
  }
  if (!best) return `<div class="thumb none">${markSvg}</div>`;
  const address =
    best.mime === 'image/svg+xml'
      ? `data:image/svg+xml;base64,${best.bytes.toString('base64')}`
      : await thumbnail(best.bytes, best.mime, 760);
  return `<div class="thumb${best.chart ? ' chart-thumb' : ''}"><img src="${address}" alt="" loading="lazy" decoding="async"></div>`;
}
