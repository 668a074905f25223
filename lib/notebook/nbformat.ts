/**
 * Notebook files, format 4.5: types, reading with errors that name file and position, writing exactly as Jupyter does
 * (so that a notebook saved here and one saved in JupyterLab differ only where their contents do).
 *
 * In memory every text is one string; the file's lists of lines exist only in the file.
 */
import fs from 'node:fs';
import path from 'node:path';
import { findJsonProblem } from './json-position';

/** What a cell printed. */
export interface StreamOutput {
  output_type: 'stream';
  name: 'stdout' | 'stderr';
  text: string;
}

/** What a cell showed: one output in several forms, keyed by MIME type. */
export interface DisplayDataOutput {
  output_type: 'display_data';
  data: Record<string, unknown>;
  metadata: Record<string, unknown>;
}

/** The value of a cell's last expression. */
export interface ExecuteResultOutput {
  output_type: 'execute_result';
  execution_count: number | null;
  data: Record<string, unknown>;
  metadata: Record<string, unknown>;
}

/** Why a cell stopped. */
export interface ErrorOutput {
  output_type: 'error';
  ename: string;
  evalue: string;
  traceback: string[];
}

export type Output = StreamOutput | DisplayDataOutput | ExecuteResultOutput | ErrorOutput;

export interface CodeCell {
  cell_type: 'code';
  id: string;
  metadata: Record<string, unknown>;
  source: string;
  execution_count: number | null;
  outputs: Output[];
}

export interface MarkdownCell {
  cell_type: 'markdown';
  id: string;
  metadata: Record<string, unknown>;
  source: string;
  attachments?: Record<string, Record<string, unknown>>;
}

export interface RawCell {
  cell_type: 'raw';
  id: string;
  metadata: Record<string, unknown>;
  source: string;
  attachments?: Record<string, Record<string, unknown>>;
}

export type Cell = CodeCell | MarkdownCell | RawCell;

export interface NotebookMetadata {
  kernelspec?: { name: string; display_name: string; language?: string };
  language_info?: { name: string } & Record<string, unknown>;
  [key: string]: unknown;
}

export interface NotebookDocument {
  cells: Cell[];
  metadata: NotebookMetadata;
  nbformat: 4;
  nbformat_minor: number;
}

/** The kernel that this project's notebooks name. */
export const kernelspec: { name: string; display_name: string; language: string } = {
  display_name: 'TypeScript (detlab)',
  language: 'typescript',
  name: 'detlab',
};

/** What a notebook says about its language: enough for highlighting and for exporting a script. */
export const languageInfo: { name: string } & Record<string, unknown> = {
  // By name: JupyterLab takes an object that says `javascript` with an option for plain JavaScript.
  codemirror_mode: 'typescript',
  file_extension: '.ts',
  mimetype: 'text/typescript',
  name: 'typescript',
  pygments_lexer: 'typescript',
  version: '5.0.4',
};

/** A file that is not a notebook, or not one that can be read. The message names the file and the place in it. */
export class NotebookFormatError extends Error {
  override readonly name: string = 'NotebookFormatError';
}

/** A notebook of this project's kernel. Cell ids that are left out are numbered, so that the same input gives the same file. */
export function newNotebook(cells: readonly (Cell | CellInput)[] = []): NotebookDocument {
  return {
    cells: cells.map((cell, i) => newCell(cell, i + 1)),
    metadata: { kernelspec: { ...kernelspec }, language_info: structuredClone(languageInfo) },
    nbformat: 4,
    nbformat_minor: 5,
  };
}

/** The little that a new cell needs. */
export interface CellInput {
  cell_type: 'code' | 'markdown' | 'raw';
  source: string;
  id?: string;
  metadata?: Record<string, unknown>;
}

function newCell(input: Cell | CellInput, number: number): Cell {
  const base = { id: `cell-${number}`, metadata: {}, ...input };
  if (base.cell_type === 'code') return { execution_count: null, outputs: [], ...base } as CodeCell;
  return base as MarkdownCell | RawCell;
}

/** Reads and checks a notebook file. Throws NotebookFormatError (not a notebook) or the file system's error. */
export function readNotebook(file: string): NotebookDocument {
  return parseNotebook(fs.readFileSync(file, 'utf8'), file);
}

/** Reads a notebook from its text; `file` is what errors call it. Formats 4.0 to 4.4 get the cell ids they lack. */
export function parseNotebook(text: string, file: string): NotebookDocument {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    const found = findJsonProblem(text);
    if (!found) throw new NotebookFormatError(`${file}: not valid JSON: ${(error as Error).message}`);
    throw new NotebookFormatError(`${file}:${found.line}:${found.column}: not valid JSON: ${found.message}`);
  }
  if (!isRecord(json) || !('nbformat' in json) || !('cells' in json || 'worksheets' in json)) {
    throw new NotebookFormatError(`${file}: JSON, but not a notebook: it has no "nbformat" and "cells"`);
  }
  if (json.nbformat !== 4) {
    throw new NotebookFormatError(
      `${file}: notebook format ${String(json.nbformat)}; only format 4 can be read. Opening and saving it in JupyterLab converts it.`,
    );
  }
  if (!Array.isArray(json.cells)) throw new NotebookFormatError(`${file}: "cells" is not a list`);
  const ids = new Set<string>();
  const cells = json.cells.map((cell, i) => readCell(cell, i + 1, ids, file));
  return {
    cells,
    metadata: isRecord(json.metadata) ? json.metadata : {},
    nbformat: 4,
    nbformat_minor: Math.max(5, typeof json.nbformat_minor === 'number' ? json.nbformat_minor : 0),
  };
}

