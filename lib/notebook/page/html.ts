/** HTML as text: escaping, and cleaning of fragments that a notebook's author or a cell wrote. */

import { escapeHtml } from '../../plot/format';

export { escapeHtml };

/** Where a fragment comes from: prose gets a list of harmless tags, a cell's output anything but page-level tags. */
export type HtmlPolicy = 'markdown' | 'output';

/** JSON that can stand inside a `<script>`: no `</script>`, no `<!--`, no line separators that old parsers choke on. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** JavaScript that can stand inside a `<script>`: what would end the element is written in its escaped form. */
export function scriptSource(code: string): string {
  return code.replace(/<\/(?=script)/gi, '<\\/').replace(/<!--/g, '<\\!--');
}

const voidTags = new Set('area br col embed hr img input link meta param source track wbr'.split(' '));

const proseTags = new Set(
  (
    'a abbr b blockquote br caption center cite code col colgroup dd del details dfn div dl dt em figcaption figure ' +
    'h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp section small span strong sub summary sup table ' +
    'tbody td tfoot th thead tr tt u ul var wbr'
  ).split(' '),
);
const proseAttributes = new Set(
  'align alt class colspan height href id lang open reversed role rowspan scope span src start style title valign value width'.split(
    ' ',
  ),
);

// Tags that belong to a page, not to a part of one, or that load a document of their own.
const pageTags = new Set(
  'html head body base meta link title frame frameset noframes iframe object embed applet portal plaintext'.split(
    ' ',
  ),
);
const droppedWithContent = new Set(['title', 'iframe', 'object', 'noframes', 'applet']);
const rawTextTags = new Set(['script', 'style', 'textarea', 'xmp']);
// Real elements that prose does not get. What is no element at all (`Array<number>`) is text that its author wrote.
const droppedFromProse = new Set(
  'article aside audio button canvas dialog fieldset footer form header input label legend main map math menu meter nav noscript optgroup option output picture progress select slot source svg template textarea track video area font path g circle rect line text'.split(
    ' ',
  ),
);

// An opening tag of the first kind ends an open element of the second, when that is the innermost one.
const impliedEnd: Record<string, string[]> = {
  li: ['li'],
  p: ['p'],
  tr: ['tr', 'td', 'th'],
  td: ['td', 'th'],
  th: ['td', 'th'],
  dt: ['dt', 'dd'],
  dd: ['dt', 'dd'],
  option: ['option'],
};

const tagPattern = /<!--[\s\S]*?(?:-->|$)|<(\/?)([a-zA-Z][^\s/>]*)((?:[^>"']|"[^"]*"|'[^']*')*)>/g;
const attributePattern = /([^\s=/"'<>]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+))?/g;

/**
 * A fragment made safe to stand in the page: balanced (nothing in it can close the page's own elements), without
 * page-level tags and without addresses that load from a network. Prose keeps harmless tags only; scripts survive
 * only in a cell's output, where Jupyter runs them too.
 */
export function cleanHtml(html: string, policy: HtmlPolicy): string {
  let out = '';
  let at = 0;
  const open: string[] = [];
  const text = (s: string): string => s.replace(/</g, '&lt;');
  tagPattern.lastIndex = 0;
  for (let match; (match = tagPattern.exec(html));) {
    out += text(html.slice(at, match.index));
    at = tagPattern.lastIndex;
    if (match[2] === undefined) continue; // a comment
    const name = match[2];
    const tag = name.toLowerCase();
    if (policy === 'markdown' && !isElement(tag)) {
      out += escapeHtml(match[0]);
      continue;
    }
    if (match[1] === '/') {
      const depth = open.map((element) => element.toLowerCase()).lastIndexOf(tag);
      if (depth < 0) continue;
      for (let i = open.length - 1; i >= depth; i--) out += `</${open.pop()!}>`;
      continue;
    }
    const selfClosed = match[3]!.endsWith('/') && (open.includes('svg') || open.includes('math'));
    if (rawTextTags.has(tag) || droppedWithContent.has(tag)) {
      // An SVG's <title> is a label, not the page's.
      if (!(tag === 'title' && open.includes('svg'))) {
        const end = new RegExp(`</${tag}\\s*>`, 'i').exec(html.slice(at));
        const content = html.slice(at, end ? at + end.index : html.length);
        at = tagPattern.lastIndex = end ? at + end.index + end[0].length : html.length;
        if (policy === 'output' && rawTextTags.has(tag)) {
          const body = tag === 'style' ? withoutRemoteUrls(content) : content;
          out += `<${name}${attributes(match[3]!, policy)}>${body}</${name}>`;
        }
        continue;
      }
    } else if (policy === 'markdown' ? !proseTags.has(tag) : pageTags.has(tag)) continue;
    for (const ended = impliedEnd[tag]; ended?.includes(open.at(-1) ?? '');) out += `</${open.pop()!}>`;
    out += `<${name}${attributes(match[3]!, policy)}${selfClosed ? '/' : ''}>`;
    if (!selfClosed && !voidTags.has(tag)) open.push(name);
  }
  out += text(html.slice(at));
  while (open.length > 0) out += `</${open.pop()!}>`;
  return out;
}

function isElement(tag: string): boolean {
  return [proseTags, droppedFromProse, pageTags, rawTextTags, droppedWithContent].some((set) => set.has(tag));
}

function attributes(source: string, policy: HtmlPolicy): string {
  let out = '';
  for (const [, name, raw] of source.matchAll(attributePattern)) {
    const key = name!.toLowerCase();
    if (policy === 'markdown' && !proseAttributes.has(key) && !/^(aria|data)-[\w-]+$/.test(key)) continue;
    if (raw === undefined) {
      out += ` ${name}`;
      continue;
    }
    const value = /^["']/.test(raw) ? raw.slice(1, -1) : raw;
    if (!isAllowedValue(key, value, policy)) continue;
    out += ` ${name}="${value.replace(/"/g, '&quot;').replace(/</g, '&lt;')}"`;
  }
  return out;
}

function isAllowedValue(key: string, value: string, policy: HtmlPolicy): boolean {
  // Browsers ignore control characters and entities in an address's scheme; so must the check.

  const plain = decodeEntities(value).replace(/[\u0000-\u0020]/g, '');
  if (/^(src|srcset|poster|data|background|xlink:href|formaction|action|manifest|ping)$/.test(key)) {
    return !/(^|,)([a-z][a-z0-9+.-]*:)?\/\//i.test(plain) && !/^(javascript|vbscript):/i.test(plain);
  }
  if (key === 'href') return !/^(javascript|vbscript):/i.test(plain) && !/^data:text\/html/i.test(plain);
  if (key === 'style') {
    if (/url\(\s*["']?(?!data:|#)/i.test(plain)) return false;
    return policy === 'output' || !/position|expression|@import|\\/i.test(plain);
  }
  return true;
}

function decodeEntities(value: string): string {
  return value
    .replace(/&#x([0-9a-f]{1,6});?/gi, (_, hex: string) => codePoint(parseInt(hex, 16)))
    .replace(/&#(\d{1,7});?/g, (_, digits: string) => codePoint(Number(digits)))
    .replace(/&(colon|Tab|NewLine);/g, (_, name: string) => (name === 'colon' ? ':' : ''))
    .replace(/&amp;/g, '&');
}

function codePoint(n: number): string {
  return n <= 0x10ffff ? String.fromCodePoint(n) : '';
}

function withoutRemoteUrls(css: string): string {
  return css.replace(/@import[^;]*;?/gi, '').replace(/url\(\s*(["']?)(?!data:|#)[^)]*\)/gi, 'none');
}
