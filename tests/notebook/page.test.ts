import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newNotebook } from '../../lib/notebook/nbformat';
import { notebookPage } from '../../lib/notebook/page/notebook-page';
import { writePage } from '../../lib/notebook/page/page';
import { lossChart, richNotebook, richPage } from './page-fixture';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-page-'));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const place = { directory: folder, siblings: [] };
let rich = '';
beforeAll(async () => {
  rich = (await notebookPage(richPage(), place)).html;
});

/** Every element of a page, checked to be closed where HTML asks for it. Raw-text elements are skipped over. */
function elements(html: string): { name: string; attributes: Record<string, string> }[] {
  const voids = new Set('area br col hr img input link meta source wbr'.split(' '));
  const found: { name: string; attributes: Record<string, string> }[] = [];
  const open: string[] = [];
  const tag = /<(\/?)([a-zA-Z][\w-]*)((?:\s+[^\s=>/"']+(?:\s*="[^"]*")?)*)\s*(\/?)>|<!--|<!doctype html>/g;
  let at = 0;
  for (let match; (match = tag.exec(html)); at = tag.lastIndex) {
    expect(html.slice(at, match.index), 'a "<" that is no tag').not.toContain('<');
    if (match[2] === undefined) continue;
    const name = match[2];
    if (match[1] === '/') {
      expect(
        open.pop(),
        `</${name}> at ${match.index}: ${html.slice(match.index - 80, match.index + 20)}`,
      ).toBe(name);
      continue;
    }
    const attributes: Record<string, string> = {};
    for (const [, key, value] of match[3]!.matchAll(/([^\s=]+)(?:\s*="([^"]*)")?/g)) {
      expect(attributes, `${key} twice in ${match[0].slice(0, 200)}`).not.toHaveProperty([key!]);
      attributes[key!] = value ?? '';
    }
    found.push({ name, attributes });
    if (voids.has(name) || match[4] === '/') continue;
    if (name === 'script' || name === 'style') {
      tag.lastIndex = html.indexOf(`</${name}>`, tag.lastIndex) + name.length + 3;
      continue;
    }
    open.push(name);
  }
  expect(open).toEqual([]);
  return found;
}

function textOf(html: string): string {
  return html
    .replace(/<(script|style)\b[\s\S]*?<\/\1>/g, '')
    .replace(/<[^>]*>/g, '')
    .replace(
      /&(amp|lt|gt|quot|#39|#x27);/g,
      (_, n: string) => ({ amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", '#x27': "'" })[n]!,
    );
}

describe('a notebook page', () => {
  it('is balanced HTML whose ids are unique', () => {
    const all = elements(rich);
    expect(all.length).toBeGreaterThan(300);
    const ids = all.flatMap(({ attributes }) => ('id' in attributes ? [attributes.id] : []));
    expect(new Set(ids).size).toBe(ids.length);
    const targets = all.flatMap(({ attributes }) =>
      attributes.href?.startsWith('#') ? [attributes.href.slice(1)] : [],
    );
    for (const target of targets) expect(ids).toContain(target);
  });

  it('loads nothing: every address that a browser would fetch is inside the page', () => {
    for (const { name, attributes } of elements(rich)) {
      for (const key of ['src', 'srcset', 'poster', 'data', 'action']) {
        if (key in attributes) expect(attributes[key], `${name} ${key}`).toMatch(/^data:/);
      }
      if (name === 'link') expect(attributes.href).toMatch(/^data:/);
    }
    const styles = [...rich.matchAll(/<style>([\s\S]*?)<\/style>/g)].map((match) => match[1]).join('');
    for (const [, address] of styles.matchAll(/url\(["']?([^)]{0,20})/g)) expect(address).toMatch(/^data:/);
    expect(styles).not.toContain('@import');
    const policy = elements(rich).find(
      ({ attributes }) => attributes['http-equiv'] === 'Content-Security-Policy',
    );
    expect(policy?.attributes.content).toMatch(/^default-src 'none';/);
    expect(policy?.attributes.content).not.toMatch(/https?:|\*/);
  });

  it('shows the source of every code cell, to the letter', () => {
    const text = textOf(rich);
    for (const cell of richNotebook().cells) {
      if (cell.cell_type === 'code') expect(text).toContain(cell.source);
    }
  });

  it('keeps a closing script tag of a chart inside its JSON', () => {
    const specs = [...rich.matchAll(/<script type="application\/json">([\s\S]*?)<\/script>/g)].map(
      (match) => JSON.parse(match[1]!) as { wide: { description: string }; pool: unknown[] },
    );
    expect(specs).toHaveLength(2);
    expect(specs[0]!.wide.description).toBe(lossChart.description);
    expect(rich).not.toContain('<b>not markup</b>');
  });

  it('carries a chart run time only when there is a chart', async () => {
    expect(rich).toContain('id="vega-source"');
    const plain = newNotebook([
      { cell_type: 'markdown', source: '# Words' },
      { cell_type: 'code', source: '1 + 1' },
    ]);
    const { html } = await notebookPage({ ...richPage(), notebook: plain }, place);
    expect(html).not.toContain('vega');
    expect(html).not.toContain('KaTeX');
    expect(html.length).toBeLessThan(120_000);
  });

  it('carries only the formula fonts that it uses', () => {
    const families = new Set([...rich.matchAll(/font-family:(KaTeX_\w+);/g)].map((match) => match[1]));
    expect(families).toContain('KaTeX_Main');
    expect(families).toContain('KaTeX_Math');
    expect(families).toContain('KaTeX_AMS'); // the doubled R
    expect(families).not.toContain('KaTeX_Fraktur');
    expect(families).not.toContain('KaTeX_SansSerif');
    // The accent's own rule holds where .accent-full is absent: without it hats stand beside their letters.
    expect(rich).toContain('.accent-body:not(.accent-full)');
  });

  it('has the title, the paper and the facts of the run at its top', () => {
    const top = rich.slice(0, rich.indexOf('<main'));
    expect(textOf(top)).toContain('ScratchDet: training from scratch with');
    expect(top).toContain('<a href="https://arxiv.org/abs/1810.08425">arXiv 1810.08425</a>');
    expect(textOf(top)).toMatch(/Ran in1 min 23 s/);
    expect(textOf(top)).toMatch(/Backendtensorflow 2\.21, CPU/);
    expect(rich.match(/<h1/g)).toHaveLength(1);
    expect(rich).toMatch(/<title>ScratchDet: training from scratch with .*· detlab<\/title>/);
  });

  it('links its contents to its headings', () => {
    const toc = /<details class="toc"[\s\S]*?<\/details>/.exec(rich)![0];
    expect(textOf(toc)).toContain('The idea, in words and formulae');
    expect(toc).toContain('href="#sizes-of-the-six-feature-maps"');
    expect(rich).toContain('<h3 id="sizes-of-the-six-feature-maps">');
  });

  it('says where a failed notebook failed, and links there', async () => {
    const { html } = await notebookPage(richPage(true), place);
    const banner = /<div class="banner failed"[\s\S]*?<\/div>/.exec(html)![0];
    expect(banner).toContain('href="#cell-13"');
    expect(textOf(banner)).toContain(
      'Failed in cell [7], line 1: RangeError: averagePrecision: there is no ground truth',
    );
    expect(html).toMatch(/<section class="cell code failed" id="cell-13">/);
    expect(html).toMatch(/<span class="ansi-fg-1 ansi-bold">RangeError<\/span>/);
    expect(textOf(html)).toContain('<very & long>');
  });

  it('blames no cell when the kernel failed before any', async () => {
    const failure = { cell: 1, ename: 'KernelDied', evalue: 'signal SIGSEGV' };
    const { html } = await notebookPage({ ...richPage(true), failure }, place);
    const banner = /<div class="banner failed"[\s\S]*?<\/div>/.exec(html)![0];
    expect(textOf(banner)).toBe('Failed: KernelDied: signal SIGSEGV.');
  });

  it('is the same for the same input', async () => {
    expect((await notebookPage(richPage(), place)).html).toBe(rich);
  });
});

describe('the pages of a run', () => {
  const read = (name: string): string => fs.readFileSync(path.join(folder, name), 'utf8');

  it('are the notebook itself when there is one', async () => {
    await writePage([richPage()], path.join(folder, 'one', 'index.html'));
    expect(fs.readdirSync(path.join(folder, 'one')).sort()).toEqual(['01-scratchdet.html', 'index.html']);
    expect(read('one/index.html')).toBe(read('one/01-scratchdet.html'));
    expect(read('one/index.html')).not.toContain('All notebooks');
  });

  it('are listed, with state and picture, when there are several', async () => {
    const empty = newNotebook([{ cell_type: 'markdown', source: '# Array<Nothing> & more' }]);
    const stopped = { ...richPage(), name: '03-stopped', status: 'interrupted' as const, notebook: empty };
    await writePage([richPage(), richPage(true), stopped], path.join(folder, 'many', 'index.html'));
    const index = read('many/index.html');
    const all = elements(index);
    const links = all.filter(({ name }) => name === 'a').map(({ attributes }) => attributes.href);
    expect(links).toEqual(['#main', '01-scratchdet.html', '02-broken.html', '03-stopped.html']);
    for (const link of links.slice(1)) expect(fs.existsSync(path.join(folder, 'many', link!))).toBe(true);
    expect(textOf(index)).toContain('2 of 3 notebooks did not finish');
    expect(textOf(index)).toContain('Failed in cell [7]');
    expect(textOf(index)).toContain('a small SSD, trained from random weights');
    expect(index.includes('Array&lt;Nothing&gt; &amp; more')).toBe(true);
    expect(all.filter(({ name }) => name === 'img')).toHaveLength(2);
    expect(index.length).toBeLessThan(300_000);
    expect(read('many/02-broken.html')).toContain('href="index.html"');
    expect(read('many/02-broken.html')).toContain('href="03-stopped.html"');
    elements(read('many/03-stopped.html'));
  });

  it('replace a file whole or leave it as it was', async () => {
    const blocked = path.join(folder, 'blocked');
    fs.mkdirSync(path.join(blocked, 'index.html'), { recursive: true });
    await expect(writePage([richPage()], path.join(blocked, 'index.html'))).rejects.toThrow(/index\.html/);
    expect(fs.readdirSync(blocked).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});
