/** Text tables: RFC 4180's CSV, with commas, semicolons or tabs. */

/** One record of a table. */
export interface CsvRecord {
  readonly cells: readonly string[];
  /** Where it begins, from 1. */
  readonly line: number;
}

/** A cell whose quotes do not close: the rest of the file would be one cell. */
export class CsvError extends Error {
  override readonly name: string = 'CsvError';

  constructor(
    readonly line: number,
    message: string,
  ) {
    super(message);
  }
}

/** The separator that the first lines speak for: the one that they hold most of, outside quotes. */
export function guessSeparator(text: string): string {
  const start = text
    .slice(0, 10_000)
    .split(/\r?\n/)
    .slice(0, 10)
    .join('\n')
    .replace(/"[^"]*"/g, '');
  const counts = [',', ';', '\t'].map((one) => [start.split(one).length, one] as const);
  return counts.reduce((best, one) => (one[0] > best[0] ? one : best))[1];
}

/**
 * Splits a table into records. Empty lines are left out, cells outside quotes are trimmed.
 * @throws CsvError with the line where quotes do not close.
 */
export function parseCsv(text: string, separator: string = guessSeparator(text)): CsvRecord[] {
  const records: CsvRecord[] = [];
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  let line = 1;
  while (at < text.length) {
    const cells: string[] = [];
    const begins = line;
    for (;;) {
      let cell: string;
      const space = /[ \t]*/y;
      space.lastIndex = at;
      const skipped = separator === '\t' ? 0 : (space.exec(text)?.[0].length ?? 0);
      if (text[at + skipped] === '"') {
        const end = closingQuote(text, at + skipped + 1);
        if (end < 0) throw new CsvError(line, 'a quote is opened here and never closed');
        const quoted = text.slice(at + skipped + 1, end);
        cell = quoted.replaceAll('""', '"');
        for (const c of quoted) if (c === '\n') line++;
        at = nextOf(text, end + 1, separator);
      } else {
        const end = nextOf(text, at, separator);
        cell = text.slice(at, end).trim();
        at = end;
      }
      cells.push(cell);
      if (text[at] !== separator) break;
      at++;
    }
    if (text[at] === '\r') at++;
    if (text[at] === '\n') at++;
    line++;
    if (cells.length > 1 || cells[0] !== '') records.push({ cells, line: begins });
  }
  return records;
}

/** Where a quoted cell ends; a doubled quote is one of its characters. */
function closingQuote(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 2)) {
    if (text[at + 1] !== '"') return at;
  }
  return -1;
}

/** Where the cell ends: at the next separator, the end of the line, or the end of the text. */
function nextOf(text: string, from: number, separator: string): number {
  let at = from;
  while (at < text.length && text[at] !== separator && text[at] !== '\n' && text[at] !== '\r') at++;
  return at;
}
