/** An error's lines in the colours that front ends give to terminal codes: what happened, and where, stand out. */

const red = '\u001b[31m';
const bold = '\u001b[1m';
const plain = '\u001b[0m';

/** The lines of an error as they are sent. Text that is searched for (a name and its message) stays in one piece. */
export function paintTraceback(lines: readonly string[]): string[] {
  return lines.map((line, i) => {
    if (i === 0) return `${bold}${red}${line}${plain}`;
    if (/^-> +\d+ \|/.test(line)) return `${bold}${line}${plain}`;
    if (/^ +\|\s*\^$/.test(line)) return `${red}${line}${plain}`;
    return line;
  });
}
