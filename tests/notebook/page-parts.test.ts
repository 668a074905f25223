import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ansiToHtml, stripAnsi } from '../../lib/notebook/page/ansi';
import { formatSeconds } from '../../lib/notebook/page/cells';
import { prepareChart } from '../../lib/notebook/page/charts';
import { frameScript, notebookScript, themeScript } from '../../lib/notebook/page/client';
import { chartScript } from '../../lib/notebook/page/client-charts';
import { createHighlighter } from '../../lib/notebook/page/highlight';
import { cleanHtml, escapeHtml, scriptJson, scriptSource } from '../../lib/notebook/page/html';
import { createMarkdown, type MarkdownRenderer } from '../../lib/notebook/page/markdown';
import { createMathRenderer } from '../../lib/notebook/page/math';
import { outputsHtml, richestMime } from '../../lib/notebook/page/outputs';
import { pictureSize } from '../../lib/notebook/page/picture';
import { createSlugger, slugOf, tocHtml } from '../../lib/notebook/page/toc';
import { lossChart, makePng } from './page-fixture';

async function markdown(directory?: string): Promise<MarkdownRenderer> {
  return createMarkdown({
    math: ({ tex, display }) => `<math data-display="${display}">${escapeHtml(tex.trim())}</math>`,
    highlight: await createHighlighter(),
    slugger: createSlugger(),
    pageDirectory: '/project/out',
    siblings: new Set(['02-other']),
    ...(directory === undefined ? {} : { directory }),
  });
}

describe('formulae in Markdown', () => {
  const cases: [string, string, string[]][] = [
    ['dollars', 'where $a_1 * b_2$ and $c*d$.', ['a_1 * b_2', 'c*d']],
    ['double dollars in a line', 'so $$x_1$$ holds', ['x_1']],
    ['parentheses', 'with \\(\\mu_B\\) and \\[\\sigma\\]', ['\\mu_B', '\\sigma']],
    ['a block', 'so\n\n$$\na = b \\\\\n_c_\n$$\n\nthen', ['a = b \\\\\n_c_']],
    ['a block that ends a paragraph', 'so\n$$\na\n$$', ['a']],
    ['a block in a list', '- so\n\n  $$\n  a\n  $$\n\n- then', ['a']],
    [
      'a bare environment',
      '\\begin{align}\na &= b\n\\end{align}',
      ['\\begin{align}\na &amp;= b\n\\end{align}'],
    ],
    ['an escaped dollar inside', 'cost $a = \\$5$', ['a = \\$5']],
    ['money', 'it costs $5 and $10', []],
    ['an escaped dollar', 'it costs \\$5 and $x$', ['x']],
    ['a space inside', 'a $ b $ c', []],
    ['code', '`$a$` and ``$b$``', []],
    ['fenced code', '```\n$a$\n$$\nb\n$$\n```', []],
    ['an unclosed block', '$$\na\n\nparagraph', []],
  ];
  it.each(cases)('reads %s', async (_name, source, expected) => {
    const { html } = (await markdown())(source);
    expect([...html.matchAll(/<math[^>]*>([\s\S]*?)<\/math>/g)].map((match) => match[1])).toEqual(expected);
  });

  it('keeps code as written beside formulae', async () => {
    expect((await markdown())('`$a$`').html).toBe('<p><code>$a$</code></p>\n');
  });

  it('sets them with KaTeX, and shows what it cannot read', async () => {
    const render = await createMathRenderer();
    expect(render({ tex: '\\frac{1}{N}', display: true })).toContain('<mfrac>');
    expect(render({ tex: '\\frac{1}', display: false })).toContain('katex-error');
    render({ tex: '\\gdef\\loss{L_{\\text{conf}}}', display: false });
    expect(render({ tex: '\\loss', display: false })).not.toContain('katex-error');
  });
});

