/** Heading ids that stay the same from run to run, and the table of contents made of them. */

/** A heading of the notebook: its contents are inline HTML. */
export interface Heading {
  level: number;
  id: string;
  html: string;
}

/** Hands out heading ids: readable, unique in a page, and never one that the page uses itself. */
export interface Slugger {
  next(text: string): string;
}

/** The id a heading's text asks for: lower case, letters and digits of any script, words joined by hyphens. */
export function slugOf(text: string): string {
  return (
    text
      .normalize('NFC')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, '-')
      .replace(/^-+|-+$/g, '') || 'section'
  );
}

export function createSlugger(): Slugger {
  const taken = new Set<string>(['top', 'contents', 'failure', 'lightbox']);
  return {
    next(text: string): string {
      const base = slugOf(text).replace(/^((?:cell|chart)-\d+(?:-spec)?)$/, 'section-$1');
      let id = base;
      for (let n = 2; taken.has(id); n++) id = `${base}-${n}`;
      taken.add(id);
      return id;
    },
  };
}

/** The list of contents, two levels deep, or the empty string for a page too short to need one. */
export function tocHtml(headings: readonly Heading[]): string {
  const shown = headings.filter((h) => h.level <= 3);
  if (shown.length < 2) return '';
  const top = Math.min(...shown.map((h) => h.level));
  const items = shown.filter((h) => h.level <= top + 1);
  let out = '<ol>';
  let inside = false;
  items.forEach((heading, i) => {
    const nested = heading.level > top;
    if (nested && !inside) {
      // A page may open with a lower heading: the list needs an item to hang it on.
      if (i === 0) out += '<li>';
      out += '<ol>';
    } else if (!nested && inside) out += '</ol></li>';
    else if (i > 0 && !nested) out += '</li>';
    inside = nested;
    // A link inside a link is not HTML.
    const label = heading.html.replace(/<\/?a\b[^>]*>/g, '');
    out += `<li><a href="#${heading.id}">${label}</a>${nested ? '</li>' : ''}`;
  });
  return `${out}${inside ? '</ol>' : ''}</li></ol>`;
}
