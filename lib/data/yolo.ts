/** Reads folders in YOLO's layout: a text file an image, a line an object, in parts of the image's size. */
import fs from 'node:fs/promises';
import path from 'node:path';
import {
  assembleDataset,
  type CheckedDataset,
  type RawImage,
  type RawObject,
  type ReadDatasetOptions,
} from './assemble';
import { decodeText, EncodingError, forEachLimited, isImageName, reasonOf, stem, walk } from './files';
import { toCorners, uniqueIds } from './box-rows';
import { createDatasetProblems, type DatasetProblemList } from './problems';
import { substituteIndices } from './split';
import { parseYoloNames } from './yolo-names';

/** Options of `readYolo`. */
export interface ReadYoloOptions extends ReadDatasetOptions {
  /**
   * A folder of that name (`train`, `valid`, `val`, `test`), or `train`, `val` or `test` of a division by the seed where there are
   * none. Default: all images.
   */
  split?: string;
}

/** What a YOLO folder holds. */
export interface YoloLayout {
  readonly folder: string;
  /** Class names in label order, with the file that gives them; none where there is no such file. */
  readonly names?: readonly string[];
  readonly namesFile?: string;
  /** Images and their text files, relative to the folder; an image without one shows nothing. */
  readonly images: readonly { readonly image: string; readonly labels?: string; readonly split?: string }[];
  /** Text files of boxes without an image. */
  readonly lonely: readonly string[];
  readonly splits: readonly string[];
}

const splitNames = ['train', 'val', 'valid', 'validation', 'test', 'train2017', 'val2017', 'test2017'];
const namesFiles =
  /(^|\/)(data\.ya?ml|dataset\.ya?ml|(predefined_)?classes\.txt|obj\.names|_darknet\.labels|labels\.txt|[^/]+\.names)$/i;

