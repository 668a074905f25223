/** Errors as a notebook shows them: the cell's lines with the place marked, then the calls that led there. */
import path from 'node:path';
import { inspect } from 'node:util';
import type { Diagnostics } from './compiler';
import { cellNumber } from './scripts';
import type { SourceMaps, SourcePlace } from './source-maps';

/** Why a cell failed, in Jupyter's terms, and where. */
export interface CellError {
  ename: string;
  evalue: string;
  traceback: string[];
  /** Line and column in the failing cell's source, from 1, where known. */
  line?: number;
  column?: number;
  /** The text of that line. */
  sourceLine?: string;
}

interface Frame {
  call: string;
  place: SourcePlace;
}

/** A thrown value as a cell's error. `script` is the cell that failed: its own frame is the one that is marked. */
export function describeError(
  thrown: unknown,
  script: string,
  maps: SourceMaps,
  root: string,
  cwd: string,
): CellError {
  const isError =
    thrown instanceof Error || (typeof thrown === 'object' && thrown !== null && 'stack' in thrown);
  const error = (isError ? thrown : undefined) as (Error & { cause?: unknown; errors?: unknown }) | undefined;
  const ename = error ? String(error.name || error.constructor?.name || 'Error') : 'Error';
  const evalue = error
    ? String(error.message)
    : `a cell threw ${inspect(thrown, { depth: 2 })}, which is not an Error`;
  const frames = error ? readStack(String(error.stack ?? ''), maps, root, cwd) : [];
  const own = frames.find((f) => f.place.file === script) ?? frames.find((f) => f.place.cell);
  const lines = [`${ename}: ${evalue}`];
  if (own?.place.source !== undefined) {
    lines.push('', ...excerpt(own.place.source, own.place.line, own.place.column, cellTitle(own.place)));
  }
  if (frames.length > 1 || (frames.length === 1 && frames[0] !== own)) {
    lines.push('', ...callLines(frames));
  }
  lines.push(...causes(error));
  const place = own && own.place.file === script ? own.place : undefined;
  const sourceLine = place?.source?.split('\n')[place.line - 1]?.trim();
  return { ename, evalue, traceback: lines, line: place?.line, column: place?.column, sourceLine };
}

/** What the compiler says about a cell, as its error. */
export function describeDiagnostics(diagnostics: Diagnostics, number: number, source: string): CellError {
  const sourceLines = source.split('\n');
  const groups: { line: number; column: number; file?: string; code: number; messages: string[] }[] = [];
  for (const d of diagnostics) {
    // tslab appends a line to the cell: what is found there is missing at the cell's end.
    const beyond = !d.fileName && d.start.line + 1 > sourceLines.length;
    const line = beyond ? sourceLines.length : d.start.line + 1;
    const column = (beyond ? sourceLines[line - 1]!.trimEnd().length : d.start.character) + 1;
    const before = groups[groups.length - 1];
    // tslab flattens a message and its explanations into diagnostics at one place.
    if (before && before.line === line && before.column === column && !d.fileName) {
      before.messages.push(d.messageText);
    } else {
      groups.push({ line, column, file: d.fileName, code: d.code, messages: [d.messageText] });
    }
  }
  const lines: string[] = [];
  for (const g of groups.slice(0, 8)) {
    const title = `${g.file ?? `cell [${number}]`}, line ${g.line}:${g.column} - TS${g.code}: ${g.messages[0]}`;
    lines.push(
      ...(lines.length > 0 ? [''] : []),
      title,
      ...g.messages.slice(1).map((m, i) => `${'  '.repeat(i + 1)}${m}`),
    );
    if (!g.file) lines.push(...excerpt(source, g.line, g.column));
  }
  if (groups.length > 8) lines.push('', `… and ${groups.length - 8} more`);
  const first = groups[0]!;
  const own = first.file === undefined;
  const evalue = `${first.file ?? 'line'}${own ? ' ' : ':'}${first.line}:${first.column}: ${first.messages[0]} (TS${first.code})`;
  const ename = 'TypeScriptError';
  lines[0] = `${ename}: ${lines[0]}`;
  return {
    ename,
    evalue,
    traceback: lines,
    ...(own
      ? { line: first.line, column: first.column, sourceLine: source.split('\n')[first.line - 1]?.trim() }
      : {}),
  };
}

/** A cell that was stopped, at the place where it was if that is known. `frames` are V8's, innermost first. */
export function describeInterruption(
  number: number,
  script: string,
  frames: readonly StoppedFrame[],
  maps: SourceMaps,
): CellError {
  const ename = 'Interrupted';
  const evalue = 'the cell was interrupted';
  const traceback = [`Interrupted: cell [${number}] was stopped before it ended`];
  const own = frames.find((frame) => frame.file === script);
  const place = own && maps.find(own.file, own.line, own.column);
  if (!place?.source) return { ename, evalue, traceback };
  traceback.push('', ...excerpt(place.source, place.line, place.column, cellTitle(place)));
  return { ename, evalue, traceback, line: place.line, column: place.column };
}

/** A place in running code, lines and columns from 1. */
export interface StoppedFrame {
  file: string;
  line: number;
  column: number;
}

