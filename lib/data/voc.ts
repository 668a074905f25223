/** Reads data sets in the layout of Pascal VOC: Annotations/*.xml, JPEGImages/, ImageSets/Main/*.txt. */
import fs from 'node:fs/promises';
import path from 'node:path';
import {
  assembleDataset,
  type CheckedDataset,
  imageProblem,
  type RawImage,
  type RawObject,
  type ReadDatasetOptions,
} from './assemble';
import { decodeText, EncodingError, forEachLimited, reasonOf } from './files';
import { createDatasetProblems, type DatasetProblemList } from './problems';
import { substituteIndices } from './split';
import { declaredEncoding, parseVocAnnotation, type VocAnnotation, XmlError } from './voc-annotation';
import { findImage, imageSetFile, readImageSet, readVocLayout, type VocLayout } from './voc-layout';

/** The classes of VOC2007 to VOC2012 in the order that gives their labels, 0 to 19. */
export const vocClassNames: readonly string[] = [
  'aeroplane',
  'bicycle',
  'bird',
  'boat',
  'bottle',
  'bus',
  'car',
  'cat',
  'chair',
  'cow',
  'diningtable',
  'dog',
  'horse',
  'motorbike',
  'person',
  'pottedplant',
  'sheep',
  'sofa',
  'train',
  'tvmonitor',
];

/** Options of `readVoc`. `classes` defaults to those in all of the folder's annotations, sorted: the same for every list. */
export interface ReadVocOptions extends ReadDatasetOptions {
  /**
   * Name of the list in ImageSets/Main (`train`, `val`, `trainval`, `test`, ...), or with its folder (`Segmentation/val`).
   * Default: every annotation.
   */
  split?: string;
  /**
   * Takes a list's images that have no annotation as images without objects: VOC2012's test set, whose annotations are not published.
   * Default false: an annotation that is missing is a mistake.
   */
  unannotated?: boolean;
}

/** A data set read from a folder, with what was odd in it. */
export type VocDataset = CheckedDataset;

/**
 * Reads a folder in VOC layout. VOC's coordinates are 1-based pixel indices, both ends included; they become continuous
 * `[xmin - 1, ymin - 1, xmax, ymax]`. Boxes that reach out of the image by a pixel are cut, a missing size is taken from the
 * image, and `problems` says so; whatever is wrong is reported all at once. Pixels are read lazily.
 * @throws DatasetError with everything that is wrong in the list's annotations and images, unless `invalid` lets it pass. Other
 *   errors, which name the way out: a folder that is not VOC, a list that is missing or empty.
 */
export async function readVoc(folder: string, options: ReadVocOptions = {}): Promise<VocDataset> {
  const { split, limit = Infinity, name = path.basename(path.resolve(folder)) } = options;
  const layout = await readVocLayout(folder);
  const found = createDatasetProblems(options.invalid);
  const listed = split !== undefined && layout.imageSets.length > 0;
  let wanted: { id: string; line?: number }[];
  if (listed) wanted = await listedOnce(layout, split, found);
  else if (split === undefined) wanted = layout.annotations.map((id) => ({ id }));
  else {
    const part = substituteIndices(
      layout.annotations,
      split,
      options.seed,
      `${folder} has no ImageSets/Main`,
    );
    wanted = part.map((index) => ({ id: layout.annotations[index] }));
  }
  wanted = wanted.slice(0, limit);

  const known = new Set(layout.annotations);
  const asked = new Set(wanted.map(({ id }) => id));
  const annotations = new Map<string, VocAnnotation | Error>();
  const everything = options.classes ? [...asked] : [...new Set([...asked, ...known])];
  await forEachLimited(
    everything.filter((id) => known.has(id)),
    async (id) => {
      annotations.set(id, await readAnnotation(annotationFile(layout, id)));
    },
  );
  const images: RawImage[] = [];
  for (const { id, line } of wanted) {
    const annotation = annotations.get(id);
    const file = annotationFile(layout, id);
    if (annotation === undefined && options.unannotated) {
      images.push({ ...rawImage(layout, id, file, { objects: [] }), sizeName: undefined });
    } else if (annotation === undefined) {
      const list = imageSetFile(layout, split ?? '');
      const problem = `there is no annotation ${file}. Add it, or remove this line`;
      found.report(imageProblem({ file: list, line, id }, 'missing-annotation', problem));
    } else if (annotation instanceof Error) reportBroken(annotation, file, id, found);
    else images.push(rawImage(layout, id, file, annotation));
  }
  // A file that can't be read may hold a class of its own: labels would hang on it.
  for (const [id, annotation] of annotations) {
    if (annotation instanceof Error && !asked.has(id)) {
      const file = annotationFile(layout, id);
      found.note(
        imageProblem({ file, id }, 'broken-annotation', `not looked at for classes: ${annotation.message}`),
      );
    }
  }
  const classes = options.classes ?? classesIn(annotations.values());
  const part = split === undefined || listed ? name : `${name}/${split}`;
  const { used: _, ...dataset } = await assembleDataset({
    name: part,
    title: listed ? `${folder}, ${split}` : folder,
    images,
    classes,
    options,
    found,
  });
  return dataset;
}

