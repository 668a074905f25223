/** Reads a table of boxes: one box a line. */
import { isUtf8 } from 'node:buffer';
import fs from 'node:fs/promises';
import type { BoxFields, BoxFormat } from './box-fields';
import { findBoxFields, noBoxFields } from './box-fields';
import { type BoxesDataset, type BoxRow, datasetOfRows, type ReadBoxesOptions } from './box-rows';
import { type CsvRecord, guessSeparator, parseCsv } from './csv';
import { decodeText, EncodingError, reasonOf } from './files';
import { createDatasetProblems, type DatasetProblemList } from './problems';

/** Options of `readBoxCsv`. */
export interface ReadBoxCsvOptions extends ReadBoxesOptions {
  /** Names of the columns, for a table without a first line that names them. */
  columns?: readonly string[];
}

/** More would not fit into one string. */
const mostBytes = 400_000_000;

/**
 * Reads a CSV file (commas, semicolons or tabs) with a box a line. The first line names the columns, in any order, by the
 * names that are usual for them: the image (`filename`, `image`, `path`, `image_id`, ...), the class (`class`, `label`, `name`, ...;
 * none means one class, `object`), the box as two corners (`xmin, ymin, xmax, ymax`; `x1, y1, x2, y2`; `left, top, right, bottom`), as
 * corner and size (`x, y, width, height`), as centre and size (`cx, cy, w, h`; `x_center, ...`) or in one column (`bbox`), and, if
 * given, `split`, `difficult`, `truncated`, `iscrowd` and the image's `width` and `height`. A table without such a line is taken as
 * `path, x1, y1, x2, y2, class`. A line with an empty box is an image without objects. Pixels count from 0 and are continuous.
 * @throws DatasetError with everything that is wrong, by line, unless `invalid` lets it pass. Other errors, which name the way out: a
 *   file that can't be read, columns that make no box.
 */
export async function readBoxCsv(file: string, options: ReadBoxCsvOptions = {}): Promise<BoxesDataset> {
  const found = createDatasetProblems(options.invalid);
  let records: CsvRecord[];
  try {
    const text = await readLines(file, options.encoding, found);
    records = parseCsv(text, guessSeparator(text));
  } catch (error) {
    const line = error instanceof Error && 'line' in error ? `:${String(error.line)}` : '';
    throw new Error(`Can't read the table ${file}${line}: ${reasonOf(error)}`, { cause: error });
  }
  const { names, rows: body } = header(file, records, options.columns);
  const fields = findBoxFields(names);
  if (fields === undefined) throw new Error(`${file} is no table of boxes: ${noBoxFields(names)}.`);
  if (fields.image === undefined)
    throw new Error(`${file} has no column that names the image: ${noBoxFields(names)}.`);
  const places = new Map(names.map((name, index) => [name, index]));
  const rows: BoxRow[] = [];
  body.forEach((record, index) => {
    const row = rowOf(record, index, names.length, fields, places);
    if (row.image !== '') return rows.push(row);
    const { line } = record;
    const problem = 'the line names no image';
    found.report({ kind: 'broken-annotation', file, line, object: index, problem, action: 'dropped' });
  });
  return datasetOfRows(file, rows, fields.format, found, options);
}

/** Whether a file's first line names the columns of a table of boxes. */
export function isBoxTable(firstLines: string): boolean {
  const [first] = parseCsvStart(firstLines);
  if (first === undefined) return false;
  const fields = findBoxFields(first.cells);
  return fields?.image !== undefined || isBare(first.cells);
}

function parseCsvStart(text: string): CsvRecord[] {
  const [line] = text.split(/\r?\n/);
  try {
    return parseCsv(line, guessSeparator(text));
  } catch {
    return [];
  }
}

/** `path, x1, y1, x2, y2` and perhaps a class, where they may be empty. */
function isBare(cells: readonly string[]): boolean {
  const numbers = cells.slice(1, 5);
  const numeric = numbers.every((cell) => cell !== '' && Number.isFinite(Number(cell)));
  const empty = numbers.every((cell) => cell === '');
  const file = /\.(jpe?g|png)$/i.test(cells[0] ?? '');
  return (cells.length === 5 || cells.length === 6) && file && (numeric || empty);
}

