/** Tables that read well in a notebook, on a page and in a terminal. */
import { formatNumber } from './chart-spec';
import { displaySymbol, type MimeBundle, type Showable } from './display';
import { escapeHtml } from './format';

/** What a cell may hold; `null` and `undefined` are empty cells. */
export type TableCell = string | number | boolean | null | undefined;

/** Options of {@link table}. `columns`, `align` and `format` go by a row's keys, or by index for rows that are arrays. */
export interface TableOptions {
  /** Keys of the columns, in order; all keys in order of appearance unless told. For arrays: the column titles. */
  columns?: readonly string[];
  /** Titles other than the keys; write units here, such as "mAP (%)". */
  titles?: Readonly<Record<string, string>>;
  caption?: string;
  /** Numbers stand right and text left unless told. */
  align?: Readonly<Record<string, 'left' | 'right' | 'center'>>;
  /** Writes the cells of a column; numbers share their decimals unless told. */
  format?: Readonly<Record<string, (value: TableCell) => string>>;
}

/** A table, to show or to take as text. */
export interface Table extends Showable {
  html(): string;
  markdown(): string;
  /** Aligned plain text. */
  text(): string;
  [displaySymbol](): MimeBundle;
}

/** Letters up to which a cell stays on one line where another column is longer. */
const shortCell = 20;

interface Column {
  title: string;
  align: 'left' | 'right' | 'center';
  cells: string[];
}

/**
 * A table of rows, which are objects or arrays. Cells are text and are escaped. No rows give a table of its headings.
 * @throws when `columns` names a key that no row has, or an array has more cells than there are columns.
 */
export function table(
  rows: readonly (Readonly<Record<string, TableCell>> | readonly TableCell[])[],
  options: TableOptions = {},
): Table {
  const columns = toColumns(rows, options);
  return {
    html: () => toHtml(columns, rows.length, options.caption),
    markdown: () => toMarkdown(columns, rows.length, options.caption),
    text: () => toText(columns, rows.length, options.caption),
    [displaySymbol]() {
      return { 'text/html': this.html(), 'text/markdown': this.markdown(), 'text/plain': this.text() };
    },
  };
}

function toColumns(
  rows: readonly (Readonly<Record<string, TableCell>> | readonly TableCell[])[],
  options: TableOptions,
): Column[] {
  const arrays = rows.length > 0 && rows.every((row) => Array.isArray(row));
  const widest = rows.reduce((most, row) => Math.max(most, Array.isArray(row) ? row.length : 0), 0);
  const found = new Set(rows.flatMap((row) => (Array.isArray(row) ? [] : Object.keys(row))));
  const keys =
    options.columns ?? (arrays ? Array.from({ length: widest }, (_, i) => String(i + 1)) : [...found]);
  if (arrays && widest > keys.length) {
    throw new Error(
      `table: a row has ${widest} cells, but there are ${keys.length} columns (${keys.join(', ')})`,
    );
  }
  for (const key of keys) {
    if (!arrays && rows.length > 0 && !found.has(key)) {
      throw new Error(`table: no row has the column "${key}"; rows have ${[...found].join(', ')}`);
    }
  }
  return keys.map((key, index) => {
    const values = rows.map((row) =>
      Array.isArray(row) ? (row as readonly TableCell[])[index] : (row as Record<string, TableCell>)[key],
    );
    const filled = values.filter((value) => value !== null && value !== undefined && value !== '');
    const numeric = filled.length > 0 && filled.every((value) => typeof value === 'number');
    const write = options.format?.[key] ?? writer(filled);
    return {
      title: options.titles?.[key] ?? key,
      align: options.align?.[key] ?? (numeric ? 'right' : 'left'),
      cells: values.map(write),
    };
  });
}

/**
 * Numbers of a column get the decimals that the most exact of them needs at four digits: they can be compared by eye. Whole
 * numbers stay whole: counts and ids are read to the last digit.
 */
