/** What can be written at a position of a cell: names with their types, best first. */
import type * as TypeScript from '@tslab/typescript-for-tslab';
import type { ProgramView } from './compiler';
import { filesAt, isModuleName, type ModuleNames, moduleNames } from './module-names';
import { cellOf, clamp, entriesAt, type Entry, isOpen, type Language, stringAt } from './services';
import { kindOf, signatureOf, summaryOf } from './symbols';

/** One thing that can be written. */
export interface CompletionItem {
  text: string;
  /** What it is: `function`, `method`, `class`, `interface`, `property`, `const`, `let`, `keyword`, `module`, … */
  type: string;
  /** Its type, on one line. */
  signature?: string;
  /** The first paragraph of its doc comment. */
  documentation?: string;
}

/** Candidates for the text between two offsets of the code, in UTF-16 units. */
export interface Completion {
  items: CompletionItem[];
  start: number;
  end: number;
}

// Describing an item costs about 0.1 ms; nobody reads the types of hundreds.
const described = 100;

/** Completes a cell. @param position offset in the cell; one outside is moved to the cell's nearer end. */
export function complete(language: Language, code: string, position: number): Completion {
  const at = clamp(position, code.length);
  try {
    return inModuleName(language, code, at) ?? atPosition(language, language.look(code), at);
  } catch {
    // The language service fails on some unfinished code. That is no reason to bother somebody who types.
    return { items: [], start: at, end: at };
  }
}

/** A half-typed module's name is completed by the syntax alone: the compiler would look for that module. */
function inModuleName({ ts, cwd }: Language, code: string, at: number): Completion | undefined {
  const source = ts.createSourceFile('cell.ts', code, ts.ScriptTarget.Latest, true);
  const literal = stringAt(ts, source, at);
  if (!literal || !isModuleName(ts, literal)) return undefined;
  const { typed, start, end } = contentOf(literal, source, at);
  return fromModuleNames(moduleNames(typed, cwd), typed, start, end);
}

function fromModuleNames(found: ModuleNames, typed: string, start: number, end: number): Completion {
  const items = byMatch(found.names, typed.slice(found.from), ({ text }) => text);
  return { items, start: start + found.from, end };
}

function atPosition(language: Language, view: ProgramView, at: number): Completion {
  const literal = stringAt(view.ts, view.source, at + view.prefixLength);
  return literal ? inString(language, view, literal, at) : atName(view, at);
}

function atName(view: ProgramView, at: number): Completion {
  const cell = cellOf(view);
  const typed = /#?[\p{ID_Continue}$\u200c\u200d]*$/u.exec(cell.slice(0, at))![0];
  const rest = /^[\p{ID_Continue}$\u200c\u200d]*/u.exec(cell.slice(at))![0];
  // The digits of a number are no name.
  const entries = /^\d/.test(typed) ? [] : entriesAt(view, at);
  const span = { start: at - typed.length, end: at + rest.length };
  // `maybe.` on a value that can be undefined: what is written begins with `?.`, where the dot is.
  const optional = entries.filter((entry) => entry.insertText?.startsWith('?.'));
  const dot = optional[0]?.replacementSpan?.start;
  if (dot === undefined) {
    const plain = entries.filter((entry) => entry.insertText === undefined && !isHidden(entry));
    return { items: itemsOf(view, ranked(view, plain, typed)), ...span };
  }
  const items = itemsOf(view, ranked(view, optional, typed), (entry) => entry.insertText!);
  return { items, start: dot - view.prefixLength, end: span.end };
}

function inString(
  { cwd }: Language,
  view: ProgramView,
  literal: TypeScript.StringLiteralLike,
  at: number,
): Completion {
  const { typed, ...content } = contentOf(literal, view.source, at + view.prefixLength);
  const start = content.start - view.prefixLength;
  const end = content.end - view.prefixLength;
  const entries = entriesAt(view, at);
  if (entries.length > 0) return { items: itemsOf(view, ranked(view, entries, typed)), start, end };
  const found: ModuleNames = /^\.{0,2}\//.test(typed) ? filesAt(typed, cwd, false) : { names: [], from: 0 };
  return fromModuleNames(found, typed, start, end);
}

function contentOf(
  literal: TypeScript.StringLiteralLike,
  source: TypeScript.SourceFile,
  offset: number,
): { typed: string; start: number; end: number } {
  const start = literal.getStart(source) + 1;
  // What follows an unclosed string on its line is not part of it.
  return { typed: source.text.slice(start, offset), start, end: isOpen(literal) ? offset : literal.end - 1 };
}

// Names that types of Node declare for every file, but that a cell, which is not a file, does not have.
const absent: ReadonlySet<string> = new Set(['exports', 'module', '__filename', '__dirname']);

function isHidden({ name, symbol }: Entry): boolean {
  const declarations = symbol?.declarations ?? [];
  return absent.has(name) && declarations.every((d) => d.getSourceFile().fileName.includes('/@types/node/'));
}

/** The entries that match what is typed, best first. */
function ranked(view: ProgramView, entries: readonly Entry[], typed: string): Entry[] {
  const keys = new Map(entries.map((entry) => [entry, sortKey(view, entry)]));
  const sorted = [...entries].sort((a, b) => compare(keys.get(a)!, keys.get(b)!));
  return byMatch(sorted, typed, (entry) => entry.name);
}

/** TypeScript's order, but for two groups: what earlier cells declared, and what every object has. */
function sortKey({ source, program }: ProgramView, { name, sortText, symbol }: Entry): string {
  const files = symbol?.declarations?.map((declaration) => declaration.getSourceFile()) ?? [];
  let group: string = sortText;
  // To TypeScript a name of an earlier cell is a global one.
  if (files.some((file) => file === source.parent)) group = '11';
  else if (sortText === '11' && files.some((file) => program.isSourceFileDefaultLibrary(file))) group = '12';
  return [group, name.startsWith('_') ? '1' : '0', name.toLowerCase(), name].join('\0');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Keeps what contains the typed text: first what starts with it, then regardless of case, then the rest. */
function byMatch<T>(candidates: readonly T[], typed: string, nameOf: (candidate: T) => string): T[] {
  const groups: [T[], T[], T[]] = [[], [], []];
  const lower = typed.toLowerCase();
  for (const candidate of candidates) {
    const name = nameOf(candidate).replace(/^'/, '');
    const place = name.toLowerCase().indexOf(lower);
    if (place >= 0) groups[name.startsWith(typed) ? 0 : place === 0 ? 1 : 2].push(candidate);
  }
  return groups.flat();
}

function itemsOf(
  view: ProgramView,
  entries: readonly Entry[],
  textOf: (entry: Entry) => string = (entry) => entry.name,
): CompletionItem[] {
  return entries.map((entry, index) => {
    const item: CompletionItem = { text: textOf(entry), type: kindOf(view, entry) };
    if (index >= described || !entry.symbol) return item;
    const signature = signatureOf(view, entry.symbol);
    const documentation = summaryOf(view, entry.symbol);
    return { ...item, ...(signature && { signature }), ...(documentation && { documentation }) };
  });
}
