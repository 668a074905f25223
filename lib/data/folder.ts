/** Opens a folder of your own: finds out what its annotations are, and reads them. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { nearest } from '../tensor/nearest';
import type { CheckedDataset, ReadDatasetOptions } from './assemble';
import { isBoxTable, readBoxCsv } from './box-csv';
import { isBoxJson, readBoxJson, readJson } from './box-json';
import { readCoco } from './coco';
import { findCocoFiles, firstBytes } from './coco-layout';
import { isImageName, walk } from './files';
import { readLoose } from './loose';
import { createDatasetProblems } from './problems';
import { readVoc } from './voc';
import { readVocLayout } from './voc-layout';
import { readYolo, readYoloLayout } from './yolo';

/** How a folder's annotations are written. */
export type FolderFormat = 'voc' | 'coco' | 'yolo' | 'csv' | 'json' | 'loose-xml' | 'loose-json';

/** What was found in a folder. */
export interface FoundDataset {
  readonly format: FolderFormat;
  /** The folder, or the file within it, that the reader takes. */
  readonly target: string;
  /** One sentence: what it is, and why it is taken for that. */
  readonly what: string;
  /** Lists or folders that the data set brings; none where it is to be divided by a seed. */
  readonly splits: readonly string[];
  /** Other things that were found, which are not read. */
  readonly notes: readonly string[];
  /** Reads all of it, or a split. */
  read(options?: ReadFolderOptions): Promise<CheckedDataset>;
}

/** Options of `readFolder`. */
export interface ReadFolderOptions extends ReadDatasetOptions {
  /** One of the data set's own splits, or `train`, `val` or `test` of a division by the seed where it has none. */
  split?: string;
}

/** Options of `findDataset`. */
export interface FindDatasetOptions {
  /** Takes the folder for this, where there are several kinds of annotations. */
  readonly format?: FolderFormat;
}

const formats: readonly FolderFormat[] = ['voc', 'coco', 'yolo', 'csv', 'json', 'loose-xml', 'loose-json'];

/**
 * Finds out what a folder (or file) holds: Pascal VOC's layout, also some folders below; COCO's files; YOLO's text files; a table
 * or a JSON file of boxes; VOC's XML or labelme's JSON files anywhere, one an image. The first of these that fits is taken; `notes` tells
 * of the others.
 * @throws Error with what was expected and what is there, where nothing fits.
 */
export async function findDataset(folder: string, options: FindDatasetOptions = {}): Promise<FoundDataset> {
  const { format } = options;
  if (format !== undefined && !formats.includes(format)) {
    throw new RangeError(`There is no format "${format}"; there are ${formats.join(', ')}.`);
  }
  const stat = await fs.stat(folder).catch(() => undefined);
  if (stat === undefined) throw new Error(`${folder} is neither a file nor a folder. Check the path.`);
  if (!stat.isDirectory()) {
    const found = await ofFile(folder);
    if (found) return found;
    throw new Error(`${folder} is neither a table nor a JSON file of boxes.`);
  }
  const tree = await walk(folder);
  const notes = tree.incomplete ? ['some files lie too deep, or are too many, and were not looked at'] : [];
  const candidates: FoundDataset[] = [];
  for (const look of [lookForVoc, lookForCoco, lookForYolo, lookForTables, lookForLoose]) {
    for (const one of await look(folder, tree.files)) {
      if (format === undefined || one.format === format) candidates.push(one);
    }
    // A look into thousands of files is not worth a note.
    if (candidates.length > 0 && format === undefined) break;
  }
  const [first, ...others] = candidates;
  if (first === undefined) throw new Error(nothingFound(folder, tree.files, format));
  return { ...first, notes: [...first.notes, ...notes, ...others.map(({ what }) => `not read: ${what}`)] };
}

/**
 * Reads a folder of your own, whatever its layout; see `findDataset`.
 * @throws what `findDataset` throws, and what the format's reader throws: a DatasetError lists everything that is wrong.
 */
export async function readFolder(
  folder: string,
  options: ReadFolderOptions & FindDatasetOptions = {},
): Promise<CheckedDataset & { readonly found: FoundDataset }> {
  const { format, ...rest } = options;
  const found = await findDataset(folder, { format });
  const name = rest.name ?? path.basename(path.resolve(folder));
  return { ...(await found.read({ ...rest, name })), found };
}

