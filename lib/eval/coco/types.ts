/** What COCO's evaluation takes and gives. */
import type { GroundTruth } from '../../boxes/types';
import type { EvaluationInput, EvaluationProblem } from '../problems';
import type { AreaRange, CocoOptions } from './parameters';

/** An annotated object, its `area` and `crowd` included. */
export type CocoObject = GroundTruth;

/** COCO's twelve figures, in [0, 1]. NaN where there is nothing to find, for which the official code prints -1. */
export interface CocoFigures {
  /** Average precision, the mean over IoU thresholds 0.50 to 0.95. */
  readonly ap: number;
  /** At IoU 0.50 and 0.75; NaN where these are not among the thresholds. */
  readonly ap50: number;
  readonly ap75: number;
  /** By the objects' area: up to 32 x 32 pixels, up to 96 x 96, above. */
  readonly apSmall: number;
  readonly apMedium: number;
  readonly apLarge: number;
  /** Average recall with the best 1, 10 and 100 detections an image and class (the three numbers of `maxDetections`). */
  readonly ar1: number;
  readonly ar10: number;
  readonly ar100: number;
  readonly arSmall: number;
  readonly arMedium: number;
  readonly arLarge: number;
}

/** One class's figures. */
export interface CocoClassResult extends CocoFigures {
  readonly name: string;
  readonly label: number;
  /** The id of the category in the COCO file that it came from. */
  readonly categoryId?: number;
  /** Objects to find, and detections that may count. */
  readonly objects: number;
  readonly detections: number;
}

/** The figures of one range of sizes. */
export interface CocoSizeResult extends AreaRange {
  readonly objects: number;
  readonly ap: number;
  readonly ap50: number;
  readonly ap75: number;
  /** With as many detections as the last of `maxDetections`. */
  readonly ar: number;
}

/** The result of an evaluation. */
export interface CocoResult extends CocoFigures {
  /**
   * The twelve figures in the order in which the official code has them, with its -1 for what there is not. Where `maxDetections` do
   * not end with 100, its first figure is always -1; here it is the average precision then, too.
   */
  readonly stats: readonly number[];
  /** With `classAgnostic` a single one, `all classes`. */
  readonly perClass: readonly CocoClassResult[];
  /** All sizes, then each range. */
  readonly bySize: readonly CocoSizeResult[];
  readonly images: number;
  readonly iouThresholds: readonly number[];
  readonly recallThresholds: readonly number[];
  readonly maxDetections: readonly number[];
  /** What the figures are means of. */
  readonly grid: CocoGrid;
  /** What was noticed in the input and did not stop the evaluation. */
  readonly problems: readonly EvaluationProblem[];
}

/** What `evaluateCoco` compares, and how. */
export interface CocoInput extends CocoOptions, EvaluationInput {
  readonly groundTruth: readonly (readonly CocoObject[])[];
  /**
   * The images' ids. Equal scores of different images are ordered by them, as in the official code: as numbers where all of them
   * are, or are written in digits, otherwise as texts. Default: by the order of the images.
   */
  readonly ids?: readonly (number | string)[];
}

/**
 * Everything that COCO's figures are means of, laid out as the official code's `eval` dictionary has it, the last index running
 * fastest. -1 stands where a class has nothing to find.
 */
export interface CocoGrid {
  readonly thresholds: number;
  readonly recalls: number;
  readonly classes: number;
  readonly sizes: number;
  readonly limits: number;
  /** `[thresholds, recalls, classes, sizes, limits]`: the highest precision at this recall or a higher one, 0 where it is not reached. */
  readonly precision: Float64Array;
  /** `[thresholds, recalls, classes, sizes, limits]`: the score of the detection that reaches the recall. */
  readonly scores: Float64Array;
  /** `[thresholds, classes, sizes, limits]`: the recall that all detections together reach. */
  readonly recall: Float64Array;
}
