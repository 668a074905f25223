/** COCO files in and out: evaluated as they are, or turned into the library's objects and back. */
import type { Box, Detection } from '../../boxes/types';
import type { CheckOptions, EvaluationProblem } from '../problems';
import { createColumnBuilder } from './columns';
import { evaluateColumns } from './figures';
import type { CocoAnnotationJson, CocoDetectionJson, CocoGroundTruthJson, CocoImageJson } from './json-types';
import { type CocoOptions, cocoParameters } from './parameters';
import { readCocoJson } from './read-json';
import type { CocoObject, CocoResult } from './types';

/** What `evaluateCocoJson` compares: both files, parsed. */
export interface CocoJsonInput extends CocoOptions {
  readonly groundTruth: CocoGroundTruthJson;
  readonly detections: readonly CocoDetectionJson[];
  /** Default `count`: the official code does not look at an annotation's `ignore`. */
  readonly difficult?: 'ignore' | 'count';
}

/**
 * COCO's figures from an annotation file and a results file, to the digit those of pycocotools' `COCOeval(..., 'bbox')`.
 * Classes come in the order of their category ids.
 * @throws EvaluationInputError that lists everything that is wrong with the files
 */
export function evaluateCocoJson(input: CocoJsonInput): CocoResult {
  const title = 'COCO evaluation';
  const parameters = cocoParameters(title, input);
  const columns = createColumnBuilder();
  const { categories, problems } = readCocoJson(
    title,
    input.groundTruth,
    input.detections,
    input.invalid,
    ({ imageIds }) => {
      for (const id of imageIds) columns.addImage(id);
      return {
        object(image, label, { bbox: [x, y, w, h], area = w * h, iscrowd, ignore }, id) {
          const ignored = input.difficult === 'ignore' && Boolean(ignore);
          columns.addObject(image, x, y, w, h, { label, area, crowd: Boolean(iscrowd), ignore: ignored, id });
        },
        detection(image, label, { bbox: [x, y, w, h], score }) {
          columns.addDetection(image, x, y, w, h, label, score);
        },
      };
    },
  );
  return evaluateColumns(columns.build(), {
    classes: categories.map(({ name }) => name),
    categoryIds: categories.map(({ id }) => id),
    parameters,
    problems,
  });
}

/** Files as the library's objects, and what leads back to their ids. Element i of each list is about image `ids[i]`. */
export interface CocoSet {
  /** The images' ids, ascending. */
  readonly ids: readonly (number | string)[];
  readonly images: readonly CocoImageJson[];
  readonly groundTruth: readonly (readonly CocoObject[])[];
  readonly detections: readonly (readonly Detection[])[];
  /** By category id, ascending: class `label` is category `categoryIds[label]`. */
  readonly classes: readonly string[];
  readonly categoryIds: readonly number[];
  readonly problems: readonly EvaluationProblem[];
}

/**
 * An annotation file, and a results file where there is one, as what every evaluator takes. Boxes become xyxy; `iscrowd`
 * becomes `crowd`, `ignore` becomes `difficult`.
 */
export function fromCocoJson(
  groundTruth: CocoGroundTruthJson,
  detections: readonly CocoDetectionJson[] = [],
  options: CheckOptions = {},
): CocoSet {
  const objects: CocoObject[][] = [];
  const found: Detection[][] = [];
  const { imageIds, categories, problems } = readCocoJson(
    'COCO files',
    groundTruth,
    detections,
    options.invalid,
    (mapping) => {
      for (const _ of mapping.imageIds) {
        objects.push([]);
        found.push([]);
      }
      return {
        object(image, label, { bbox, area, iscrowd, ignore }) {
          objects[image].push({
            box: toBox(bbox),
            label,
            ...(area !== undefined && { area }),
            ...(iscrowd && { crowd: true }),
            ...(ignore && { difficult: true }),
          });
        },
        detection: (image, label, { bbox, score }) => found[image].push({ box: toBox(bbox), label, score }),
      };
    },
  );
  const byId = new Map(groundTruth.images.map((image) => [image.id, image]));
  return {
    ids: imageIds,
    images: imageIds.map((id) => byId.get(id)!),
    groundTruth: objects,
    detections: found,
    classes: categories.map(({ name }) => name),
    categoryIds: categories.map(({ id }) => id),
    problems,
  };
}