/** Lists a folder: images, the text files beside them or in `labels` instead of `images`, and the names of the classes. */
export async function readYoloLayout(folder: string, files?: readonly string[]): Promise<YoloLayout> {
  const all = files ?? (await walk(folder)).files;
  const texts = new Set(all.filter((name) => /\.txt$/i.test(name) && !namesFiles.test(name)));
  const used = new Set<string>();
  const splits = new Set<string>();
  const images = all.filter(isImageName).map((image) => {
    const base = image.slice(0, image.length - path.extname(image).length);
    const swapped = `/${base}`.replace(/^(.*)\/images\//i, '$1/labels/').slice(1);
    const labels = [`${swapped}.txt`, `${base}.txt`].find((name) => texts.has(name));
    if (labels) used.add(labels);
    const split = image
      .split('/')
      .slice(0, -1)
      .find((part) => splitNames.includes(part));
    if (split) splits.add(split);
    return { image, labels, split };
  });
  const lonely = [...texts].filter((name) => !used.has(name) && /(^|\/)labels\//.test(name));
  const found = { folder, images, lonely, splits: [...splits] };
  // A .yaml says more than a list does.
  const isList = (name: string): number => Number(!/\.ya?ml$/i.test(name));
  const candidates = all.filter((name) => namesFiles.test(name)).sort((x, y) => isList(x) - isList(y));
  for (const namesFile of candidates) {
    const file = path.join(folder, namesFile);
    let text: string;
    try {
      text = decodeText(await fs.readFile(file));
    } catch (error) {
      throw new Error(`Can't read the class names in ${file}: ${reasonOf(error)}`, { cause: error });
    }
    const names = parseYoloNames(namesFile, text);
    if (names) return { ...found, names, namesFile };
  }
  return found;
}

/**
 * Reads a folder in YOLO's layout: `images/` and `labels/` (with folders for splits inside or around), or text files beside the
 * images; class names from data.yaml, classes.txt, obj.names and the like. A line is `class cx cy w h`, or `class x y x y ...`, an
 * outline, of which the box around it is taken; numbers are parts of the picture as EXIF turns it (as Ultralytics' loader has it). An
 * image without a text file shows nothing.
 * @throws DatasetError with everything that is wrong, by line, unless `invalid` lets it pass. Other errors, which name the way out: a
 *   folder without images, a split that there is not.
 */
export async function readYolo(folder: string, options: ReadYoloOptions = {}): Promise<CheckedDataset> {
  const layout = await readYoloLayout(folder);
  if (layout.images.length === 0) throw new Error(`${folder} holds no images (.jpg, .jpeg, .png).`);
  const found = createDatasetProblems(options.invalid);
  const chosen = chooseSplit(layout, options);
  const lines = new Map<string, { read: readonly YoloLine[] | undefined; list: DatasetProblemList }>();
  // Without names all files are read: labels must not hang on the split.
  await forEachLimited(layout.names ? chosen : layout.images, async ({ labels }) => {
    if (labels === undefined) return;
    const list = createDatasetProblems(options.invalid);
    lines.set(labels, { read: await readLabels(path.join(folder, labels), list), list });
  });
  for (const { labels } of chosen) {
    const file = labels === undefined ? undefined : lines.get(labels);
    if (file) found.add(file.list);
  }
  for (const lonely of layout.lonely) {
    const file = path.join(folder, lonely);
    if (options.split !== undefined && !lonely.split('/').includes(options.split)) continue;
    const problem = `no image of that name`;
    found.report({ kind: 'missing-image', file, id: stem(lonely), object: -1, problem, action: 'dropped' });
  }
  const own = layout.names ?? numberedClasses([...lines.values()].flatMap(({ read }) => read ?? []));
  const ids = uniqueIds(chosen.map(({ image }) => image));
  const images: RawImage[] = [];
  const imageOf = new Map<string, string>();
  for (const { image, labels } of chosen) {
    const file = path.join(folder, labels ?? image);
    const id = ids.get(image) as string;
    const other = labels === undefined ? undefined : imageOf.get(labels);
    if (labels !== undefined) imageOf.set(labels, other ?? image);
    if (other !== undefined) {
      const problem = `${image} has the text file of ${other}`;
      found.report({ kind: 'duplicate', file, id, object: -1, problem, action: 'dropped' });
      continue;
    }
    const read = labels === undefined ? [] : lines.get(labels)?.read;
    // An image whose file can't be read is none without objects.
    if (read === undefined) continue;
    images.push({ id, file, image: { path: path.join(folder, image) }, objects: () => objectsOf(read) });
  }
  const name = options.name ?? path.basename(path.resolve(folder));
  const { used: _, ...dataset } = await assembleDataset({
    name: options.split === undefined ? name : `${name}/${options.split}`,
    title: folder,
    images: images.slice(0, options.limit ?? Infinity),
    classes: options.classes ?? [...new Set(own)],
    ownClasses: own,
    options,
    found,
    turned: true,
  });
  return dataset;
}

/** Classes without names are called by their numbers. */
function numberedClasses(lines: readonly YoloLine[]): string[] {
  let most = -1;
  for (const { label, broken } of lines) if (broken === undefined) most = Math.max(most, label);
  // A slip of the keyboard is not to make a million classes.
  return Array.from({ length: Math.min(most + 1, 10_000) }, (_, i) => String(i));
}

function chooseSplit(layout: YoloLayout, { split, seed }: ReadYoloOptions): YoloLayout['images'] {
  if (split === undefined) return layout.images;
  if (layout.splits.includes(split)) return layout.images.filter((one) => one.split === split);
  if (layout.splits.length > 0) {
    throw new Error(`${layout.folder} has no split "${split}". Available: ${layout.splits.join(', ')}.`);
  }
  const ids = layout.images.map(({ image }) => image);
  return substituteIndices(ids, split, seed, `${layout.folder} has no folders of splits`).map(
    (i) => layout.images[i],
  );
}

interface YoloLine {
  readonly label: number;
  readonly numbers: readonly number[];
  readonly line: number;
  readonly broken?: string;
}

/** The file's lines; `undefined` where it can't be read, which is reported. */
async function readLabels(file: string, found: DatasetProblemList): Promise<YoloLine[] | undefined> {
  let text: string;
  try {
    text = decodeText(await fs.readFile(file));
  } catch (error) {
    const [kind, line] =
      error instanceof EncodingError ? (['encoding', error.line] as const) : (['broken-annotation'] as const);
    found.report({
      kind,
      file,
      line,
      id: stem(file),
      object: -1,
      problem: reasonOf(error),
      action: 'dropped',
    });
    return undefined;
  }
  const lines: YoloLine[] = [];
  text.split(/\r?\n/).forEach((content, i) => {
    const cells = content.trim().split(/\s+/);
    if (cells[0] === '') return;
    const [label, ...numbers] = cells.map(Number);
    const readable = cells.every(
      (cell, k) => !Number.isNaN(Number(cell)) || (k > 0 && /^[+-]?(nan|inf)$/i.test(cell)),
    );
    const outline = numbers.length >= 6 && numbers.length % 2 === 0;
    let broken: string | undefined;
    if (!readable || !(numbers.length === 4 || outline)) {
      broken = `"${content.trim().slice(0, 60)}" is neither "class cx cy w h" nor "class x y x y x y ..."`;
    } else if (!Number.isInteger(label) || label < 0)
      broken = `the class is ${cells[0]}, not a whole number from 0`;
    lines.push({ label, numbers, line: i + 1, broken });
  });
  return lines;
}

/** Lines as objects; one that repeats another is wrong. */
function objectsOf(lines: readonly YoloLine[]): RawObject[] {
  const firstOf = new Map<string, number>();
  return lines.map((one) => {
    const key = `${one.label} ${one.numbers.join(' ')}`;
    const first = firstOf.get(key);
    if (first === undefined) firstOf.set(key, one.line);
    if (first === undefined || one.broken !== undefined) return objectOf(one);
    const broken = `the same box comes twice (first in line ${first})`;
    return { ...objectOf(one), broken, brokenKind: 'duplicate' };
  });
}

/** Centre and size, or the points of an outline, in parts of the image. */
function objectOf({ label, numbers, line, broken }: YoloLine): RawObject {
  if (numbers.length === 4) {
    const written = numbers as unknown as readonly [number, number, number, number];
    return { box: toCorners(written, 'cxcywh'), written, normalised: true, class: label, line, broken };
  }
  const xs = numbers.filter((_, i) => i % 2 === 0);
  const ys = numbers.filter((_, i) => i % 2 === 1);
  const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)] as const;
  return { box, normalised: true, class: label, line, broken };
}