describe('Markdown', () => {
  it('keeps harmless HTML and drops what could act', async () => {
    const { html } = (await markdown())(
      '<details open><summary>More</summary>\n\n**bold** <b onclick="f()">x</b><script>alert(1)</script>\n\n</details>\n\n<iframe src="//e.com"></iframe><a href="java&#115;cript:f()">y</a>',
    );
    expect(html).toContain('<details open><summary>More</summary>');
    expect(html).toContain('<strong>bold</strong> <b>x</b>');
    expect(html).toContain('<a>y</a>');
    expect(html).not.toMatch(/script|onclick|iframe|alert/);
    // A type is what its author wrote, not a tag.
    expect((await markdown())('an Array<number> of Tensor<Rank.R4>').html).toBe(
      '<p>an Array&lt;number&gt; of Tensor&lt;Rank.R4&gt;</p>\n',
    );
  });

  it('inlines pictures that it can read and links to those elsewhere', async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-markdown-'));
    fs.writeFileSync(
      path.join(folder, 'a.png'),
      makePng(2, 2, () => [1, 2, 3]),
    );
    const render = await markdown(folder);
    expect(render('![local](a.png)').html).toMatch(
      /<img src="data:image\/png;base64,iVBOR[^"]+" alt="local"/,
    );
    expect(render('![gone](b.png)').html).toContain('[gone: b.png not found]');
    expect(render('![far](https://example.com/a.png)').html).toBe(
      '<p><a href="https://example.com/a.png">far</a></p>\n',
    );
    const attached = { 'c.png': { 'image/png': 'QUJD\n' } };
    expect(render('![c](attachment:c.png)', attached).html).toContain('src="data:image/png;base64,QUJD"');
    fs.rmSync(folder, { recursive: true });
  });

  it('makes links lead from the page to where they led from the notebook', async () => {
    const render = await markdown('/project/notebooks');
    const href = (source: string): string | undefined => /href="([^"]*)"/.exec(render(source).html)?.[1];
    expect(href('[x](../lib/losses/focal.ts#L3)')).toBe('../lib/losses/focal.ts#L3');
    expect(href('[x](figures/a.pdf)')).toBe('../notebooks/figures/a.pdf');
    expect(href('[x](02-other.ipynb)')).toBe('02-other.html');
    expect(href('[x](03-absent.ipynb)')).toBe('../notebooks/03-absent.ipynb');
    expect(href('[x](#The-Data)')).toBe('#the-data');
    expect(href('[x](https://arxiv.org/abs/1)')).toBe('https://arxiv.org/abs/1');
  });

  it('gives headings ids, tables a box to scroll in, tasks their boxes, and leaves (c) alone', async () => {
    const render = await markdown();
    const { html, headings } = render(
      '## The `Box` of $x$\n\n## The `Box` of $x$\n\n| a |\n| -: |\n| 1 |\n\n- [x] done\n- [ ] open (c)',
    );
    expect(headings.map(({ id }) => id)).toEqual(['the-box-of-x', 'the-box-of-x-2']);
    expect(headings[0]!.html).toContain('<code>Box</code>');
    expect(html).toMatch(/<div class="scroll"[^>]*><table>/);
    expect(html).toContain('<th style="text-align:right">a</th>');
    expect(html).toContain('<li class="task"><input type="checkbox" disabled checked>done</li>');
    expect(html).toContain('open (c)');
  });
});

describe('cleanHtml', () => {
  it('balances what a cell wrote', () => {
    expect(cleanHtml('<div><b>a</div></section>b', 'output')).toBe('<div><b>a</b></div>b');
    expect(cleanHtml('<ul><li>a<li>b</ul>', 'output')).toBe('<ul><li>a</li><li>b</li></ul>');
    expect(cleanHtml('a < b <!-- c --> <br> 1 <2', 'output')).toBe('a &lt; b  <br> 1 &lt;2');
    expect(cleanHtml('<svg viewBox="0 0 1 1"><path d="M0 0"/><title>t</title></svg>', 'output')).toBe(
      '<svg viewBox="0 0 1 1"><path d="M0 0"/><title>t</title></svg>',
    );
  });

  it('removes every address that would load, and page-level tags', () => {
    const dirty =
      '<html><head><title>t</title><link rel=stylesheet href=https://e.com/x.css></head><body><img src=//e.com/a.png>' +
      '<img src="data:image/png;base64,AA"><div style="background:url(https://e.com/b)">x</div>' +
      '<style>@import "https://e.com/c"; p{background:url(//e.com/d)}</style><script src="https://e.com/e.js"></script></body></html>';
    expect(cleanHtml(dirty, 'output')).toBe(
      '<img><img src="data:image/png;base64,AA"><div>x</div><style> p{background:none}</style><script></script>',
    );
  });

  it('keeps the scripts of outputs whole', () => {
    expect(cleanHtml('<script>if (a < b) f("</b>")</script>', 'output')).toBe(
      '<script>if (a < b) f("</b>")</script>',
    );
  });
});