async function lookForVoc(folder: string, files: readonly string[]): Promise<FoundDataset[]> {
  const parents = new Set<string>();
  for (const file of files) {
    const match = /^(?:(.*)\/)?Annotations\/[^/]+\.xml$/i.exec(file);
    if (match) parents.add(match[1] ?? '');
  }
  const found: FoundDataset[] = [];
  for (const parent of [...parents].sort((a, b) => a.length - b.length || (a < b ? -1 : 1))) {
    const target = path.join(folder, parent);
    const layout = await readVocLayout(target).catch(() => undefined);
    if (layout === undefined) continue;
    const splits = layout.imageSets.filter((name) => !/^.+_(train|val|trainval|test)$/.test(name));
    const lists = splits.length > 0 ? `, lists ${splits.join(', ')}` : ', no lists';
    const where = parent === '' ? '' : ` in ${parent}`;
    found.push({
      format: 'voc',
      target,
      what: `Pascal VOC's layout${where}: ${layout.annotations.length} annotations, ${layout.images.size} images${lists}`,
      splits,
      notes: unannotated(layout.images.size - layout.annotations.length),
      read: (options) => readVoc(target, options),
    });
  }
  if (found.length > 1 && found[0].target !== path.join(folder, '')) {
    const inner = found.map(({ target }) => path.relative(folder, target));
    throw new Error(
      `${folder} holds ${inner.length} data sets in Pascal VOC's layout: choose one of ${inner.join(', ')}.`,
    );
  }
  return found.slice(0, 1);
}

async function lookForCoco(folder: string, files: readonly string[]): Promise<FoundDataset[]> {
  const json = files.filter((name) => /\.json$/i.test(name));
  // Thousands of files are one an image.
  if (json.length > 100 && !json.some((name) => /instances_/i.test(name))) return [];
  const found = await findCocoFiles(folder, json);
  if (found.length === 0) return [];
  const splits = found.map(({ split }) => split);
  const names = found.map(({ file }) => path.relative(folder, file)).join(', ');
  return [
    {
      format: 'coco',
      target: folder,
      what: `COCO's format: ${names}`,
      splits: found.length > 1 ? splits : splits.filter((one) => /^(train|val|test)/.test(one)),
      notes: [],
      read: (options) => readCoco(folder, options),
    },
  ];
}

/** A line of YOLO's text files: a whole number, then at least four numbers. */
const yoloLine = /^\s*\d+(\s+[-+.\de]+){4,}\s*$/m;

async function lookForYolo(folder: string, files: readonly string[]): Promise<FoundDataset[]> {
  const layout = await readYoloLayout(folder, files).catch(() => undefined);
  const labelled = layout?.images.filter(({ labels }) => labels !== undefined) ?? [];
  if (layout === undefined || labelled.length === 0) return [];
  let looks = false;
  for (const { labels } of labelled.slice(0, 20)) {
    looks ||= yoloLine.test(await firstBytes(path.join(folder, labels as string), 4096));
  }
  if (!looks) return [];
  const names = layout.namesFile ? `names in ${layout.namesFile}` : 'no file of class names';
  return [
    {
      format: 'yolo',
      target: folder,
      what: `YOLO's layout: ${layout.images.length} images, ${labelled.length} text files, ${names}`,
      splits: layout.splits,
      notes: layout.lonely.length > 0 ? [`${layout.lonely.length} text files have no image`] : [],
      read: (options) => readYolo(folder, options),
    },
  ];
}

