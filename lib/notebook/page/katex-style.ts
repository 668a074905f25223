/** The part of KaTeX's style sheet and fonts that a page uses: a tenth of the whole, and nothing left to fetch. */
import fs from 'node:fs';
import path from 'node:path';

interface Face {
  family: string;
  weight: string;
  style: string;
  file: string;
}

/** CSS for the given page body, fonts as data addresses. The empty string when it holds no formula. */
export function katexStyle(body: string): string {
  if (!body.includes('class="katex"')) return '';
  const folder = path.dirname(require.resolve('katex/dist/katex.min.css'));
  const css = fs.readFileSync(path.join(folder, 'katex.css'), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  const used = usedClasses(body);
  const faces: Face[] = [];
  const needed = new Set<string>();
  let rules = '';
  for (const [, selectorText, declarations] of css.matchAll(/([^{}]+)\{([^{}]*)\}/g)) {
    const selector = selectorText!.trim();
    const block = declarations!.replace(/\s+/g, ' ').trim();
    if (selector === '@font-face') {
      faces.push({
        family: value(block, 'font-family').replace(/"/g, ''),
        weight: value(block, 'font-weight'),
        style: value(block, 'font-style'),
        file: /url\(([^)]+\.woff2)\)/.exec(block)![1]!,
      });
      continue;
    }
    const kept = selector.split(',').filter((part) => classesOf(part).every((name) => used.has(name)));
    if (kept.length === 0) continue;
    const family = /KaTeX_\w+/.exec(block)?.[0];
    const weight = value(block, 'font-weight');
    const style = value(block, 'font-style');
    if (family !== undefined) needed.add(`${family} ${weight || 'normal'} ${style || 'normal'}`);
    else if (weight === 'bold') needed.add('KaTeX_Main bold normal');
    else if (style === 'italic') needed.add('KaTeX_Main normal italic');
    rules += `${kept.map((part) => part.trim()).join(',')}{${block}}\n`;
  }
  const fonts = faces
    .filter((face) => needed.has(`${face.family} ${face.weight} ${face.style}`))
    .map((face) => {
      const data = fs.readFileSync(path.join(folder, face.file)).toString('base64');
      return `@font-face{font-family:${face.family};font-weight:${face.weight};font-style:${face.style};font-display:block;src:url(data:font/woff2;base64,${data}) format("woff2")}\n`;
    });
  return fonts.join('') + rules;
}

function usedClasses(body: string): Set<string> {
  const used = new Set<string>();
  for (const [, names] of body.matchAll(/ class="([^"]*)"/g)) {
    for (const name of names!.split(/\s+/)) used.add(name);
  }
  return used;
}

function classesOf(selector: string): string[] {
  // A class in :not(…) must be absent, so that it does not count.
  return [...selector.replace(/:not\([^)]*\)/g, '').matchAll(/\.([A-Za-z][\w-]*)/g)].map(
    (match) => match[1]!,
  );
}

function value(block: string, property: string): string {
  return new RegExp(`(?:^|[; ])${property}: ([^;]+)`).exec(block)?.[1]?.trim() ?? '';
}
