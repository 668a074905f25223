/** Formulae: the delimiters `$…$`, `$$…$$`, `\(…\)`, `\[…\]` and bare environments in Markdown, set by KaTeX. */
import type MarkdownIt from 'markdown-it';

/** One formula found in the text. */
export interface Formula {
  tex: string;
  display: boolean;
}

// Environments that stand in the text without delimiters, as Jupyter allows.
const environments =
  /^\\begin\{(align|alignat|aligned|equation|gather|gathered|multline|cases|eqnarray)(\*?)\}/;

/** Teaches a Markdown parser the delimiters. Formulae become `math` tokens; `content` is the TeX. */
export function mathPlugin(md: MarkdownIt): void {
  md.inline.ruler.before('escape', 'math', (state, silent) => {
    const found = inlineFormula(state.src, state.pos, state.posMax);
    if (!found) return false;
    if (!silent) {
      const token = state.push('math', 'math', 0);
      token.content = found.tex;
      token.meta = { display: found.display };
    }
    state.pos = found.end;
    return true;
  });
  md.block.ruler.before(
    'fence',
    'math_block',
    (state, startLine, endLine, silent) => {
      const first = state.src.slice(
        state.bMarks[startLine]! + state.tShift[startLine]!,
        state.eMarks[startLine],
      );
      if (state.sCount[startLine]! - state.blkIndent >= 4) return false;
      const environment = environments.exec(first);
      const open = first.startsWith('$$') ? '$$' : first.startsWith('\\[') ? '\\[' : environment?.[0];
      if (open === undefined) return false;
      const close =
        open === '$$' ? '$$' : open === '\\[' ? '\\]' : `\\end{${environment![1]}${environment![2]}}`;
      const lines: string[] = [];
      let line = startLine;
      let closed = false;
      for (; line < endLine && !closed; line++) {
        // A list item or quote that ends takes the formula with it.
        if (line > startLine && state.sCount[line]! < state.blkIndent && !state.isEmpty(line)) return false;
        let text = state.src.slice(state.bMarks[line]! + state.tShift[line]!, state.eMarks[line]);
        if (line === startLine) text = text.slice(open.length);
        else if (open === '$$' && text.trim() === '') return false;
        const end = text.indexOf(close);
        if (end >= 0) {
          // Text after the formula makes it part of a paragraph: the inline rule takes it.
          if (!/^\s*[.,;]?\s*$/.test(text.slice(end + close.length))) return false;
          text = text.slice(0, end);
          closed = true;
        }
        lines.push(text);
      }
      if (!closed) return false;
      if (silent) return true;
      const token = state.push('math', 'math', 0);
      token.block = true;
      token.content = environment ? `${open}${lines.join('\n')}${close}` : lines.join('\n');
      token.meta = { display: true };
      token.map = [startLine, line];
      state.line = line;
      return true;
    },
    { alt: ['paragraph', 'reference', 'blockquote', 'list'] },
  );
}

/** The formula that starts at `pos`, by the rules that keep prices and shell variables prose. */
function inlineFormula(src: string, pos: number, max: number): (Formula & { end: number }) | undefined {
  const pair = src.slice(pos, pos + 2);
  if (pair === '\\(' || pair === '\\[') {
    const end = src.indexOf(pair === '\\(' ? '\\)' : '\\]', pos + 2);
    if (end < 0 || end + 2 > max) return undefined;
    return formula(src.slice(pos + 2, end), pair === '\\[', end + 2);
  }
  if (src[pos] !== '$') return undefined;
  const open = pair === '$$' ? '$$' : '$';
  const start = pos + open.length;
  for (let i = start; i < max; i++) {
    const c = src[i];
    if (c === '\\') i++;
    else if (c === '`') return undefined;
    else if (c === '$') {
      if (open === '$$') {
        if (src[i + 1] !== '$') continue;
        return formula(src.slice(start, i), true, i + 2);
      }
      // As in Pandoc: no space inside the dollars, no digit after the second ("$5 and $10" is money).
      if (/\s/.test(src[start]!) || /\s/.test(src[i - 1]!) || /\d/.test(src[i + 1] ?? '')) return undefined;
      return formula(src.slice(start, i), false, i + 1);
    }
  }
  return undefined;
}

function formula(tex: string, display: boolean, end: number): (Formula & { end: number }) | undefined {
  return tex.trim() === '' ? undefined : { tex, display, end };
}

/** Sets formulae; macros defined by one (`\gdef`) hold for those after it. */
export type MathRenderer = (formula: Formula) => string;

/** A renderer with its own macros. What KaTeX cannot read is shown as written, marked, with the reason as its title. */
export async function createMathRenderer(): Promise<MathRenderer> {
  const katex = (await import('katex')).default;
  const macros = {};
  return ({ tex, display }) =>
    katex.renderToString(tex.trim(), {
      displayMode: display,
      macros,
      globalGroup: true,
      throwOnError: false,
      errorColor: 'var(--bad)',
      strict: 'ignore',
      trust: false,
      output: 'htmlAndMathml',
    });
}