function toBox([x, y, width, height]: readonly number[]): Box {
  return [x, y, x + width, y + height];
}

function toBbox([x1, y1, x2, y2]: Box): [number, number, number, number] {
  return [x1, y1, x2 - x1, y2 - y1];
}

/** What names images and classes in a COCO file. */
export interface CocoIds {
  /** The images' ids. Numbers, and texts of digits, are kept as numbers; if one is neither, all are numbered from 1. Default: from 1. */
  readonly ids?: readonly (number | string)[];
  /** The category's id of each label. Default: from 1. */
  readonly categoryIds?: readonly number[];
}

/** The numbers by which COCO files name these images (see `CocoIds`). */
export function cocoImageIds(ids: readonly (number | string)[]): number[] {
  const numbers = ids.map((id) => (typeof id === 'number' || /^\d+$/.test(id) ? Number(id) : NaN));
  const kept = numbers.every(Number.isSafeInteger) && new Set(numbers).size === numbers.length;
  return kept ? numbers : ids.map((_, i) => i + 1);
}

/**
 * Detections as COCO's results: an array to be written as JSON, which the evaluation server and pycocotools' `loadRes` take.
 * @throws RangeError when a label has no category id
 */
export function toCocoResults({
  detections,
  ids,
  categoryIds,
}: CocoIds & { readonly detections: readonly (readonly Detection[])[] }): CocoDetectionJson[] {
  const imageIds = imageIdsFor(detections.length, ids);
  return detections.flatMap((items, i) =>
    items.map(({ box, label, score }) => ({
      image_id: imageIds[i],
      category_id: categoryIdOf(label, categoryIds),
      bbox: toBbox(box),
      score,
    })),
  );
}

/** What `toCocoGroundTruth` writes; element i of each list is about image i. */
export interface CocoGroundTruthInput extends CocoIds {
  readonly groundTruth: readonly (readonly CocoObject[])[];
  readonly classes: readonly string[];
  /** Sizes and file names. Default: the image's id as its file's name. */
  readonly images?: readonly {
    readonly width?: number;
    readonly height?: number;
    readonly file_name?: string;
  }[];
}

/**
 * Ground truth as COCO's annotation file. Annotation ids run from 1, because the official code takes 0 for "no match". The area
 * is the object's own, or its box's; `difficult` becomes `ignore: 1`.
 * @throws RangeError when a label has no class or category id
 */
export function toCocoGroundTruth(input: CocoGroundTruthInput): CocoGroundTruthJson {
  const { groundTruth, classes, ids, images } = input;
  const categoryIds = input.categoryIds ?? classes.map((_, label) => label + 1);
  if (categoryIds.length !== classes.length) {
    throw new RangeError(
      `toCocoGroundTruth: ${categoryIds.length} category ids for ${classes.length} classes`,
    );
  }
  const imageIds = imageIdsFor(groundTruth.length, ids);
  const annotations: CocoAnnotationJson[] = [];
  groundTruth.forEach((objects, i) => {
    for (const { box, label, area, crowd, difficult } of objects) {
      const bbox = toBbox(box);
      annotations.push({
        id: annotations.length + 1,
        image_id: imageIds[i],
        category_id: categoryIdOf(label, categoryIds),
        bbox,
        area: area ?? bbox[2] * bbox[3],
        iscrowd: crowd ? 1 : 0,
        ...(difficult && { ignore: 1 }),
      });
    }
  });
  return {
    images: imageIds.map((id, i) => ({ id, file_name: String(ids ? ids[i] : id), ...images?.[i] })),
    categories: classes.map((name, label) => ({ id: categoryIds[label], name })),
    annotations,
  };
}

function imageIdsFor(count: number, ids: CocoIds['ids']): number[] {
  if (ids && ids.length !== count) {
    throw new RangeError(`COCO files: ${ids.length} ids for ${count} images`);
  }
  return ids ? cocoImageIds(ids) : Array.from({ length: count }, (_, i) => i + 1);
}

function categoryIdOf(label: number, categoryIds: CocoIds['categoryIds']): number {
  if (!categoryIds) return label + 1;
  if (!(label in categoryIds)) {
    throw new RangeError(`COCO files: label ${label} has no category id; there are ${categoryIds.length}`);
  }
  return categoryIds[label];
}