describe('terminal text', () => {
  it('colours by class for the sixteen, by value for the rest', () => {
    expect(ansiToHtml('\u001b[1;31mE\u001b[0m <x>')).toBe(
      '<span class="ansi-fg-1 ansi-bold">E</span> &lt;x&gt;',
    );
    expect(ansiToHtml('\u001b[94ma\u001b[39mb')).toBe('<span class="ansi-fg-12">a</span>b');
    expect(ansiToHtml('\u001b[38;5;208mx')).toBe('<span style="color:rgb(255,135,0)">x</span>');
    expect(ansiToHtml('\u001b[48;2;1;2;3mx\u001b[49m')).toBe(
      '<span style="background-color:rgb(1,2,3)">x</span>',
    );
    expect(ansiToHtml('\u001b[38;5;9mx')).toBe('<span class="ansi-fg-9">x</span>');
    expect(ansiToHtml('\u001b[7mx')).toBe('<span class="ansi-inverse">x</span>');
  });

  it('shows what a terminal would still show', () => {
    expect(ansiToHtml('10%\r50%\r100%\r\ndone\r\n')).toBe('100%\ndone\n');
    expect(ansiToHtml('\u001b[32m1\r2\u001b[0m')).toBe('<span class="ansi-fg-2">2</span>');
    expect(ansiToHtml('abc\b\bd')).toBe('ad');
    expect(ansiToHtml('a\u001b[2K\u001b[1Ab\u0007')).toBe('ab');
    expect(stripAnsi('\u001b]0;title\u0007\u001b[1mbold\u001b[0m')).toBe('bold');
  });
});

describe('outputs', () => {
  const context = async (): Promise<Parameters<typeof outputsHtml>[1]> => ({
    markdown: await markdown(),
    math: ({ tex }) => `<math>${tex}</math>`,
    charts: [],
  });
  const show = async (data: Record<string, unknown>): Promise<string> =>
    outputsHtml([{ output_type: 'display_data', data, metadata: {} }], await context());

  it.each([
    [['text/plain', 'image/png', 'application/vnd.vegalite.v5+json'], 'application/vnd.vegalite.v5+json'],
    [
      ['text/plain', 'image/png', 'application/vnd.vegalite.v5.20+json'],
      'application/vnd.vegalite.v5.20+json',
    ],
    [['text/plain', 'image/png', 'application/vnd.vega.v5+json'], 'application/vnd.vega.v5+json'],
    [['text/plain', 'image/png', 'image/svg+xml'], 'image/svg+xml'],
    [['text/plain', 'text/html', 'image/png'], 'image/png'],
    [['text/plain', 'text/markdown', 'text/html'], 'text/html'],
    [['text/plain', 'text/latex'], 'text/latex'],
    [['text/plain'], 'text/plain'],
    [['application/x-unknown'], undefined],
  ])('of %j the richest is %s', (mimes, expected) => {
    expect(richestMime(Object.fromEntries(mimes.map((mime) => [mime, 'x'])))).toBe(expected);
  });

  it('show each form', async () => {
    const png = makePng(6, 4, () => [0, 0, 0]).toString('base64');
    expect(await show({ 'image/png': png, 'text/plain': 'a "box"' })).toContain(
      'alt="a &quot;box&quot;" width="6" height="4"',
    );
    expect(await show({ 'image/svg+xml': '<svg width="5" height="3"><text>#1 & "2"</text></svg>' })).toMatch(
      /<img src="data:image\/svg\+xml,%3Csvg[^"<>]*" alt="" width="5" height="3"/,
    );
    expect(await show({ 'text/latex': '$$x$$' })).toContain('<math>x</math>');
    expect(await show({ 'text/markdown': '**b**' })).toContain('<strong>b</strong>');
    expect(await show({ 'application/json': { a: '<' } })).toContain('&quot;a&quot;: &quot;&lt;&quot;');
    expect(await show({ 'application/x-y': 1 })).toContain('cannot show (application/x-y)');
  });

  it('join what was printed in pieces, by stream', async () => {
    const html = await outputsHtml(
      [
        { output_type: 'stream', name: 'stdout', text: '\u001b[31ma' },
        { output_type: 'stream', name: 'stdout', text: 'b\n' },
        { output_type: 'stream', name: 'stderr', text: 'c' },
      ],
      await context(),
    );
    expect(html.match(/<pre/g)).toHaveLength(2);
    expect(html).toContain('<span class="ansi-fg-1">ab\n</span>');
  });

  it('fall back to the picture of a chart that cannot be compiled, or say why', async () => {
    const bad = { mark: 'line', encoding: { x: { field: 'a', type: 'quantitative', scale: 5 } }, hconcat: 3 };
    const png = makePng(1, 1, () => [0, 0, 0]).toString('base64');
    expect(await show({ 'application/vnd.vegalite.v5+json': bad, 'image/png': png })).toContain(
      '<figure class="out picture">',
    );
    expect(await show({ 'application/vnd.vegalite.v5+json': bad })).toContain('could not be drawn');
  });
});

