/** Boxes that came in rows, whether from CSV or JSON: what their numbers mean, and which image they belong to. */
import path from 'node:path';
import type { Box } from '../boxes/types';
import {
  assembleDataset,
  type CheckedDataset,
  type RawImage,
  type RawObject,
  type ReadDatasetOptions,
} from './assemble';
import type { BoxFormat } from './box-fields';
import { stem } from './files';
import { createImageFinder } from './image-finder';
import type { DatasetProblemList } from './problems';
import { substituteIndices } from './split';

/** Options of `readBoxCsv` and `readBoxJson`. */
export interface ReadBoxesOptions extends ReadDatasetOptions {
  /** The folder of the images. Default: the file's own, then `images` and the like beside it. */
  images?: string;
  /** How the numbers make a box. Default: told by the names of the fields. */
  format?: BoxFormat;
  /** Default: `normalised` (parts of the image's width and height) where no number in the file is above 1. */
  units?: 'pixels' | 'normalised';
  /** A value of the split column, or `train`, `val` or `test` of a division by the seed where there is none. Default: all. */
  split?: string;
  /** Of the text. Default UTF-8, or UTF-16 where its mark says so. */
  encoding?: string;
}

/** One row: a box, or with `box` left out an image that has none. */
export interface BoxRow {
  readonly image: string;
  /** The numbers as the file gives them. */
  readonly box?: readonly [number, number, number, number];
  /** Overrides the file's. */
  readonly format?: BoxFormat;
  readonly class?: string;
  readonly width?: number;
  readonly height?: number;
  readonly split?: string;
  readonly difficult?: boolean;
  readonly truncated?: boolean;
  readonly crowd?: boolean;
  readonly line?: number;
  /** Its place in the file's list, from 0. */
  readonly index: number;
  /** Why it can't be used. */
  readonly broken?: string;
}

/** What was read of the rows. */
export interface BoxesDataset extends CheckedDataset {
  /** How the numbers were understood. */
  readonly format: BoxFormat;
  readonly units: 'pixels' | 'normalised';
}

/** Name of the only class where the rows name none. */
export const onlyClass = 'object';

/** Corners of a box in another format. */
export function toCorners([a, b, c, d]: readonly [number, number, number, number], format: BoxFormat): Box {
  if (format === 'xyxy') return [a, b, c, d];
  return format === 'xywh' ? [a, b, a + c, b + d] : [a - c / 2, b - d / 2, a + c / 2, b + d / 2];
}

/** Makes the data set. @throws DatasetError unless `invalid` lets pass what is wrong; an Error where a format is not clear. */
export async function datasetOfRows(
  file: string,
  rows: readonly BoxRow[],
  fileFormat: BoxFormat | undefined,
  found: DatasetProblemList,
  options: ReadBoxesOptions,
): Promise<BoxesDataset> {
  const format = options.format ?? fileFormat ?? guessFormat(file, rows);
  const units = options.units ?? guessUnits(rows);
  const chosen = chooseSplit(file, rows, options);
  const byImage = new Map<string, BoxRow[]>();
  for (const row of chosen) {
    const list = byImage.get(row.image);
    if (list) list.push(row);
    else byImage.set(row.image, [row]);
  }
  const names = new Set(chosen.map((row) => row.class ?? (row.box ? onlyClass : undefined)));
  names.delete(undefined);
  const all = [...names] as string[];
  const asked = options.classes;
  // Numbers, where names were asked for, are labels.
  const numbered =
    asked !== undefined && all.length > 0 && all.every((name) => /^\d+$/.test(name) && !asked.includes(name));
  const classes = asked ?? (numbered ? [] : sortNames(allClasses(rows)));
  const folder = path.dirname(file);
  const places = [folder, path.dirname(folder)].flatMap((base) => [
    base,
    ...['images', 'JPEGImages', 'imgs', stem(file), 'train', 'test'].map((name) => path.join(base, name)),
  ]);
  const finder = createImageFinder(options.images === undefined ? places : [options.images]);
  const ids = uniqueIds([...byImage.keys()]);
  const images: RawImage[] = [...byImage].map(([name, group]) => ({
    id: ids.get(name) as string,
    file,
    line: group[0].line,
    image: finder.find(name),
    size: sizeOf(group),
    objects: () => objectsOf(group, format, units, numbered),
  }));
  const name = options.name ?? stem(file);
  const { used: _, ...dataset } = await assembleDataset({
    name: options.split === undefined ? name : `${name}/${options.split}`,
    title: file,
    images: images.slice(0, options.limit ?? Infinity),
    classes,
    ownClasses: numbered ? asked : undefined,
    options,
    found,
  });
  return { ...dataset, format, units };
}

