/**
 * LVIS's average precision (Gupta et al., CVPR 2019, section 3.2), equal to that of the `lvis` package's `LVISEval` for boxes: COCO's
 * with 300 detections an image, classes by how often they occur, and annotations that do not cover every class of every image.
 */
import { createColumnBuilder } from './columns';
import { evaluateColumns, meanPrecision } from './figures';
import type { CocoDetectionJson, CocoGroundTruthJson } from './json-types';
import { cocoParameters } from './parameters';
import { readCocoJson } from './read-json';
import { descendingOrder } from '../stable-order';
import type { CheckOptions } from '../problems';
import type { CocoResult } from './types';

/** How often a class occurs in the training set: in up to 10 images, up to 100, or more (LVIS v1's groups). */
export const frequencies = ['rare', 'common', 'frequent'] as const;
/** One of `frequencies`. */
export type Frequency = (typeof frequencies)[number];

/** Where the groups end. */
export interface FrequencyGroups {
  /** Most images of a rare class. Default 10, LVIS's. */
  readonly rare?: number;
  /** Most images of a common class. Default 100, LVIS's. */
  readonly common?: number;
}

/**
 * The frequency of a class that so many training images have.
 * @throws RangeError where a group would end below 0, or the common ones before the rare ones.
 */
export function frequencyOf(imageCount: number, groups: FrequencyGroups = {}): Frequency {
  const { rare = 10, common = 100 } = groups;
  if (!(rare >= 0 && common >= rare)) {
    throw new RangeError(
      `frequencyOf: rare classes have up to ${rare} images and common ones up to ${common}; wanted 0 <= rare <= common`,
    );
  }
  return imageCount <= rare ? 'rare' : imageCount <= common ? 'common' : 'frequent';
}

/** Average precision of the classes of each frequency; NaN where none of them has anything to find. */
export interface FrequencyAp {
  readonly apRare: number;
  readonly apCommon: number;
  readonly apFrequent: number;
}

/**
 * COCO's average precision by the frequency of the classes, the long tail apart.
 * @param byLabel the frequency of each class
 */
export function apByFrequency(result: CocoResult, byLabel: readonly Frequency[]): FrequencyAp {
  if (byLabel.length !== result.perClass.length) {
    throw new RangeError(
      `apByFrequency: ${byLabel.length} frequencies for ${result.perClass.length} classes`,
    );
  }
  const ap = (frequency: Frequency): number => {
    const labels = byLabel.flatMap((one, label) => (one === frequency ? [label] : []));
    return meanPrecision(result.grid, labels, 0, result.grid.limits - 1);
  };
  return { apRare: ap('rare'), apCommon: ap('common'), apFrequent: ap('frequent') };
}

/** What `evaluateLvis` compares: both files, parsed. */
export interface LvisInput extends CheckOptions {
  /** Images with `neg_category_ids` and `not_exhaustive_category_ids`, categories with `frequency` (`r`, `c`, `f`). */
  readonly groundTruth: CocoGroundTruthJson;
  readonly detections: readonly CocoDetectionJson[];
  /** Detections of an image, of all classes, the best first. Default 300. */
  readonly maxDetections?: number;
}

/** COCO's figures by LVIS's rules, with those by frequency. `ar1`, `ar10` and `ar100` are all of them AR@300. */
export type LvisResult = CocoResult & FrequencyAp;

/**
 * LVIS's figures from an annotation file and a results file.
 *
 * A detection of a class of which the image has neither an object nor the word that there is none is left out; one that finds
 * nothing counts neither way where the image's annotations of the class are not exhaustive. There are no crowds, but `ignore`
 * counts.
 * @throws EvaluationInputError that lists everything that is wrong with the files; RangeError for a category without frequency
 */
export function evaluateLvis(input: LvisInput): LvisResult {
  const title = 'LVIS evaluation';
  const { groundTruth, detections, maxDetections = 300 } = input;
  if (!(Number.isInteger(maxDetections) && maxDetections > 0)) {
    throw new RangeError(`${title}: maxDetections must be a whole number above 0, got ${maxDetections}`);
  }
  const parameters = { ...cocoParameters(title, {}), maxDetections: [maxDetections] };
  const columns = createColumnBuilder();
  const found: { image: number; label: number; detection: CocoDetectionJson }[][] = [];
  const positive: Set<number>[] = [];
  const { imageIds, categories, problems } = readCocoJson(
    title,
    groundTruth,
    detections,
    input.invalid,
    (mapping) => {
      for (const id of mapping.imageIds) {
        columns.addImage(id);
        found.push([]);
        positive.push(new Set());
      }
      return {
        object(image, label, { bbox: [x, y, w, h], area = w * h, ignore }, id) {
          columns.addObject(image, x, y, w, h, { label, area, crowd: false, ignore: Boolean(ignore), id });
          positive[image].add(label);
        },
        detection: (image, label, detection) => found[image].push({ image, label, detection }),
      };
    },
  );
  const byLabel = categories.map(({ id, name, frequency, image_count: count }) => {
    const known = frequencies.find((one) => frequency !== undefined && one[0] === frequency[0]);
    if (known) return known;
    if (count !== undefined) return frequencyOf(count);
    throw new RangeError(`${title}: category ${id} ('${name}') has no frequency, 'r', 'c' or 'f'`);
  });
  const labels = new Map(categories.map(({ id }, label) => [id, label]));
  const byId = new Map(groundTruth.images.map((image) => [image.id, image]));
  const labelsOf = (ids: readonly number[] | undefined): Set<number | undefined> =>
    new Set(ids?.map((id) => labels.get(id)));
  const partly = imageIds.map((id) => labelsOf(byId.get(id)?.not_exhaustive_category_ids));
  found.forEach((items, place) => {
    const negative = labelsOf(byId.get(imageIds[place])?.neg_category_ids);
    const order = descendingOrder(items.map(({ detection }) => detection.score)).subarray(0, maxDetections);
    for (const i of order) {
      const { image, label, detection } = items[i];
      if (!negative.has(label) && !positive[image].has(label)) continue;
      const [x, y, w, h] = detection.bbox;
      columns.addDetection(image, x, y, w, h, label, detection.score);
    }
  });
  const result = evaluateColumns(columns.build(), {
    classes: categories.map(({ name }) => name),
    categoryIds: categories.map(({ id }) => id),
    parameters,
    problems,
    unmatchedIgnored: (image, label) => partly[image].has(label),
  });
  return { ...result, ...apByFrequency(result, byLabel) };
}
