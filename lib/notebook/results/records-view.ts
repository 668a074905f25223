/** An array of alike objects as a table. */
import type { ShownBundle } from '../../plot/display';
import { formatCount } from '../../plot/format';
import { table, type TableCell } from '../../plot/table';
import { isPlainObject } from './plain';
import { shortText, valueText } from './value-text';

const mostRows = 60;
const mostColumns = 20;
const mostLetters = 80;

/**
 * The table that plain objects with mostly the same keys make; `undefined` for anything else, and where the text says more than
 * a table would: a single object, a single key, keys that few objects share, values too deep for a cell. The text form stays that
 * of any array.
 */
export function recordsView(value: unknown): ShownBundle | undefined {
  if (!Array.isArray(value) || value.length < 2) return undefined;
  // What is not shown is not looked at: an array may hold millions.
  const rows: unknown[] = Array.from(
    { length: Math.min(value.length, mostRows) },
    (_, i) => value[i] as unknown,
  );
  if (!rows.every(isPlainObject)) return undefined;
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const filled = rows.reduce((sum, row) => sum + Object.keys(row).length, 0);
  if (keys.length < 2 || filled < 0.6 * rows.length * keys.length) return undefined;
  const columns = keys.slice(0, mostColumns);
  const cells = rows.map((row) => columns.map((key) => cellOf(row, key)));
  const cut = cells.flat().filter((cell) => typeof cell === 'string' && cell.length >= mostLetters).length;
  if (cut > 0.25 * rows.length * columns.length) return undefined;
  const caption = captionOf(value.length, rows.length, keys.length, columns.length);
  const html = table(cells, { columns, ...(caption === '' ? {} : { caption }) }).html();
  return { bundle: { 'text/html': html, 'text/plain': valueText(value) }, metadata: {} };
}

function cellOf(row: Record<string, unknown>, key: string): TableCell {
  const property = Object.getOwnPropertyDescriptor(row, key);
  if (!property) return undefined;
  if (!('value' in property)) return '[getter]';
  const value: unknown = property.value;
  if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined)
    return value;
  if (typeof value === 'bigint') return String(value);
  return shortText(value, mostLetters);
}

function captionOf(rows: number, shownRows: number, columns: number, shownColumns: number): string {
  return [
    rows > shownRows ? `the first ${shownRows} of ${formatCount(rows)} rows` : '',
    columns > shownColumns ? `the first ${shownColumns} of ${formatCount(columns)} columns` : '',
  ]
    .filter(Boolean)
    .join(', ');
}
