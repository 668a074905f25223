/** Reads data sets in the layout of Pascal VOC: Annotations/*.xml, JPEGImages/, ImageSets/Main/*.txt. */
import fs from 'node:fs/promises';
import path from 'node:path';
import type { Box, GroundTruth } from '../boxes/types';
import { readImage, readImageHeader } from './image';
import { nearest } from '../tensor/nearest';
import { splitDataset } from './split';
import type { DetectionDataset, Example } from './types';
import { parseVocAnnotation, type VocAnnotation, type VocObject } from './voc-annotation';
import { findImage, readImageSet, readVocLayout, type VocLayout } from './voc-layout';

/** Options of `readVoc`. */
export interface ReadVocOptions {
  /** Name of the list in ImageSets/Main (`train`, `val`, `trainval`, `test`, ...). Default: every annotation. */
  split?: string;
  /** Class names in label order. Default: those found in all of the folder's annotations, sorted. */
  classes?: readonly string[];
  /** Drops objects of classes that are not in `classes` (and reports them) instead of refusing them. Default false. */
  ignoreUnknownClasses?: boolean;
  /** Keeps objects marked difficult (as such). Default true: evaluation needs them, to ignore them. */
  keepDifficult?: boolean;
  /** Reads the first so many images of the list only. Default: all. */
  limit?: number;
  /** Seed of the split (train 70 %, val 10 %, test 20 %) that stands in where the folder has no ImageSets. Default 0. */
  seed?: number;
  /** Name of the data set. Default: the folder's name. */
  name?: string;
}

/** Something odd in an annotation, and what was made of it. */
export interface DatasetProblem {
  /** The annotation file. */
  readonly file: string;
  /** Index of the object in the file, from 0; -1 when the whole image is meant. */
  readonly object: number;
  /** `[xmin, ymin, xmax, ymax]` as the file gives it. */
  readonly box?: Box;
  readonly problem: string;
  readonly action: 'dropped' | 'clipped' | 'corrected';
}

/** A data set read from a folder, with what had to be mended. */
export interface VocDataset extends DetectionDataset {
  readonly problems: readonly DatasetProblem[];
}

/** Where a folder brings no ImageSets. */
const substituteSplits = { train: 0.7, val: 0.1, test: 0.2 };

/**
 * Reads a folder in VOC layout. VOC's coordinates are 1-based pixel indices, both ends included; they become continuous
 * `[xmin - 1, ymin - 1, xmax, ymax]`. Boxes without area or outside the image are dropped, boxes that stick out are
 * clipped, and `problems` says so, box by box. Pixels are read lazily, image headers at once: a missing image fails here.
 * @throws naming the file, the reason and a way out: a folder that is not VOC, an annotation or image that is missing or
 *   can't be read, an object of a class that is not in `classes`.
 */
export async function readVoc(folder: string, options: ReadVocOptions = {}): Promise<VocDataset> {
  const { split, limit = Infinity, name = path.basename(path.resolve(folder)) } = options;
  const layout = await readVocLayout(folder);
  const listed = split !== undefined && layout.imageSets.length > 0;
  const ids = (listed ? await readImageSet(layout, split) : layout.annotations).slice(
    0,
    listed ? limit : undefined,
  );

  const annotations = new Map<string, VocAnnotation>();
  const everything = options.classes ? ids : [...new Set([...ids, ...layout.annotations])];
  await forEachLimited(everything, async (id) => {
    annotations.set(id, await readAnnotation(layout, id, split));
  });
  const classes = options.classes ?? classesIn(annotations.values());
  const problems: DatasetProblem[] = [];
  const examples: Example[] = new Array<Example>(ids.length);
  await forEachLimited(ids, async (id, index) => {
    examples[index] = await readExample(
      layout,
      id,
      annotations.get(id) as VocAnnotation,
      classes,
      options,
      problems,
    );
  });
  problems.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.object - b.object));
  const dataset: VocDataset = { name, classes, examples, problems };
  return listed || split === undefined
    ? limited(dataset, limit)
    : limited(substitute(dataset, layout, split, options.seed), limit);
}

/** Finds image and size, turns the objects into boxes, and notes what had to be mended. */
async function readExample(
  layout: VocLayout,
  id: string,
  annotation: VocAnnotation,
  classes: readonly string[],
  options: ReadVocOptions,
  problems: DatasetProblem[],
): Promise<Example> {
  const file = annotationFile(layout, id);
  const image = findImage(layout, id, annotation.filename);
  const { width, height, upright, note } = await sizeOf(image, annotation);
  if (note) problems.push({ file, object: -1, problem: note, action: 'corrected' });

  const objects: GroundTruth[] = [];
  annotation.objects.forEach((object, index) => {
    const label = classes.indexOf(object.name);
    const { box, problem, action = 'dropped' } = checkBox(object, width, height);
    if (label < 0 && !options.ignoreUnknownClasses)
      throw new Error(unknownClass(file, index, object.name, classes));
    if (label < 0) {
      const problem = `class ${object.name} is not asked for`;
      problems.push({ file, object: index, box: object.corners, problem, action: 'dropped' });
    } else if (!object.difficult || (options.keepDifficult ?? true)) {
      if (problem) problems.push({ file, object: index, box: object.corners, problem, action });
      if (box) objects.push({ box, label, difficult: object.difficult, truncated: object.truncated });
    }
  });
  const orientation = upright ? 'upright' : 'stored';
  return { id, width, height, objects, image: () => readImage(image, { orientation }) };
}