/** The list's images, each once; tells of those that come twice. */
async function listedOnce(
  layout: VocLayout,
  split: string,
  found: DatasetProblemList,
): Promise<{ id: string; line: number }[]> {
  const first = new Map<string, number>();
  const once: { id: string; line: number }[] = [];
  for (const { id, line } of await readImageSet(layout, split)) {
    const before = first.get(id);
    if (before === undefined) {
      first.set(id, line);
      once.push({ id, line });
    } else {
      const file = imageSetFile(layout, split);
      found.report(
        imageProblem({ file, line, id }, 'duplicate', `the image is listed twice (first in line ${before})`),
      );
    }
  }
  return once;
}

/** The annotation, or what is wrong with the file as a whole. */
async function readAnnotation(file: string): Promise<VocAnnotation | Error> {
  try {
    const bytes = await fs.readFile(file);
    return await parseVocAnnotation(decodeText(bytes, declaredEncoding(bytes)));
  } catch (error) {
    const plain = error instanceof EncodingError || error instanceof XmlError;
    return plain ? error : new Error(reasonOf(error), { cause: error });
  }
}

function reportBroken(error: Error, file: string, id: string, found: DatasetProblemList): void {
  const kind = error instanceof EncodingError ? 'encoding' : 'broken-annotation';
  const line = error instanceof EncodingError || error instanceof XmlError ? error.line : undefined;
  found.report(imageProblem({ file, line, id }, kind, error.message));
}

function rawImage(layout: VocLayout, id: string, file: string, annotation: VocAnnotation): RawImage {
  const image = findImage(layout, id, annotation.filename);
  const objects = (): RawObject[] => vocObjects(annotation);
  return { id, file, image, size: annotation.size, sizeName: '<size>', objects };
}

/** VOC's objects with continuous corners. */
export function vocObjects(annotation: VocAnnotation): RawObject[] {
  return annotation.objects.map(({ name, corners, difficult, truncated, line, broken }) => {
    const [xmin, ymin, xmax, ymax] = corners;
    // By the letter xmin = xmax is one pixel wide; in real sets it is a slip of the mouse: a box without area.
    const box = [xmin === xmax ? xmin : xmin - 1, ymin === ymax ? ymin : ymin - 1, xmax, ymax] as const;
    return { box, written: corners, class: name, line, broken, extra: { difficult, truncated } };
  });
}

function classesIn(annotations: Iterable<VocAnnotation | Error>): string[] {
  const names = new Set<string>();
  for (const annotation of annotations) {
    if (annotation instanceof Error) continue;
    for (const { name } of annotation.objects) if (name !== '') names.add(name);
  }
  return [...names].sort();
}

function annotationFile(layout: VocLayout, id: string): string {
  return path.join(layout.folder, 'Annotations', `${id}.xml`);
}
