/** Reads images that have an annotation file each, lying anywhere: Pascal VOC's XML, or JSON such as labelme's. */
import fs from 'node:fs/promises';
import path from 'node:path';
import {
  assembleDataset,
  type CheckedDataset,
  imageProblem,
  type RawImage,
  type ReadDatasetOptions,
} from './assemble';
import { readJson, rowsOf } from './box-json';
import { type BoxRow, onlyClass, sortNames, toCorners, uniqueIds } from './box-rows';
import { decodeText, EncodingError, forEachLimited, isImageName, reasonOf, stem, walk } from './files';
import { createImageFinder, type ImageFinder } from './image-finder';
import { createDatasetProblems, type DatasetProblemList } from './problems';
import { substituteIndices } from './split';
import { declaredEncoding, parseVocAnnotation, XmlError } from './voc-annotation';
import { vocObjects } from './voc';

/** What one file says, before its image is looked for. */
interface LooseFile {
  readonly relative: string;
  readonly image: string;
  readonly size?: { readonly width: number; readonly height: number };
  readonly objects: RawImage['objects'];
  readonly classes: readonly string[];
}

/**
 * Reads a folder of images with an annotation file each, whose image is of its name, or the one it names, in any folder below.
 * @throws DatasetError with everything that is wrong, unless `invalid` lets it pass.
 */
export async function readLoose(
  folder: string,
  extension: 'xml' | 'json',
  options: ReadDatasetOptions & { readonly split?: string } = {},
): Promise<CheckedDataset> {
  const { files } = await walk(folder);
  const annotations = files.filter((name) => name.toLowerCase().endsWith(`.${extension}`));
  const found = createDatasetProblems(options.invalid);
  const lists: DatasetProblemList[] = annotations.map(() => createDatasetProblems(options.invalid));
  const read: (LooseFile | undefined)[] = annotations.map(() => undefined);
  await forEachLimited(annotations, async (relative, index) => {
    const list = lists[index];
    const file = path.join(folder, relative);
    try {
      read[index] = await (extension === 'xml' ? readXml(file, relative) : readRows(file, relative, list));
    } catch (error) {
      // A JSON file's error holds the encoding's.
      const inner = error instanceof Error && error.cause instanceof EncodingError ? error.cause : error;
      const kind = inner instanceof EncodingError ? 'encoding' : 'broken-annotation';
      const line = inner instanceof EncodingError || inner instanceof XmlError ? inner.line : undefined;
      const reason = reasonOf(error).replace(/^Can't read .*?\.json(:\d+)?: /, '');
      list.report(imageProblem({ file, line, id: stem(relative) }, kind, reason));
    }
  });
  const all = read.filter((one) => one !== undefined);
  const classes = options.classes ?? sortNames([...new Set(all.flatMap((one) => one.classes))]);
  const { split, limit = Infinity } = options;
  const chosen =
    split === undefined
      ? all
      : substituteIndices(
          all.map(({ relative }) => relative),
          split,
          options.seed,
          `${folder} has no lists`,
        ).map((index) => all[index]);
  const used = new Set(chosen);
  read.forEach((one, index) => {
    if (one === undefined || used.has(one)) found.add(lists[index]);
  });
  const folders = [
    ...new Set(files.filter(isImageName).map((name) => path.join(folder, path.dirname(name)))),
  ];
  const finder = createImageFinder(folders);
  const finders = new Map<string, ImageFinder>();
  const beside = (relative: string): ImageFinder => {
    const place = path.join(folder, path.dirname(relative));
    const known = finders.get(place) ?? createImageFinder([place]);
    finders.set(place, known);
    return known;
  };
  const ids = uniqueIds(chosen.map(({ relative }) => relative));
  const images = chosen.slice(0, limit).map((one): RawImage => {
    const id = stem(one.relative);
    const tried = [beside(one.relative).find(id), finder.find(id), finder.find(one.image)];
    return {
      id: ids.get(one.relative) as string,
      file: path.join(folder, one.relative),
      image: tried.find((place) => 'path' in place) ?? tried[2],
      size: one.size,
      sizeName: extension === 'xml' ? '<size>' : undefined,
      objects: one.objects,
    };
  });
  const name = options.name ?? path.basename(path.resolve(folder));
  const { used: _, ...dataset } = await assembleDataset({
    name: split === undefined ? name : `${name}/${split}`,
    title: folder,
    images,
    classes,
    options,
    found,
  });
  return dataset;
}

async function readXml(file: string, relative: string): Promise<LooseFile> {
  const bytes = await fs.readFile(file);
  const annotation = await parseVocAnnotation(decodeText(bytes, declaredEncoding(bytes)));
  return {
    relative,
    image: annotation.filename ?? stem(relative),
    size: annotation.size,
    objects: () => vocObjects(annotation),
    classes: annotation.objects.map(({ name }) => name).filter((name) => name !== ''),
  };
}

/** A JSON file of one image. */
async function readRows(file: string, relative: string, list: DatasetProblemList): Promise<LooseFile> {
  const { rows, format = 'xyxy' } = rowsOf(file, await readJson(file), list);
  const images = new Set(rows.map(({ image }) => image));
  if (images.size > 1) throw new Error(`it speaks of ${images.size} images, not of one`);
  const boxes = rows.filter((row) => row.index >= 0);
  const sized = rows.find(({ width, height }) => width !== undefined && height !== undefined);
  return {
    relative,
    image: rows[0]?.image ?? stem(relative),
    size: sized && { width: sized.width as number, height: sized.height as number },
    objects: () => boxes.map((row) => objectOf(row, row.format ?? format)),
    classes: boxes.map((row) => row.class ?? onlyClass),
  };
}

function objectOf(row: BoxRow, format: NonNullable<BoxRow['format']>): ReturnType<typeof vocObjects>[number] {
  const written = row.box ?? ([NaN, NaN, NaN, NaN] as const);
  const { class: name = onlyClass, line, index, broken, difficult, truncated, crowd } = row;
  return {
    box: toCorners(written, format),
    written,
    class: name,
    line,
    index,
    broken,
    extra: { difficult, truncated, crowd },
  };
}
