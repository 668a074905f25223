/** Reads data sets in COCO's format: one JSON file of images, categories and annotations. */
import path from 'node:path';
import type { GroundTruth } from '../boxes/types';
import {
  assembleDataset,
  type CheckedDataset,
  type RawImage,
  type RawObject,
  type ReadDatasetOptions,
} from './assemble';
import { chooseCocoFile } from './coco-layout';
import { type CocoContent, type CocoRow, readCocoContent } from './coco-columns';
import { createImageFinder } from './image-finder';
import { createDatasetProblems, type DatasetProblemList } from './problems';
import { substituteIndices } from './split';
import type { Example } from './types';

/** Options of `readCoco`. `classes` defaults to the file's categories by rising id. */
export interface ReadCocoOptions extends ReadDatasetOptions {
  /**
   * Which annotations of a folder: `val2017` stands for annotations/instances_val2017.json. Where there is but one file,
   * `train`, `val` and `test` divide it by the seed. Default: the only one.
   */
  split?: string;
  /** The folder of the images. Default: looked for beside the annotations. */
  images?: string;
  /** Told bytes read and bytes in all, a few times a second at most. */
  onProgress?: (done: number, total: number) => void;
}

/** An object of a COCO file. */
export interface CocoGroundTruth extends GroundTruth {
  /** The annotation's id in the file. */
  readonly id?: number | string;
}

/** An image of a COCO file. Its `id` in the data set is the id in the file, as text. */
export interface CocoExample extends Example {
  readonly objects: readonly CocoGroundTruth[];
  /** As the file has it. */
  readonly imageId: number | string;
  readonly fileName: string;
}

/** A data set read from a COCO file. */
export interface CocoDataset extends CheckedDataset {
  readonly examples: readonly CocoExample[];
  /** `categoryIds[label]` is the category's id in the file; COCO's own run from 1 to 90 with gaps. */
  readonly categoryIds: readonly (number | string)[];
}

/**
 * Reads a COCO file, or a folder that holds one for each split. The file is read as a stream: the full
 * `instances_train2017.json` takes less than 1.5 GB of memory. Boxes `[x, y, width, height]` become continuous corners and are
 * kept to the digit, also where they reach out of the image by a pixel at most, since COCO's evaluation takes them so. Outlines are
 * passed over. Crowds are objects with `crowd`.
 * @param target the JSON file, or the folder.
 * @throws DatasetError with everything that is wrong, unless `invalid` lets it pass (COCO's own train2017 has two boxes without
 *   height). Other errors, which name the way out: no such file or split, JSON that is broken or cut short.
 */
export async function readCoco(target: string, options: ReadCocoOptions = {}): Promise<CocoDataset> {
  const { split } = options;
  const chosen = await chooseCocoFile(target, split);
  const { file } = chosen;
  const found = createDatasetProblems(options.invalid);
  let content: CocoContent;
  try {
    content = await readCocoContent(file, found, options.onProgress);
  } catch (error) {
    throw new Error(`Can't read the annotations ${file}: ${(error as Error).message}`, { cause: error });
  }
  if (!content.annotated || content.categories.length === 0) {
    const lacks = content.annotated ? 'categories' : 'annotations';
    throw new Error(`${file} is not a COCO annotation file: it has no "${lacks}".`);
  }
  const categories = [...content.categories].sort((a, b) => compareIds(a.id, b.id));
  const own = [...new Set(categories.map(({ name }) => name))];
  const classes = options.classes ?? own;
  for (const { image, row } of content.orphans) reportOrphan(file, image, row, found);

  const finder = createImageFinder(options.images === undefined ? chosen.images : [options.images]);
  const labels = new Map(categories.map(({ id, name }) => [id, own.indexOf(name)]));
  let images = content.images.map((image): CocoRawImage => {
    const { id, name, width, height, line } = image;
    return {
      id: String(id),
      imageId: id,
      fileName: name,
      file,
      line,
      image: finder.find(name),
      size: { width, height },
      sizeName: 'the annotation',
      objects: () => rawObjects(content.rows(id), labels),
    };
  });
  if (chosen.divide && split !== undefined) {
    const ids = images.map(({ id }) => id);
    const part = substituteIndices(ids, split, options.seed, `${file} is the only annotation file`);
    images = part.map((index) => images[index]);
  }
  const name = options.name ?? path.basename(path.resolve(target), '.json');
  const dataset = await assembleDataset({
    name: split === undefined ? name : `${name}/${split}`,
    title: file,
    images: images.slice(0, options.limit ?? Infinity),
    classes,
    ownClasses: own,
    options,
    found,
    keepSlight: true,
  });
  const { used, ...rest } = dataset;
  const examples = rest.examples.map((example, i) => ({
    ...example,
    imageId: used[i].imageId,
    fileName: used[i].fileName,
  }));
  const idOf = new Map([...categories].reverse().map((category) => [category.name, category.id]));
  const categoryIds = classes.map((className) => idOf.get(className) ?? className);
  return { ...rest, examples, categoryIds };
}

interface CocoRawImage extends RawImage {
  readonly imageId: number | string;
  readonly fileName: string;
}

/** The image's annotations as objects, made when they are asked for. */
function* rawObjects(
  rows: Iterable<CocoRow>,
  labels: ReadonlyMap<number | string, number>,
): Generator<RawObject> {
  for (const row of rows) {
    const { box, category, area, crowd, id, line, index, broken } = row;
    const [x, y, width, height] = box;
    const label = labels.get(category);
    const strange = label === undefined ? `category_id ${category} is not among the categories` : undefined;
    yield {
      box: [x, y, x + width, y + height],
      written: box,
      class: label ?? '',
      line,
      id,
      index,
      broken: broken ?? strange,
      brokenKind: broken === undefined && strange !== undefined ? 'unknown-class' : undefined,
      extra: { crowd, area, id },
    };
  }
}

function reportOrphan(file: string, image: unknown, row: CocoRow, found: DatasetProblemList): void {
  const { id, index, line } = row;
  const problem = `image_id ${image === undefined ? 'is missing' : `${JSON.stringify(image)} is not among the images`}`;
  found.report({ kind: 'missing-image', file, line, id, object: index, problem, action: 'dropped' });
}

/** By number, where they are numbers. */
function compareIds(a: number | string, b: number | string): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a) < String(b) ? -1 : 1;
}