async function lookForTables(folder: string, files: readonly string[]): Promise<FoundDataset[]> {
  const found: FoundDataset[] = [];
  const tables = files.filter((name) => /\.(csv|tsv)$/i.test(name));
  const json = files.filter((name) => /\.json$/i.test(name));
  const single = json.length <= 5 ? json : [];
  for (const name of [...tables, ...single].slice(0, 50)) {
    const one = await ofFile(path.join(folder, name)).catch(() => undefined);
    if (one) found.push(one);
  }
  if (found.length < 2) return found;
  // train.csv and test.csv are the parts of one set.
  const parts = found.filter(({ format }) => format === found[0].format);
  const splits = parts.map(({ target }) =>
    path
      .basename(target)
      .replace(/\.[^.]*$/, '')
      .replace(/[_-]?(labels|annotations|boxes)$/i, ''),
  );
  const [first] = parts;
  return [
    {
      ...first,
      what: parts.map(({ what }) => what).join('; '),
      splits,
      notes: [],
      read: ({ split, ...options } = {}) => {
        if (split === undefined) {
          throw new Error(
            `${folder} has annotations of several splits: choose one of ${splits.join(', ')} by split.`,
          );
        }
        const place = splits.indexOf(split);
        if (place >= 0) return parts[place].read(options);
        const hint = nearest(split, splits);
        throw new Error(
          `${folder} has no split "${split}". Available: ${splits.join(', ')}.${hint ? ` Did you mean "${hint}"?` : ''}`,
        );
      },
    },
  ];
}

/** A single file of boxes. */
async function ofFile(file: string): Promise<FoundDataset | undefined> {
  if (/\.(csv|tsv|txt)$/i.test(file)) {
    if (!isBoxTable((await firstBytes(file, 1 << 16)).replace(/^\ufeff/, ''))) return undefined;
    const what = `a table of boxes: ${path.basename(file)}`;
    return {
      format: 'csv',
      target: file,
      what,
      splits: [],
      notes: [],
      read: (options) => readBoxCsv(file, options),
    };
  }
  if (!/\.json$/i.test(file)) return undefined;
  const coco = await findCocoFiles(path.dirname(file), [path.basename(file)]);
  if (coco.length > 0) {
    const what = `COCO's format: ${path.basename(file)}`;
    return {
      format: 'coco',
      target: file,
      what,
      splits: [],
      notes: [],
      read: (options) => readCoco(file, options),
    };
  }
  // Wrong letters are told when it is read.
  const value = await readJson(file, undefined, createDatasetProblems('drop'));
  if (!isBoxJson(value)) return undefined;
  const what = `a JSON file of boxes: ${path.basename(file)}`;
  return {
    format: 'json',
    target: file,
    what,
    splits: [],
    notes: [],
    read: (options) => readBoxJson(file, options),
  };
}

async function lookForLoose(folder: string, files: readonly string[]): Promise<FoundDataset[]> {
  const images = files.filter(isImageName).length;
  const found: FoundDataset[] = [];
  for (const extension of ['xml', 'json'] as const) {
    const annotations = files.filter((name) => name.toLowerCase().endsWith(`.${extension}`));
    if (annotations.length === 0 || images === 0) continue;
    const start = await firstBytes(path.join(folder, annotations[0]), 1 << 16);
    if (
      !(extension === 'xml' ? /<annotation[\s>]/ : /"(shapes|objects|boxes|annotations|regions)"/).test(start)
    )
      continue;
    const kind = extension === 'xml' ? "Pascal VOC's XML files" : 'JSON files';
    found.push({
      format: `loose-${extension}`,
      target: folder,
      what: `images and ${kind}, one an image: ${annotations.length} annotations, ${images} images`,
      splits: [],
      notes: unannotated(images - annotations.length),
      read: (options) => readLoose(folder, extension, options),
    });
  }
  return found;
}

function unannotated(count: number): string[] {
  return count > 0 ? [`${count} images have no annotation, and are not read`] : [];
}

function nothingFound(folder: string, files: readonly string[], format: FolderFormat | undefined): string {
  const kinds = new Map<string, number>();
  for (const name of files) {
    const extension = path.extname(name).toLowerCase() || 'no extension';
    kinds.set(extension, (kinds.get(extension) ?? 0) + 1);
  }
  const counts = [...kinds].sort((a, b) => b[1] - a[1]).slice(0, 6);
  const there = counts.map(([extension, count]) => `${count} ${extension}`).join(', ') || 'no files';
  const wanted =
    format === undefined
      ? "annotations in Pascal VOC's layout, COCO's format, YOLO's layout, a table (.csv) or a .json file of boxes, or an XML or JSON file beside each image"
      : `data in the format "${format}"`;
  const images = files.some(isImageName) ? ' The images alone say nothing of boxes.' : '';
  return `${folder} holds no data set that is known: expected ${wanted}; found ${there}.${images}`;
}
