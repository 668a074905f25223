/** What every notebook of the project keeps to, so that it opens, reads and diffs well everywhere. */
import fs from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type CodeCell, formatNotebook, kernelspec, type NotebookDocument, type Output } from '../nbformat';

export interface LintOptions {
  /** Largest size of the file in bytes (4 MB). */
  maxBytes?: number;
  /** The notebook's folder, where links and pictures that are relative to it must exist. */
  directory?: string;
}

/** What is wrong with a notebook's structure, a line each; empty for a good one. Cells are counted from 1, all of them. */
export function lintNotebook(notebook: NotebookDocument, options: LintOptions = {}): string[] {
  return [
    ...lintMetadata(notebook),
    ...lintHeadings(notebook),
    ...lintCells(notebook),
    ...lintOutputs(notebook),
    ...lintLinks(notebook, options.directory),
    ...lintSize(notebook, options.maxBytes ?? 4_000_000),
  ];
}

/** What is wrong with the outputs alone: errors, complaints on stderr, execution counts, paths of one machine. */
export function lintOutputs(notebook: NotebookDocument): string[] {
  const problems: string[] = [];
  const codeCells = notebook.cells.filter((cell): cell is CodeCell => cell.cell_type === 'code');
  const counts = codeCells.map((cell) => cell.execution_count);
  const inOrder = counts.every((count, i) => count === i + 1);
  if (!inOrder && !counts.every((count) => count === null)) {
    problems.push(
      `execution counts are ${counts.join(', ')}: run all cells in order (npm start -- … --save), or clear all outputs`,
    );
  }
  notebook.cells.forEach((cell, i) => {
    if (cell.cell_type !== 'code') return;
    const tags = Array.isArray(cell.metadata.tags) ? cell.metadata.tags : [];
    for (const output of cell.outputs) {
      if (output.output_type === 'error' && !tags.includes('raises-exception')) {
        problems.push(`cell ${i + 1} holds an error: ${output.ename}: ${output.evalue}`);
      }
      if (output.output_type === 'stream' && output.name === 'stderr') {
        problems.push(`cell ${i + 1} printed to stderr: ${output.text.trim().split('\n')[0]}`);
      }
      const found = absolutePath(outputText(output));
      if (found) problems.push(`cell ${i + 1} shows a path of one machine: ${found}`);
    }
  });
  return problems;
}

function lintMetadata(notebook: NotebookDocument): string[] {
  const problems: string[] = [];
  if (!isDeepStrictEqual(notebook.metadata.kernelspec, kernelspec)) {
    problems.push(
      `kernelspec is ${JSON.stringify(notebook.metadata.kernelspec)}, not ${JSON.stringify(kernelspec)}`,
    );
  }
  if (notebook.metadata.language_info?.name !== 'typescript')
    problems.push('language_info does not name typescript');
  return problems;
}

function lintHeadings(notebook: NotebookDocument): string[] {
  const problems: string[] = [];
  const headings = notebook.cells.flatMap((cell, i) =>
    cell.cell_type === 'markdown'
      ? readHeadings(cell.source).map((heading) => ({ ...heading, cell: i + 1 }))
      : [],
  );
  const first = notebook.cells[0];
  if (first?.cell_type !== 'markdown' || !first.source.startsWith('# ')) {
    problems.push('cell 1 does not begin with a title (# …)');
  }
  let before = 0;
  headings.forEach(({ level, text, cell }, i) => {
    if (level === 1 && i > 0) problems.push(`cell ${cell}: a second title, "${text}"`);
    if (level > before + 1) problems.push(`cell ${cell}: "${text}" skips a level (${before} to ${level})`);
    before = level;
  });
  for (const [what, pattern] of [
    ['learning objectives', /objectives|what you(’|')?ll learn|what you will learn/i],
    ['exercises', /exercises/i],
  ] as const) {
    if (!headings.some(({ text }) => pattern.test(text))) problems.push(`no heading announces the ${what}`);
  }
  return problems;
}

function readHeadings(source: string): { level: number; text: string }[] {
  const headings: { level: number; text: string }[] = [];
  let fence: string | undefined;
  for (const line of source.split('\n')) {
    const mark = /^\s*(```+|~~~+)/.exec(line)?.[1];
    if (mark && (fence === undefined || mark.startsWith(fence)))
      fence = fence === undefined ? mark : undefined;
    const heading = fence === undefined ? /^(#{1,6})\s+(.*)$/.exec(line) : null;
    if (heading) headings.push({ level: heading[1]!.length, text: heading[2]! });
  }
  return headings;
}

function lintCells(notebook: NotebookDocument): string[] {
  const problems: string[] = [];
  notebook.cells.forEach((cell, i) => {
    if (cell.source.trim() === '') problems.push(`cell ${i + 1} is empty`);
    const found = absolutePath(cell.source);
    if (found) problems.push(`cell ${i + 1} names a path of one machine: ${found}`);
  });
  return problems;
}

function lintLinks(notebook: NotebookDocument, directory: string | undefined): string[] {
  if (directory === undefined) return [];
  const problems: string[] = [];
  notebook.cells.forEach((cell, i) => {
    if (cell.cell_type !== 'markdown') return;
    for (const [, target] of cell.source.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)) {
      if (/^([a-z][a-z0-9+.-]*:|#)/i.test(target!)) continue;
      const file = path.resolve(directory, decodeURI(target!.replace(/[#?].*$/, '')));
      if (!fs.existsSync(file)) problems.push(`cell ${i + 1} links to ${target}, which does not exist`);
    }
  });
  return problems;
}

function lintSize(notebook: NotebookDocument, maxBytes: number): string[] {
  const bytes = Buffer.byteLength(formatNotebook(notebook));
  if (bytes <= maxBytes) return [];
  const sizes = notebook.cells.map((cell, i) => ({ cell: i + 1, bytes: JSON.stringify(cell).length }));
  const largest = sizes.reduce((a, b) => (b.bytes > a.bytes ? b : a));
  return [
    `the file has ${megabytes(bytes)} (at most ${megabytes(maxBytes)}); the largest is cell ${largest.cell}, ${megabytes(largest.bytes)}`,
  ];
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function outputText(output: Output): string {
  if (output.output_type === 'stream') return output.text;
  if (output.output_type === 'error') return output.traceback.join('\n');
  return Object.entries(output.data)
    .filter(([mime]) => !/^image\/(png|jpeg|gif|webp)$/.test(mime))
    .map(([, value]) => (typeof value === 'string' ? value : JSON.stringify(value)))
    .join('\n');
}

/** A path under a folder that people's files lie in. Embedded pictures may contain anything and are passed over. */
function absolutePath(text: string): string | undefined {
  const plain = text.replace(/data:[\w/+.-]+;base64,[A-Za-z0-9+/=]+/g, '');
  const unix =
    /(?:^|[\s"'`(=:[,>])((?:file:\/\/)?\/(?:home|root|Users|tmp|var|opt|mnt|usr|work|workspace|private)\/[^\s"'`)<\]]+)/m;
  return unix.exec(plain)?.[1] ?? /\b[A-Z]:\\\\?(?:Users|Windows|Temp)[^\s"'`]*/.exec(plain)?.[0];
}
