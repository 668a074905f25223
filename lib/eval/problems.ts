/** What evaluators are given, and how they tell what is wrong with it: all of it at once, not one error a run. */
import type { Detection, GroundTruth } from '../boxes/types';

const mostShown = 20;

/** One thing that is wrong. */
export interface EvaluationProblem {
  readonly what: 'image' | 'category' | 'object' | 'detection';
  /** Its place in the list it came in: the objects or detections of its image, or an array of a COCO file. */
  readonly index: number;
  /** The image it belongs to. */
  readonly image?: number | string;
  /** Its own id, where it has one. */
  readonly id?: number | string;
  /** The whole sentence: which one, and what is wrong with it. */
  readonly problem: string;
  /** Whether it was evaluated all the same. */
  readonly kept: boolean;
}

/**
 * What becomes of wrong input. `throw`: one error that lists all of it. `drop`: it is left out, and the result lists it.
 * `official`: as in the reference code, which takes boxes without extent and scores of any size, and leaves out unknown
 * classes; what would make it fail still throws. The result lists what was taken or left out.
 */
export type InvalidInput = 'throw' | 'drop' | 'official';

/** Option of all evaluators. */
export interface CheckOptions {
  /** Default `throw`. */
  readonly invalid?: InvalidInput;
}

/** What all evaluators compare: element i of each list is about image i. */
export interface EvaluationInput extends CheckOptions {
  readonly groundTruth: readonly (readonly GroundTruth[])[];
  readonly detections: readonly (readonly Detection[])[];
  /** `classes[label]` names class `label`. */
  readonly classes: readonly string[];
  /** The images' names, for messages and results. Default: their place, from 0. */
  readonly ids?: readonly (number | string)[];
}

/** The error that lists everything that is wrong with the input. */
export class EvaluationInputError extends RangeError {
  override readonly name: string = 'EvaluationInputError';
  readonly problems: readonly EvaluationProblem[];

  constructor(title: string, problems: readonly EvaluationProblem[], advice: string) {
    const shown = problems.slice(0, mostShown).map(({ problem }) => problem);
    const rest = problems.length - shown.length;
    if (rest > 0) shown.push(`and ${rest} more, which the error's "problems" lists`);
    super(
      problems.length === 1
        ? `${title}: ${shown[0]}${advice && `. ${advice}`}`
        : `${title}: ${problems.length} problems\n  ${shown.join('\n  ')}${advice && `\n${advice}`}`,
    );
    this.problems = problems;
  }
}
