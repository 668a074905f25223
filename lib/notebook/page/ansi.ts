/** Terminal text as HTML: colours and weights become spans, and what a terminal would have overwritten is gone. */
import { escapeHtml } from './html';

interface Style {
  fg?: string;
  bg?: string;
  bold?: boolean;
  dim?: boolean;
  italic?: boolean;
  underline?: boolean;
  inverse?: boolean;
}

// CSI sequences (colours, cursor moves), OSC sequences (titles, links), and two-character escapes.

const escapes =
  /\u001b\[([0-9;:?]*)([ -/]*[@-~])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[@-Z\\-_]/g;

const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;

/** Terminal text without any escape sequence, for places that have no room for colour. */
export function stripAnsi(text: string): string {
  return text.replace(escapes, '').replace(control, '');
}

/** Terminal text as HTML. The sixteen named colours become classes, so that a theme can choose them. */
export function ansiToHtml(text: string): string {
  let out = '';
  let style: Style = {};
  let at = 0;
  const plain = foldOverwrites(text);
  const put = (part: string): void => {
    if (part !== '') out += span(escapeHtml(part.replace(control, '')), style);
  };
  escapes.lastIndex = 0;
  for (let match; (match = escapes.exec(plain));) {
    put(plain.slice(at, match.index));
    at = escapes.lastIndex;
    if (match[2] === 'm') style = applyCodes(style, match[1]!);
  }
  put(plain.slice(at));
  return out;
}

/** A carriage return starts the line again (progress bars): only what stayed on the screen is kept. */
function foldOverwrites(text: string): string {
  if (!/[\r\b]/.test(text)) return text;
  return text
    .replace(/\r+\n/g, '\n')
    .split('\n')
    .map((line) => {
      const last = line.replace(/\r+$/, '').lastIndexOf('\r');
      let kept = last < 0 ? line.replace(/\r+$/, '') : line.slice(last + 1).replace(/\r+$/, '');
      // Colours that were set before the return are still on after it.
      if (last >= 0) kept = (line.slice(0, last).match(escapes) ?? []).join('') + kept;
      for (let before; before !== kept;) {
        before = kept;
        kept = kept.replace(/[^\b]\u0008/g, '');
      }
      return kept;
    })
    .join('\n');
}

function applyCodes(before: Style, codes: string): Style {
  let style: Style = { ...before };
  const list = codes === '' ? [0] : codes.split(/[;:]/).map(Number);
  for (let i = 0; i < list.length; i++) {
    const code = list[i]!;
    if (code === 0) style = {};
    else if (code === 1) style.bold = true;
    else if (code === 2) style.dim = true;
    else if (code === 3) style.italic = true;
    else if (code === 4) style.underline = true;
    else if (code === 7) style.inverse = true;
    else if (code === 22) style.bold = style.dim = false;
    else if (code === 23) style.italic = false;
    else if (code === 24) style.underline = false;
    else if (code === 27) style.inverse = false;
    else if (code === 39) delete style.fg;
    else if (code === 49) delete style.bg;
    else if (code >= 30 && code <= 37) style.fg = String(code - 30);
    else if (code >= 40 && code <= 47) style.bg = String(code - 40);
    else if (code >= 90 && code <= 97) style.fg = String(code - 82);
    else if (code >= 100 && code <= 107) style.bg = String(code - 92);
    else if (code === 38 || code === 48) {
      const [colour, used] = extendedColour(list.slice(i + 1));
      i += used;
      if (colour !== undefined) style[code === 38 ? 'fg' : 'bg'] = colour;
    }
  }
  return style;
}

/** The colour after a 38 or 48: `5;n` of the 256-colour table or `2;r;g;b`; and how many codes it took. */
function extendedColour(rest: number[]): [string | undefined, number] {
  if (rest[0] === 2) return [`rgb(${rest.slice(1, 4).map(byte).join(',')})`, 4];
  if (rest[0] !== 5) return [undefined, 0];
  const n = byte(rest[1] ?? 0);
  if (n < 16) return [String(n), 2];
  if (n >= 232)
    return [
      `rgb(${Array(3)
        .fill(8 + (n - 232) * 10)
        .join(',')})`,
      2,
    ];
  const level = (v: number): number => (v === 0 ? 0 : 55 + v * 40);
  const cube = n - 16;
  return [`rgb(${level(Math.floor(cube / 36))},${level(Math.floor(cube / 6) % 6)},${level(cube % 6)})`, 2];
}

function byte(n: number): number {
  return Number.isFinite(n) ? Math.min(255, Math.max(0, Math.round(n))) : 0;
}

function span(html: string, style: Style): string {
  const classes: string[] = [];
  const css: string[] = [];
  const colour = (value: string | undefined, kind: 'fg' | 'bg'): void => {
    if (value === undefined) return;
    if (value.startsWith('rgb')) css.push(`${kind === 'fg' ? 'color' : 'background-color'}:${value}`);
    else classes.push(`ansi-${kind}-${value}`);
  };
  colour(style.inverse ? style.bg : style.fg, 'fg');
  colour(style.inverse ? style.fg : style.bg, 'bg');
  if (style.inverse && style.fg === undefined && style.bg === undefined) classes.push('ansi-inverse');
  if (style.bold) classes.push('ansi-bold');
  if (style.dim) classes.push('ansi-dim');
  if (style.italic) classes.push('ansi-italic');
  if (style.underline) classes.push('ansi-underline');
  if (classes.length === 0 && css.length === 0) return html;
  const classAttribute = classes.length > 0 ? ` class="${classes.join(' ')}"` : '';
  return `<span${classAttribute}${css.length > 0 ? ` style="${css.join(';')}"` : ''}>${html}</span>`;
}