function readCell(raw: unknown, number: number, ids: Set<string>, file: string): Cell {
  const where = `${file}: cell ${number}`;
  if (!isRecord(raw)) throw new NotebookFormatError(`${where} is not an object`);
  const source = joinLines(raw.source);
  if (source === undefined)
    throw new NotebookFormatError(`${where}: "source" is neither a string nor a list of strings`);
  if (raw.id !== undefined && (typeof raw.id !== 'string' || !/^[\w-]{1,64}$/.test(raw.id))) {
    throw new NotebookFormatError(
      `${where}: the id ${JSON.stringify(raw.id)} is not 1 to 64 letters, digits, "-" or "_"`,
    );
  }
  let id = raw.id as string | undefined;
  if (id === undefined) for (let n = number; ids.has((id = `cell-${n}`)); n++);
  if (ids.has(id!)) throw new NotebookFormatError(`${where}: the id "${id}" is used by an earlier cell`);
  ids.add(id!);
  const metadata = isRecord(raw.metadata) ? raw.metadata : {};
  if (raw.cell_type === 'code') {
    const count = raw.execution_count ?? null;
    if (count !== null && typeof count !== 'number') {
      throw new NotebookFormatError(
        `${where}: "execution_count" is ${JSON.stringify(count)}, not a number or null`,
      );
    }
    const outputs = (Array.isArray(raw.outputs) ? raw.outputs : []).map((o, i) =>
      readOutput(o, `${where}, output ${i + 1}`),
    );
    return { cell_type: 'code', id: id!, metadata, source, execution_count: count, outputs };
  }
  if (raw.cell_type === 'markdown' || raw.cell_type === 'raw') {
    const attachments = isRecord(raw.attachments)
      ? { attachments: raw.attachments as Record<string, Record<string, unknown>> }
      : {};
    return { cell_type: raw.cell_type, id: id!, metadata, source, ...attachments };
  }
  throw new NotebookFormatError(
    `${where}: cell_type ${JSON.stringify(raw.cell_type)} is not "code", "markdown" or "raw"`,
  );
}

function readOutput(raw: unknown, where: string): Output {
  if (isRecord(raw)) {
    const metadata = isRecord(raw.metadata) ? raw.metadata : {};
    const text = joinLines(raw.text);
    switch (raw.output_type) {
      case 'stream':
        if ((raw.name === 'stdout' || raw.name === 'stderr') && text !== undefined) {
          return { output_type: 'stream', name: raw.name, text };
        }
        break;
      case 'display_data':
        if (isRecord(raw.data)) return { output_type: 'display_data', data: joinBundle(raw.data), metadata };
        break;
      case 'execute_result': {
        const execution_count = typeof raw.execution_count === 'number' ? raw.execution_count : null;
        if (isRecord(raw.data)) {
          return { output_type: 'execute_result', data: joinBundle(raw.data), metadata, execution_count };
        }
        break;
      }
      case 'error': {
        const traceback = Array.isArray(raw.traceback) ? raw.traceback.map(String) : [];
        return { output_type: 'error', ename: String(raw.ename), evalue: String(raw.evalue), traceback };
      }
    }
  }
  const type = isRecord(raw) ? JSON.stringify(raw.output_type) : typeof raw;
  throw new NotebookFormatError(`${where}: not an output of format 4 (${type})`);
}

/** The file's text: sorted keys, one space of indent, lists of lines, a newline at the end, as Jupyter writes it. */
export function formatNotebook(notebook: NotebookDocument): string {
  const file = { ...notebook, cells: notebook.cells.map(fileCell) };
  return `${JSON.stringify(sortKeys(file), null, 1)}\n`;
}

/** Writes a notebook whole or not at all: a full disk leaves the earlier file as it was. */
export function writeNotebook(file: string, notebook: NotebookDocument): void {
  const partial = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.tmp`);
  try {
    fs.writeFileSync(partial, formatNotebook(notebook));
    fs.renameSync(partial, file);
  } catch (error) {
    fs.rmSync(partial, { force: true });
    throw error;
  }
}

/** The notebook's first heading, without its marks, or `undefined`. */
export function notebookTitle(notebook: NotebookDocument): string | undefined {
  for (const cell of notebook.cells) {
    if (cell.cell_type !== 'markdown') continue;
    const heading = /^#{1,6}\s+(.+?)\s*#*$/m.exec(cell.source);
    if (heading) return heading[1]!.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[*`]/g, '');
  }
  return undefined;
}

function fileCell(cell: Cell): Record<string, unknown> {
  const source = splitLines(cell.source);
  if (cell.cell_type !== 'code') return { ...cell, source };
  const outputs = cell.outputs.map((output) => {
    if (output.output_type === 'stream') return { ...output, text: splitLines(output.text) };
    if (output.output_type === 'error') return output;
    return { ...output, data: splitBundle(output.data) };
  });
  return { ...cell, source, outputs };
}

// Jupyter's rule for which forms are stored as lists of lines.
function isSplit(mime: string): boolean {
  return mime.startsWith('text/') || mime === 'image/svg+xml' || mime === 'application/javascript';
}

function isJson(mime: string): boolean {
  return mime === 'application/json' || mime.endsWith('+json');
}

function splitBundle(data: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(data).map(([mime, v]) => [
      mime,
      typeof v === 'string' && isSplit(mime) ? splitLines(v) : v,
    ]),
  );
}

function joinBundle(data: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(data).map(([mime, v]) => [mime, isJson(mime) ? v : (joinLines(v) ?? v)]),
  );
}

function splitLines(text: string): string[] {
  return text === '' ? [] : text.split(/(?<=\n)/);
}

function joinLines(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((line) => typeof line === 'string')) return value.join('');
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sortKeys(value[key])]),
  );
}