function header(
  file: string,
  records: readonly CsvRecord[],
  columns: readonly string[] | undefined,
): { names: readonly string[]; rows: readonly CsvRecord[] } {
  if (columns) return { names: columns, rows: records };
  const [first] = records;
  if (first === undefined) throw new Error(`${file} is empty: it should hold a box a line.`);
  if (!isBare(first.cells)) return { names: first.cells, rows: records.slice(1) };
  return { names: ['path', 'x1', 'y1', 'x2', 'y2', 'class'].slice(0, first.cells.length), rows: records };
}

function rowOf(
  { cells, line }: CsvRecord,
  index: number,
  columns: number,
  fields: BoxFields,
  places: ReadonlyMap<string, number>,
): BoxRow {
  const cell = (name: string | undefined): string =>
    name === undefined ? '' : (cells[places.get(name) as number] ?? '');
  const number = (name: string | undefined): number | undefined =>
    cell(name) === '' ? undefined : Number(cell(name));
  const flag = (name: string | undefined): boolean | undefined =>
    name === undefined ? undefined : /^(1|1\.0|true|yes)$/i.test(cell(name));
  const texts =
    fields.box.length === 4
      ? fields.box.map(cell)
      : cell(fields.box[0])
          .replace(/[[\](){}]/g, ' ')
          .split(/[\s,;]+/)
          .filter((text) => text !== '');
  const empty = texts.every((text) => text === '');
  const bad = empty
    ? undefined
    : texts.length !== 4
      ? texts.join(' ')
      : texts.find((text) => text === '' || badNumber(text));
  const problems = [
    cells.length > columns ? `the line has ${cells.length} cells, the table ${columns}` : '',
    bad === undefined ? '' : `the box is [${texts.join(', ')}], not four numbers`,
    !empty && fields.class !== undefined && cell(fields.class) === '' ? 'the line names no class' : '',
  ].filter((text) => text !== '');
  const box =
    empty || bad !== undefined ? undefined : (texts.map(Number) as [number, number, number, number]);
  return {
    image: cell(fields.image),
    box,
    class: cell(fields.class) || undefined,
    width: number(fields.width),
    height: number(fields.height),
    split: cell(fields.split) || undefined,
    difficult: flag(fields.difficult),
    truncated: flag(fields.truncated),
    crowd: flag(fields.crowd),
    line,
    index,
    broken: problems.length > 0 ? problems.join(', ') : undefined,
  };
}

/** No number at all; NaN and infinite ones are, and are told as such. */
function badNumber(text: string): boolean {
  return Number.isNaN(Number(text)) && !/^[+-]?(nan|inf(inity)?)$/i.test(text);
}

/** The file's text; lines in another encoding are reported and left empty. */
async function readLines(
  file: string,
  encoding: string | undefined,
  found: DatasetProblemList,
): Promise<string> {
  const { size } = await fs.stat(file);
  if (size > mostBytes)
    throw new Error(`it has ${size} bytes, more than the ${mostBytes} that are read at once; divide it`);
  const bytes = await fs.readFile(file);
  try {
    return decodeText(bytes, encoding);
  } catch (error) {
    if (!(error instanceof EncodingError) || encoding !== undefined) throw error;
  }
  const lines: string[] = [];
  for (let from = 0; from < bytes.length;) {
    const newline = bytes.indexOf(10, from);
    const to = newline < 0 ? bytes.length : newline;
    const line = bytes.subarray(from, to);
    if (isUtf8(line)) lines.push(line.toString());
    else {
      lines.push('');
      const problem =
        "the line is not UTF-8 text; save the file as UTF-8, or name its encoding ('windows-1252')";
      found.report({ kind: 'encoding', file, line: lines.length, object: -1, problem, action: 'dropped' });
    }
    from = to + 1;
  }
  return lines.join('\n');
}

export type { BoxFormat };