/** Classes of all rows, whatever the split: labels must mean the same in each. */
function allClasses(rows: readonly BoxRow[]): string[] {
  const names = new Set<string>();
  for (const row of rows) if (row.box || row.class) names.add(row.class ?? onlyClass);
  return [...names];
}

/** By number where all are numbers. */
export function sortNames(names: readonly string[]): string[] {
  const numbers = names.every((name) => /^\d+$/.test(name));
  return [...names].sort(numbers ? (a, b) => Number(a) - Number(b) : undefined);
}

/** File names without folder and extension where that tells them apart, otherwise as written. */
export function uniqueIds(names: readonly string[]): Map<string, string> {
  const stems = new Map<string, number>();
  for (const name of names) stems.set(stem(name), (stems.get(stem(name)) ?? 0) + 1);
  return new Map(names.map((name) => [name, stems.get(stem(name)) === 1 ? stem(name) : name]));
}

function sizeOf(rows: readonly BoxRow[]): { width: number; height: number } | undefined {
  const row = rows.find(({ width, height }) => width !== undefined && height !== undefined);
  return row && { width: row.width as number, height: row.height as number };
}

function* objectsOf(
  rows: readonly BoxRow[],
  format: BoxFormat,
  units: 'pixels' | 'normalised',
  numbered: boolean,
): Generator<RawObject> {
  const firstOf = new Map<string, BoxRow>();
  for (const one of rows) {
    const { box, line, index, difficult, truncated, crowd, ...row } = one;
    if (box === undefined && one.broken === undefined) continue;
    const written = box ?? ([NaN, NaN, NaN, NaN] as const);
    const name = row.class ?? onlyClass;
    const key = JSON.stringify([name, box, row.format]);
    const first = box === undefined ? undefined : firstOf.get(key);
    if (first === undefined) firstOf.set(key, one);
    const before = first && (first.line === undefined ? `object ${first.index}` : `line ${first.line}`);
    const broken = one.broken ?? (before && `the same box comes twice (first in ${before})`);
    yield {
      box: toCorners(written, row.format ?? format),
      written,
      normalised: units === 'normalised',
      class: numbered ? Number(name) : name,
      line,
      index,
      broken,
      brokenKind: one.broken === undefined && before !== undefined ? 'duplicate' : undefined,
      extra: { difficult, truncated, crowd },
    };
  }
}

function chooseSplit(file: string, rows: readonly BoxRow[], options: ReadBoxesOptions): readonly BoxRow[] {
  const { split, seed } = options;
  if (split === undefined) return rows;
  const splits = [...new Set(rows.map((row) => row.split))].filter((one) => one !== undefined && one !== '');
  if (splits.length > 0) {
    if (splits.includes(split)) return rows.filter((row) => row.split === split);
    throw new Error(`${file} has no split "${split}". Available: ${splits.join(', ')}.`);
  }
  const names = [...new Set(rows.map((row) => row.image))];
  const part = new Set(substituteIndices(names, split, seed, `${file} names no splits`).map((i) => names[i]));
  return rows.filter((row) => part.has(row.image));
}

/** Numbers up to 1 are parts of the image, since boxes of a pixel are none. */
function guessUnits(rows: readonly BoxRow[]): 'pixels' | 'normalised' {
  let boxes = 0;
  for (const { box } of rows) {
    if (box === undefined) continue;
    boxes++;
    // A little over 1 is rounding.
    if (box.some((value) => value > 1.001)) return 'pixels';
  }
  return boxes > 0 ? 'normalised' : 'pixels';
}

function guessFormat(file: string, rows: readonly BoxRow[]): BoxFormat {
  const boxes = rows.flatMap(({ box, format }) => (box && format === undefined ? [box] : []));
  if (boxes.length === 0) return 'xyxy';
  // Sizes are often smaller than positions; second corners never are.
  const backward = boxes.filter(([a, b, c, d]) => c <= a || d <= b).length;
  if (backward > 0.02 * boxes.length) return 'xywh';
  throw new Error(
    `${file}: four numbers in one field may be corners or a corner and a size, and these could be either. ` +
      "Say which: format: 'xyxy', 'xywh' or 'cxcywh'.",
  );
}