/** Lines of a source around one that is marked, with a caret under the column. */
export function excerpt(
  source: string,
  line: number,
  column: number,
  title?: string,
  around: number = 2,
): string[] {
  const all = source.split('\n');
  const from = Math.max(1, line - around);
  const to = Math.min(all.length, line + around);
  const width = String(to).length;
  const lines = title === undefined ? [] : [title];
  for (let n = from; n <= to; n++) {
    const { text, shift } = cutLine(all[n - 1]!, n === line ? column : 1);
    lines.push(`${n === line ? '->' : '  '} ${String(n).padStart(width)} | ${text}`.trimEnd());
    // Tabs stay tabs so that the caret stands under its character.
    if (n === line)
      lines.push(`   ${' '.repeat(width)} | ${text.slice(0, column - 1 - shift).replace(/[^\t]/g, ' ')}^`);
  }
  return lines;
}

const longestLine = 110;

/** A long line, cut so that it does not wrap, which would tear the mark from its column. */
function cutLine(text: string, column: number): { text: string; shift: number } {
  if (text.length <= longestLine) return { text, shift: 0 };
  const start = Math.max(0, Math.min(column - 1 - longestLine / 2, text.length - longestLine));
  const end = start + longestLine;
  const before = start > 0 ? '…' : '';
  const after = end < text.length ? '…' : '';
  return {
    text: before + text.slice(start + before.length, end - after.length) + after,
    shift: start,
  };
}

function cellTitle(place: SourcePlace): string {
  return `cell [${cellNumber(place.file)}], line ${place.line}`;
}

/** The calls, innermost first. What packages do inside is counted, since only where they were entered can be changed here. */
function callLines(frames: readonly Frame[]): string[] {
  const lines: string[] = [];
  for (let i = 0; i < frames.length && lines.length < 20; i++) {
    const isInside = (frame: Frame | undefined): boolean =>
      frame?.place.file.includes('node_modules/') ?? false;
    let end = i;
    while (isInside(frames[end]) && isInside(frames[end + 1])) end++;
    if (end - i > 1) {
      lines.push(`    … ${end - i} calls inside packages`);
      i = end;
    }
    lines.push(`    at ${frameText(frames[i]!)}`);
  }
  return lines;
}

function frameText({ call, place }: Frame): string {
  const number = cellNumber(place.file);
  const where = number
    ? `cell [${number}]:${place.line}:${place.column}`
    : `${place.file}:${place.line}:${place.column}`;
  return call ? `${call} (${where})` : where;
}

/** The frames that mean something to a notebook's author: no tslab, no kernel, none of Node's insides. */
function readStack(stack: string, maps: SourceMaps, root: string, cwd: string): Frame[] {
  const frames: Frame[] = [];
  for (const text of stack.split('\n')) {
    const found = /^\s+at (?:(.*?) \()?((?:file:\/\/)?[^()\s][^()]*?):(\d+):(\d+)\)?$/.exec(text);
    if (!found) continue;
    const file = found[2]!.replace(/^async /, '').replace(/^file:\/\//, '');
    const place = maps.find(file, Number(found[3]), Number(found[4]));
    if (/[/\\](tslab|@tslab)[/\\]/.test(file)) continue;
    if (place?.file.startsWith('lib/notebook/')) continue;
    if (!place && (file.startsWith('node:') || !path.isAbsolute(file))) continue;
    const plain = {
      file: shorten(file, root, cwd),
      line: Number(found[3]),
      column: Number(found[4]),
      cell: false,
    };
    const shown = place
      ? { ...place, file: place.cell ? place.file : shorten(place.file, root, cwd) }
      : plain;
    // The function that wraps a cell, and the object that holds its names, are not the author's.
    const call = (found[1] ?? '')
      .replace(/^(async )?(eval|Object\.<anonymous>)$/, '')
      .replace(/^(async )?Object\./, '$1');
    frames.push({ call, place: shown });
  }
  // What called the outermost cell is what runs cells.
  const outermost = frames.map((frame) => frame.place.cell).lastIndexOf(true);
  return outermost < 0 ? frames : frames.slice(0, outermost + 1);
}

function shorten(file: string, root: string, cwd: string): string {
  for (const folder of [cwd, root]) {
    const relative = path.relative(folder, file);
    if (path.isAbsolute(file) && !relative.startsWith('..') && !path.isAbsolute(relative))
      return relative.replace(/\\/g, '/');
  }
  return file;
}

function causes(error: { cause?: unknown; errors?: unknown } | undefined): string[] {
  const lines: string[] = [];
  const errors = error?.errors;
  if (Array.isArray(errors)) {
    for (const [i, one] of errors.slice(0, 5).entries()) lines.push('', `  [${i + 1}] ${brief(one)}`);
  }
  for (let cause = error?.cause, depth = 0; cause !== undefined && depth < 4; depth++) {
    lines.push('', `Caused by ${brief(cause)}`);
    cause = (cause as { cause?: unknown } | null)?.cause;
  }
  return lines;
}

function brief(value: unknown): string {
  return value instanceof Error
    ? `${value.name}: ${value.message}`
    : inspect(value, { depth: 1, breakLength: Infinity });
}