function writer(values: readonly TableCell[]): (value: TableCell) => string {
  const numbers = values.filter(
    (value): value is number => typeof value === 'number' && Number.isFinite(value),
  );
  if (numbers.every(Number.isSafeInteger))
    return (value) => (value === null || value === undefined ? '' : String(value));
  const texts = numbers.map(formatNumber);
  const decimals = texts.some((text) => text.includes('e'))
    ? undefined
    : Math.max(0, ...texts.map((text) => Math.min(4, (text.split('.')[1] ?? '').length)));
  return (value) => {
    if (value === null || value === undefined) return '';
    if (typeof value !== 'number') return String(value);
    if (!Number.isFinite(value) || decimals === undefined) return formatNumber(value);
    return value.toFixed(decimals);
  };
}

function toHtml(columns: readonly Column[], count: number, caption: string | undefined): string {
  // Colours and lines are the page's, light or dark. Beside a column of sentences, dates and names would be broken at every space.
  const longest = columns.map((column) => Math.max(0, ...column.cells.map((text) => text.length)));
  const crowded = longest.some((length) => length > shortCell);
  const style = columns.map(
    ({ align }, i) => `text-align:${align}${crowded && longest[i] <= shortCell ? ';white-space:nowrap' : ''}`,
  );
  const cell = (tag: 'td' | 'th', i: number, text: string): string =>
    `<${tag} style="${style[i]}">${escapeHtml(text)}</${tag}>`;
  const head = columns.map((column, i) => cell('th', i, column.title)).join('');
  const body = Array.from({ length: count }, (_, row) => {
    return `<tr>${columns.map((column, i) => cell('td', i, column.cells[row])).join('')}</tr>`;
  });
  // A short line does not break at the width of a narrow table.
  const wrap = caption !== undefined && caption.length <= 80 ? ';white-space:nowrap' : '';
  return [
    '<table>',
    ...(caption === undefined
      ? []
      : [`<caption style="text-align:left;caption-side:top${wrap}">${escapeHtml(caption)}</caption>`]),
    `<thead><tr>${head}</tr></thead>`,
    `<tbody>${body.join('')}</tbody>`,
    '</table>',
  ].join('\n');
}

function toMarkdown(columns: readonly Column[], count: number, caption: string | undefined): string {
  const escape = (text: string): string =>
    text.replace(/[\\|*_`<[]/g, (c) => `\\${c}`).replace(/\s*\r?\n\s*/g, ' ');
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = { left: ':--', right: '--:', center: ':-:' };
  return [
    ...(caption === undefined ? [] : [escape(caption), '']),
    line(columns.map((column) => escape(column.title))),
    line(columns.map((column) => rule[column.align])),
    ...Array.from({ length: count }, (_, i) => line(columns.map((column) => escape(column.cells[i])))),
  ].join('\n');
}

function toText(columns: readonly Column[], count: number, caption: string | undefined): string {
  const length = (text: string): number => [...text].length;
  const flat = (text: string): string => text.replace(/\s*\r?\n\s*/g, ' ');
  const widths = columns.map((column) =>
    Math.max(...[column.title, ...column.cells].map((text) => length(flat(text)))),
  );
  const pad = (text: string, i: number): string => {
    const room = widths[i] - length(flat(text));
    const before = { left: 0, right: room, center: Math.floor(room / 2) }[columns[i].align];
    return ' '.repeat(before) + flat(text) + ' '.repeat(room - before);
  };
  const line = (cells: readonly string[]): string => cells.map(pad).join('  ').trimEnd();
  return [
    ...(caption === undefined ? [] : [caption]),
    line(columns.map((column) => column.title)),
    widths.map((width) => '─'.repeat(width)).join('  '),
    ...Array.from({ length: count }, (_, i) => line(columns.map((column) => column.cells[i]))),
  ].join('\n');
}
