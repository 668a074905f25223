/** Looks through a folder of data: what each of its parts holds, and everything that is wrong with it. */
import path from 'node:path';
import type { CheckedDataset, ReadDatasetOptions } from './assemble';
import { type DatasetSummary, describeDataset, formatSummary } from './describe';
import { filterClasses } from './filter';
import { findDataset, type FolderFormat, type FoundDataset } from './folder';
import { DatasetError, type DatasetProblem, formatProblem, type InvalidData } from './problems';

/** Options of `inspectFolder`. */
export interface InspectOptions extends Pick<ReadDatasetOptions, 'classes' | 'checkImages' | 'seed'> {
  /** Takes the folder for this, where there are several kinds of annotations. */
  readonly format?: FolderFormat;
  /** Splits to look at. Default: all of the folder, and each of its lists. */
  readonly splits?: readonly string[];
  /** Counts these classes only, in this order. `classes` says instead what the annotations may hold. */
  readonly only?: readonly string[];
  /** What becomes of what is wrong, as in the readers; with `throw` it is left out of the counts. */
  readonly invalid?: InvalidData;
}

/** One split, or all of a folder. */
export interface InspectedPart {
  /** `undefined`: all of it. */
  readonly split?: string;
  readonly summary: DatasetSummary;
}

/** What a folder holds. */
export interface FolderReport {
  readonly folder: string;
  readonly found: FoundDataset;
  /** All of it, where it can be read as one; then each split. */
  readonly parts: readonly InspectedPart[];
  /** Everything odd, each once. */
  readonly problems: readonly DatasetProblem[];
  /** How many of them stop the readers, unless they are told otherwise. */
  readonly wrong: number;
}

/** Files of several splits can't be read as one; lists can. */
const separate: readonly FolderFormat[] = ['coco', 'csv', 'json'];

/**
 * Reads a folder of any layout, whole and by its splits, and counts. Annotations that are wrong are gathered, not thrown.
 * @throws what `findDataset` throws, and errors of files that can't be read at all.
 */
export async function inspectFolder(folder: string, options: InspectOptions = {}): Promise<FolderReport> {
  const { format, splits, only, invalid = 'throw', ...rest } = options;
  const found = await findDataset(folder, { format });
  const name = path.basename(path.resolve(folder));
  const problems = new Map<string, DatasetProblem>();
  const wrong = new Set<string>();
  const parts: InspectedPart[] = [];
  let classes = rest.classes;
  const look = async (split: string | undefined): Promise<void> => {
    const read = (policy: InvalidData): Promise<CheckedDataset> =>
      found.read({ ...rest, classes, split, name, invalid: policy });
    let dataset: CheckedDataset;
    try {
      dataset = await read(invalid);
    } catch (error) {
      if (!(error instanceof DatasetError)) throw error;
      for (const problem of error.problems) wrong.add(formatProblem(problem));
      dataset = await read('drop');
    }
    for (const problem of dataset.problems) problems.set(formatProblem(problem), problem);
    // Lists of one set: labels are the same in each, and need not be gathered again.
    if (split === undefined) classes ??= dataset.classes;
    parts.push({ split, summary: describeDataset(only ? filterClasses(dataset, only) : dataset) });
  };
  const whole = splits === undefined && !(separate.includes(found.format) && found.splits.length > 0);
  if (whole) await look(undefined);
  for (const split of splits ?? found.splits) await look(split);
  return { folder, found, parts, problems: [...problems.values()], wrong: wrong.size };
}

/** The report as text: what was found, a description of each part, the lists in a table. */
export function formatFolderReport({ found, parts, folder }: FolderReport): string {
  const lines = [`${folder}: ${found.what}`, ...found.notes.map((note) => `  ${note}`)];
  const [first, ...others] = parts;
  const whole = first?.split === undefined;
  for (const { split, summary } of whole ? [first] : parts) {
    lines.push('', ...(split === undefined ? [] : [`${split}:`]), formatSummary(summary));
  }
  if (whole && others.length > 0) {
    const number = (value: number): string => value.toLocaleString('en-US');
    const rows = others.map(({ split, summary }) => [
      split ?? '',
      number(summary.images),
      number(summary.objects),
      number(summary.empty),
    ]);
    const table = [['split', 'images', 'objects', 'empty images'], ...rows];
    const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
    lines.push('');
    for (const row of table) {
      const cells = row.map((cell, column) =>
        column ? cell.padStart(widths[column]) : cell.padEnd(widths[0]),
      );
      lines.push(`  ${cells.join('  ')}`);
    }
  }
  return lines.join('\n');
}

/** All problems as text: how many of each kind, then every one, files below the folder by their path within it. */
export function formatAllProblems(problems: readonly DatasetProblem[], folder: string): string {
  const kinds = new Map<string, number>();
  for (const { kind, action } of problems) {
    const key = `${kind.replaceAll('-', ' ')} (${action})`;
    kinds.set(key, (kinds.get(key) ?? 0) + 1);
  }
  const counts = [...kinds].sort((a, b) => b[1] - a[1]).map(([kind, count]) => `${count} ${kind}`);
  const short = (file: string): string => {
    const relative = path.relative(folder, file);
    return relative.startsWith('..') || relative === '' ? file : relative;
  };
  const title = `${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}: ${counts.join(', ')}`;
  return [title, ...problems.map((one) => `  ${formatProblem({ ...one, file: short(one.file) })}`)].join(
    '\n',
  );
}
