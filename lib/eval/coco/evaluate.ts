/**
 * COCO's average precision and recall (Lin et al., ECCV 2014; cocodataset.org, "Detection Evaluation"), equal to those of
 * pycocotools' `COCOeval` for boxes.
 *
 * Everything is kept in columns of numbers and taken class by class; no object is made for a pair of boxes.
 */
import type { Detection } from '../../boxes/types';
import { checkImage, checkInput, createProblemList } from '../check';
import type { EvaluationProblem } from '../problems';
import { createColumnBuilder } from './columns';
import { evaluateColumns } from './figures';
import { type CocoOptions, cocoParameters } from './parameters';
import type { CocoInput, CocoObject, CocoResult } from './types';

/** Collects images one by one and measures them as often as asked. */
export interface CocoEvaluator {
  /** Number of images so far. */
  readonly images: number;
  /** Adds an image. @throws EvaluationInputError that lists all that is wrong with it; nothing of it is added then. */
  add(imageId: number | string, groundTruth: readonly CocoObject[], detections: readonly Detection[]): void;
  /** Measures all images so far. */
  result(): CocoResult;
}

const title = 'COCO evaluation';

/**
 * COCO's figures of a whole set of images. Boxes are xyxy in pixels; the official code, given `toCocoResults()` of the same
 * detections, computes the same.
 * @throws EvaluationInputError that lists everything that is wrong with the input
 */
export function evaluateCoco(input: CocoInput): CocoResult {
  const parameters = cocoParameters(title, input);
  const { groundTruth, detections, problems } = checkInput<CocoObject>(title, input);
  const columns = createColumnBuilder();
  groundTruth.forEach((objects, i) => {
    const image = columns.addImage(input.ids ? input.ids[i] : i);
    columns.addAll(image, objects, detections[i], input.difficult !== 'count');
  });
  return evaluateColumns(columns.build(), { classes: input.classes, parameters, problems });
}

/** An evaluator for these classes; memory grows with the detections added. */
export function createCocoEvaluator(classes: readonly string[], options: CocoOptions = {}): CocoEvaluator {
  const parameters = cocoParameters(title, options);
  const columns = createColumnBuilder();
  const seen = new Set<number | string>();
  const noticed: EvaluationProblem[] = [];
  return {
    get images() {
      return seen.size;
    },
    add(imageId, groundTruth, detections) {
      if (seen.has(imageId)) throw new RangeError(`${title}: image ${imageId} was added before`);
      const list = createProblemList(title, options.invalid);
      const kept = checkImage(list, imageId, groundTruth, detections, classes.length);
      list.throwIfAny();
      noticed.push(...list.problems);
      seen.add(imageId);
      columns.addAll(columns.addImage(imageId), kept.objects, kept.detections, options.difficult !== 'count');
    },
    result: () => evaluateColumns(columns.build(), { classes, parameters, problems: [...noticed] }),
  };
}
