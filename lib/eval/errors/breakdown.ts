/**
 * Where a detector loses average precision: TIDE (Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors",
 * ECCV 2020, arXiv 2008.08115), equal to the authors' `tidecv`.
 *
 * Every detection that finds nothing has one error, every object that nothing could find is missed. What a type of error costs is
 * what average precision would gain if all errors of that type were mended and nothing else (section 2.3). The gains do not add up.
 */
import type { Detection, GroundTruth } from '../../boxes/types';
import { checkInput } from '../check';
import type { EvaluationInput, EvaluationProblem } from '../problems';
import {
  type ErrorThresholds,
  type ErrorType,
  errorTypes,
  type JudgedDetection,
  type JudgedImage,
  judgeImage,
} from './image-errors';
import { createMender, type Mend } from './mended-ap';

/** What `errorBreakdown` looks at, and how. */
export interface ErrorBreakdownInput extends EvaluationInput, Partial<ErrorThresholds> {
  /** From which IoU a detection finds an object. Default 0.5. */
  readonly iouThreshold?: number;
  /** Up to which IoU a detection counts as one of the background. Default 0.1. */
  readonly backgroundThreshold?: number;
  /** Detections of an image, of all classes, the best first. Default 100. */
  readonly maxDetections?: number;
}

/** One error, to look at: with its image, what was found and what is there. */
export interface DetectionError {
  readonly type: ErrorType;
  /** The image's place in the input. */
  readonly image: number;
  /** Missing for missed objects. */
  readonly detection?: Detection;
  /** The object missed, or that the detection should have found, or found a second time. */
  readonly object?: GroundTruth;
  /** The detection lies in a crowd or a difficult object, and costs nothing. */
  readonly ignored: boolean;
}

/** What a type of error costs. */
export interface ErrorCost {
  readonly type: ErrorType;
  readonly what: string;
  readonly count: number;
  /** What average precision would gain without them, in [0, 1]; where nothing else is there, all that it lacks. */
  readonly apGain: number;
}

/** One class's average precision and errors. */
export type ClassErrors = Readonly<Record<ErrorType, number>> & {
  readonly name: string;
  readonly label: number;
  /** 0 where there is nothing to find. */
  readonly ap: number;
  readonly objects: number;
  readonly found: number;
};

/** The result of `errorBreakdown`. */
export interface ErrorBreakdown extends ErrorThresholds {
  /**
   * Average precision at `iouThreshold` as TIDE takes it: over 101 recalls, with the best detections of an image whatever their
   * class, and classes of which there are only detections count as 0. NaN when there is nothing at all.
   */
  readonly ap: number;
  readonly errors: readonly ErrorCost[];
  /** What it would gain if no detection that is wrong scored above one that is right, and if all objects were found. */
  readonly falsePositives: { readonly count: number; readonly apGain: number };
  readonly falseNegatives: { readonly count: number; readonly apGain: number };
  /** Wrong detections by the class they name, missed objects by their own. */
  readonly perClass: readonly ClassErrors[];
  /** Every error: images in the order given, detections from the highest score to the lowest, then missed objects. */
  readonly list: readonly DetectionError[];
  /** What was noticed in the input and did not stop the evaluation. */
  readonly problems: readonly EvaluationProblem[];
}

const meanings: Readonly<Record<ErrorType, string>> = {
  classification: 'on an object, but of another class',
  localisation: 'of the right class, but too far off',
  both: 'too far off an object of another class',
  duplicate: 'a second detection of an object',
  background: 'where there is nothing',
  missed: 'an object that no detection comes near',
};

/**
 * Breaks the errors of a detector down. Boxes are xyxy in pixels. Crowds and difficult objects are regions to ignore: a detection
 * that finds nothing and lies more than half (`iouThreshold`) inside one of its class counts neither way. Such detections are
 * looked at and counted all the same, as in the reference.
 * @throws EvaluationInputError that lists everything that is wrong with the input; RangeError for thresholds that cannot be
 */
export function errorBreakdown(input: ErrorBreakdownInput): ErrorBreakdown {
  const title = 'errorBreakdown';
  const { classes, iouThreshold = 0.5, backgroundThreshold = 0.1, maxDetections = 100 } = input;
  if (!(backgroundThreshold > 0 && backgroundThreshold < iouThreshold && iouThreshold <= 1)) {
    throw new RangeError(
      `${title}: thresholds must be 0 < background < IoU <= 1, got background ${backgroundThreshold}, IoU ${iouThreshold}`,
    );
  }
  if (!(maxDetections >= 1))
    throw new RangeError(`${title}: maxDetections must be 1 or more, got ${maxDetections}`);
  const thresholds = { iouThreshold, backgroundThreshold };
  const { groundTruth, detections, problems } = checkInput(title, input);
  const images = groundTruth.map((truths, i) => judgeImage(truths, detections[i], thresholds, maxDetections));

  const apWith = createMender(images, classes.length);
  const original = apWith();
  const list = images.flatMap(errorsOf);
  const count = (type: ErrorType): number =>
    list.reduce((sum, error) => sum + (error.type === type ? 1 : 0), 0);
  // Where mending leaves nothing to find and nothing found, nothing is wrong; where there was nothing before, nothing is gained.
  const gain = (mend: Mend): number => {
    const { ap } = apWith(mend);
    return Number.isNaN(original.ap) ? 0 : (Number.isNaN(ap) ? 1 : ap) - original.ap;
  };
  const perClass = classes.map((name, label) => ({
    name,
    label,
    ap: original.perClass[label],
    objects: 0,
    found: 0,
    ...(Object.fromEntries(errorTypes.map((type) => [type, 0])) as Record<ErrorType, number>),
  }));
  for (const { objects } of images) {
    for (const { object, found } of objects) {
      perClass[object.label].objects++;
      if (found) perClass[object.label].found++;
    }
  }
  for (const { type, detection, object } of list) perClass[(detection ?? object!).label][type]++;
  const wrong = (one: JudgedDetection): boolean => one.verdict === 'wrong';
  return {
    ap: original.ap,
    ...thresholds,
    errors: errorTypes.map((type) => ({
      type,
      what: meanings[type],
      count: count(type),
      // Mending can cost a little where the 101 recalls fall otherwise; TIDE calls that no gain.
      apGain: Math.max(gain({ type }), 0),
    })),
    falsePositives: {
      count: images.reduce((sum, image) => sum + image.detections.filter(wrong).length, 0),
      apGain: gain({ scores: true }),
    },
    falseNegatives: {
      count: perClass.reduce((sum, { objects, found }) => sum + objects - found, 0),
      apGain: gain({ unfound: true }),
    },
    perClass,
    list,
    problems,
  };
}

function errorsOf({ detections, objects }: JudgedImage, image: number): DetectionError[] {
  const errors: DetectionError[] = [];
  for (const { error, detection, object, verdict } of detections) {
    if (error) errors.push({ type: error, image, detection, object, ignored: verdict === 'ignored' });
  }
  for (const { object, missed } of objects) {
    if (missed) errors.push({ type: 'missed', image, object, ignored: false });
  }
  return errors;
}