/** A VOC object's box in continuous coordinates, or why there is none. */
function checkBox(
  object: VocObject,
  width: number,
  height: number,
): { box?: Box; problem?: string; action?: 'dropped' | 'clipped' } {
  const [xmin, ymin, xmax, ymax] = object.corners;
  // By the letter xmin = xmax is one pixel wide; in real sets it is a slip of the mouse.
  if (xmax <= xmin || ymax <= ymin) return { problem: 'the box has no area', action: 'dropped' };
  const box: Box = [xmin - 1, ymin - 1, xmax, ymax];
  const clipped: Box = [
    Math.max(0, box[0]),
    Math.max(0, box[1]),
    Math.min(width, xmax),
    Math.min(height, ymax),
  ];
  const size = `${width} x ${height}`;
  if (clipped[2] <= clipped[0] || clipped[3] <= clipped[1]) {
    return { problem: `the box lies outside the image (${size})`, action: 'dropped' };
  }
  if (clipped.every((value, i) => value === box[i])) return { box };
  return { box: clipped, problem: `the box reaches out of the image (${size})`, action: 'clipped' };
}

/** The image's size, from its header; says so where the annotation disagrees, and whether EXIF explains it. */
async function sizeOf(
  image: string,
  annotation: VocAnnotation,
): Promise<{ width: number; height: number; upright: boolean; note?: string }> {
  const { width, height, orientation } = await readImageHeader(image);
  const { size } = annotation;
  if (size === undefined)
    return { width, height, upright: false, note: `no usable <size>; the image is ${width} x ${height}` };
  if (size.width === width && size.height === height) return { width, height, upright: false };
  // Annotated in a viewer that turned the photo: read it turned.
  if (orientation >= 5 && size.width === height && size.height === width) return { ...size, upright: true };
  const note = `<size> says ${size.width} x ${size.height}, the image is ${width} x ${height}`;
  return { width, height, upright: false, note };
}

async function readAnnotation(
  layout: VocLayout,
  id: string,
  split: string | undefined,
): Promise<VocAnnotation> {
  const file = annotationFile(layout, id);
  try {
    return await parseVocAnnotation(await fs.readFile(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      const reason = (error as Error).message;
      throw new Error(`Can't read the annotation ${file}: ${reason}. Mend it, or remove it with its image.`, {
        cause: error,
      });
    }
    const list = path.join(layout.folder, 'ImageSets', 'Main', `${split}.txt`);
    throw new Error(
      `There is no annotation ${file}, though ${list} lists "${id}". Add it, or remove that line.`,
      { cause: error },
    );
  }
}

function substitute(dataset: VocDataset, layout: VocLayout, split: string, seed = 0): VocDataset {
  if (!Object.hasOwn(substituteSplits, split)) {
    const known = Object.keys(substituteSplits).join(', ');
    throw new Error(
      `${layout.folder} has no ImageSets/Main, so the splits are ${known}; there is no "${split}".`,
    );
  }
  const part = splitDataset(dataset, substituteSplits, seed)[split as keyof typeof substituteSplits];
  return { ...part, problems: dataset.problems };
}

/** The first images of a data set, with their problems. */
function limited(dataset: VocDataset, limit: number): VocDataset {
  const examples = dataset.examples.slice(0, limit);
  const ids = new Set(examples.map((example) => example.id));
  const problems = dataset.problems.filter((problem) => ids.has(path.basename(problem.file, '.xml')));
  return { ...dataset, examples, problems };
}

function classesIn(annotations: Iterable<VocAnnotation>): string[] {
  const names = new Set<string>();
  for (const annotation of annotations) for (const object of annotation.objects) names.add(object.name);
  return [...names].sort();
}

function unknownClass(file: string, index: number, name: string, classes: readonly string[]): string {
  const hint = nearest(name, classes);
  return (
    `${file}: object ${index} is of class "${name}", which is not one of ${classes.join(', ')}.` +
    `${hint ? ` Did it mean "${hint}"?` : ''} Add it to classes, or set ignoreUnknownClasses to leave such objects out.`
  );
}

function annotationFile(layout: VocLayout, id: string): string {
  return path.join(layout.folder, 'Annotations', `${id}.xml`);
}

/** Thousands of small files at once exhaust file handles; one after the other waits on the disk. */
async function forEachLimited<T>(
  items: readonly T[],
  task: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const run = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      await task(items[index], index);
    }
  };
  await Promise.all(Array.from({ length: 16 }, run));
}
