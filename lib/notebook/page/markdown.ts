/** Markdown cells as HTML: tables, code in colour, formulae, pictures inlined, raw HTML limited to harmless tags. */
import fs from 'node:fs';
import path from 'node:path';
import { type HighlightCode } from './highlight';
import { cleanHtml, escapeHtml } from './html';
import { type MathRenderer, mathPlugin } from './math';
import { type Heading, type Slugger, slugOf } from './toc';

/** What a page hands to its Markdown. */
export interface MarkdownOptions {
  math: MathRenderer;
  highlight: HighlightCode;
  slugger: Slugger;
  /** Folder of the notebook's file: where relative pictures are read from and relative links start. */
  directory?: string;
  /** Folder of the page: where relative links must lead from. */
  pageDirectory: string;
  /** Names of the notebooks that have a page beside this one: links between notebooks become links between pages. */
  siblings: ReadonlySet<string>;
}

/** One cell's Markdown as HTML. */
export interface RenderedMarkdown {
  html: string;
  headings: Heading[];
}

export type MarkdownRenderer = (
  source: string,
  attachments?: Record<string, Record<string, unknown>>,
) => RenderedMarkdown;

const pictureTypes: Record<string, string> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
  '.svg': 'image/svg+xml',
};

export async function createMarkdown(options: MarkdownOptions): Promise<MarkdownRenderer> {
  const MarkdownIt = (await import('markdown-it')).default;
  const md = new MarkdownIt({ html: true, linkify: false, typographer: true });
  // Quotes, yes; but "(c)" is the third item of a list far more often than a copyright.
  md.disable('replacements');
  // The package's types for `import` and for `require` are two; they are the same at run time.
  md.use(mathPlugin as never);

  // Finished HTML (formulae, highlighted code) passes the cleaning as a mark in the text and is put in afterwards.
  let finished: string[] = [];
  let attachments: Record<string, Record<string, unknown>> = {};
  const keep = (html: string): string => `\uE000${finished.push(html) - 1}\uE001`;

  md.renderer.rules.math = (tokens, i) => {
    const { content, meta, block } = tokens[i]!;
    const display = (meta as { display: boolean }).display;
    const html = options.math({ tex: content, display });
    return keep(display ? `<span class="formula">${html}</span>` : html) + (block ? '\n' : '');
  };
  md.renderer.rules.fence = (tokens, i) => {
    const language = tokens[i]!.info.trim().split(/\s+/)[0] ?? '';
    return keep(preformatted(options.highlight(tokens[i]!.content, language)));
  };
  md.renderer.rules.code_block = (tokens, i) => keep(preformatted(escapeHtml(tokens[i]!.content)));
  md.renderer.rules.table_open = () =>
    '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>\n';
  md.renderer.rules.table_close = () => '</table></div>\n';
  md.renderer.rules.image = (tokens, i, rendererOptions, env) => {
    const token = tokens[i]!;
    const alt = md.renderer.renderInlineAsText(token.children ?? [], rendererOptions, env);
    return pictureHtml(token.attrGet('src') ?? '', alt, token.attrGet('title'));
  };
  md.renderer.rules.heading_open = (tokens, i, rendererOptions, _env, self) => {
    const anchor = `<a class="anchor" href="#${tokens[i]!.attrGet('id')}" aria-label="Link to this section">#</a>`;
    return self.renderToken(tokens, i, rendererOptions) + keep(anchor);
  };
  md.renderer.rules.link_open = (tokens, i, rendererOptions, _env, self) => {
    const token = tokens[i]!;
    token.attrSet('href', linkTarget(token.attrGet('href') ?? ''));
    return self.renderToken(tokens, i, rendererOptions);
  };

  function pictureHtml(src: string, alt: string, title: string | null): string {
    const data = pictureData(src);
    const label = escapeHtml(alt);
    if (data === undefined) {
      // Nothing is loaded from elsewhere: a remote picture becomes a link to it.
      const remote = /^https?:/.test(src);
      const what = label || 'picture';
      return remote
        ? `<a href="${escapeHtml(src)}">${what}</a>`
        : `<em>[${what}: ${escapeHtml(src)} not found]</em>`;
    }
    const titleAttribute = title ? ` title="${escapeHtml(title)}"` : '';
    return `<img src="${escapeHtml(data)}" alt="${label}"${titleAttribute} loading="lazy" decoding="async">`;
  }

  function pictureData(src: string): string | undefined {
    if (src.startsWith('data:')) return src;
    if (src.startsWith('attachment:')) {
      const bundle = attachments[decodeURI(src.slice('attachment:'.length))] ?? {};
      const type = Object.keys(bundle).find((mime) => mime.startsWith('image/'));
      return type === undefined
        ? undefined
        : `data:${type};base64,${String(bundle[type]).replace(/\s/g, '')}`;
    }
    const type = pictureTypes[path.extname(src).toLowerCase()];
    if (/^[a-z][\w+.-]*:|^\/\//i.test(src) || type === undefined || options.directory === undefined)
      return undefined;
    try {
      const bytes = fs.readFileSync(path.resolve(options.directory, decodeURI(src)));
      return `data:${type};base64,${bytes.toString('base64')}`;
    } catch {
      return undefined;
    }
  }

  function linkTarget(href: string): string {
    if (href.startsWith('#')) return `#${slugOf(safeDecode(href.slice(1)))}`;
    if (/^[a-z][\w+.-]*:|^\/\//i.test(href)) return href;
    const [file = '', ...fragment] = href.split('#');
    const hash = fragment.length > 0 ? `#${fragment.join('#')}` : '';
    const sibling = /^(?:\.\/)?([^/]+)\.ipynb$/.exec(safeDecode(file))?.[1];
    if (sibling !== undefined && options.siblings.has(sibling)) return `${encodeURI(sibling)}.html${hash}`;
    if (options.directory === undefined) return href;
    const target = path.relative(options.pageDirectory, path.resolve(options.directory, safeDecode(file)));
    return encodeURI(target.split(path.sep).join('/')) + hash;
  }

  return (source, cellAttachments = {}) => {
    finished = [];
    attachments = cellAttachments;
    const headings: Heading[] = [];
    const fill = (html: string): string =>
      html.replace(/\uE000(\d+)\uE001/g, (_, n: string) => finished[Number(n)]!);
    const env = {};
    const tokens = md.parse(source.replace(/[\uE000\uE001]/g, ''), env);
    tokens.forEach((token, i) => {
      if (token.type !== 'heading_open') return;
      const inline = tokens[i + 1]!;
      // Without the marks: what was read as text, code or a formula.
      const plain = (inline.children ?? []).map((child) => child.content).join('');
      const id = options.slugger.next(plain);
      token.attrSet('id', id);
      const html = cleanHtml(md.renderer.renderInline(inline.children ?? [], md.options, env), 'markdown');
      headings.push({ level: Number(token.tag.slice(1)), id, html: fill(html) });
    });
    const cleaned = cleanHtml(md.renderer.render(tokens, md.options, env), 'markdown');
    // GitHub's task lists.
    const listed = cleaned.replace(
      /<li>(\s*<p>)?\[([ xX])\] /g,
      (_, paragraph: string | undefined, mark: string) =>
        `<li class="task">${paragraph ?? ''}<input type="checkbox" disabled${mark === ' ' ? '' : ' checked'}>`,
    );
    const html = fill(listed);
    return { html, headings };
  };
}

function preformatted(code: string): string {
  return `<pre class="block" tabindex="0"><code>${code.replace(/\n$/, '')}</code></pre>\n`;
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