describe('charts', () => {
  type Compiled = {
    data: { values?: unknown }[];
    signals?: { name: string }[];
    height?: number;
    background?: string;
  };

  it('carry their data once for both layouts, and no white ground', async () => {
    const chart = await prepareChart(lossChart, 'vega-lite');
    const wide = chart.wide as unknown as Compiled;
    expect(chart.pool).toHaveLength(1);
    expect(chart.pool[0]).toHaveLength(240);
    expect(wide.data[0]!.values).toEqual({ $pool: 0 });
    expect((chart.narrow as unknown as Compiled).data[0]!.values).toEqual({ $pool: 0 });
    expect(wide.background).toBeUndefined();
  });

  it('fill the width they get, unless they are square or made of several', async () => {
    const fluid = await prepareChart(lossChart, 'vega-lite');
    expect(fluid.fluid).toBe(true);
    expect((fluid.wide as unknown as Compiled).signals?.map((signal) => signal.name)).toContain('width');
    expect((await prepareChart({ ...lossChart, height: 600 }, 'vega-lite')).fluid).toBe(false);
    const { width: _w, height: _h, autosize: _a, ...part } = lossChart;
    const pair = await prepareChart(
      {
        hconcat: [
          { ...part, width: 300 },
          { ...part, width: 300 },
        ],
      },
      'vega-lite',
    );
    expect(pair.fluid).toBe(false);
    const columns = (spec: unknown): unknown => (spec as { layout: { columns?: number } }).layout.columns;
    expect(columns(pair.wide)).toBeUndefined();
    expect(columns(pair.narrow)).toBe(1);
  });

  it('break long titles for a phone and grow by what that takes', async () => {
    const title = { text: 'A title of a chart that is much too long to stand in one line of a telephone' };
    const chart = await prepareChart({ ...lossChart, title }, 'vega-lite');
    const narrow = chart.narrow as unknown as Compiled & { title: { text: string[] } };
    expect(narrow.title.text.join(' ')).toBe(title.text);
    expect(narrow.title.text).toHaveLength(2);
    // One line of title and one row of legend more.
    expect(narrow.height).toBe(300 + 17);
  });
});

describe('small parts', () => {
  it('make text safe where it stands', () => {
    expect(escapeHtml(`<a href="x">&'`)).toBe('&lt;a href=&quot;x&quot;&gt;&amp;&#39;');
    const value = { s: '</script><!-- \u2028' };
    expect(scriptJson(value)).not.toMatch(/[<\u2028]/);
    expect(JSON.parse(scriptJson(value))).toEqual(value);
    expect(scriptSource('a = "</script><!--"')).toBe('a = "<\\/script><\\!--"');
  });

  it('write contents that nest', () => {
    const heading = (level: number, id: string): { level: number; id: string; html: string } => ({
      level,
      id,
      html: `<a href="/">${id}</a>`,
    });
    expect(tocHtml([heading(2, 'a')])).toBe('');
    expect(tocHtml([heading(2, 'a'), heading(3, 'b'), heading(4, 'x'), heading(2, 'c')])).toBe(
      '<ol><li><a href="#a">a</a><ol><li><a href="#b">b</a></li></ol></li><li><a href="#c">c</a></li></ol>',
    );
    expect(tocHtml([heading(3, 'a'), heading(2, 'b')])).toBe(
      '<ol><li><ol><li><a href="#a">a</a></li></ol></li><li><a href="#b">b</a></li></ol>',
    );
  });

  it('make ids that never meet the page’s own', () => {
    const slugs = createSlugger();
    expect([slugs.next('Cell 3'), slugs.next('Top'), slugs.next('Größe: 2×'), slugs.next('!')]).toEqual([
      'section-cell-3',
      'top-2',
      'größe-2',
      'section',
    ]);
    expect(slugOf('A  b--C')).toBe('a-b-c');
  });

  it('know how large pictures are shown', () => {
    const png = makePng(6, 4, () => [0, 0, 0]).toString('base64');
    expect(pictureSize('image/png', png, {})).toEqual({ width: 6, height: 4 });
    expect(pictureSize('image/png', png, { 'image/png': { width: 3 } })).toEqual({ width: 3, height: 2 });
    expect(pictureSize('image/png', 'AAAA', {})).toBeUndefined();
    expect(pictureSize('image/svg+xml', '<svg viewBox="0 0 1 1">', {})).toBeUndefined();
  });

  it('say durations as people do', () => {
    expect([0.42, 12.4, 83.2, 120, 3900, 59.9].map(formatSeconds)).toEqual([
      '0.4 s',
      '12 s',
      '1 min 23 s',
      '2 min',
      '1 h 5 min',
      '1 min',
    ]);
  });

  it('hold scripts that parse and cannot end their element', () => {
    for (const script of [themeScript, frameScript, notebookScript, chartScript]) {
      expect(() => new Function(script)).not.toThrow();
      expect(script).not.toMatch(/<\/script|<!--/i);
    }
  });
});
