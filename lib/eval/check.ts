/** Checks annotations and detections, and gathers what is wrong with them over all images. */
import type { Detection, GroundTruth } from '../boxes/types';
import {
  EvaluationInputError,
  type EvaluationInput,
  type EvaluationProblem,
  type InvalidInput,
} from './problems';

const dropAdvice = "Mend it, or leave it out with invalid: 'drop'";

/**
 * From the worst to the least: what no evaluator can take, what the reference code leaves out, what it takes, and what is taken
 * under every policy.
 */
const severities = ['fatal', 'foreign', 'odd', 'harmless'] as const;
export type Severity = (typeof severities)[number];

/** Collects problems under one policy, and throws them together. */
export interface ProblemList {
  readonly problems: readonly EvaluationProblem[];
  /** Notes a problem and says whether its owner is evaluated. */
  report(severity: Severity, problem: Omit<EvaluationProblem, 'kept'>): boolean;
  /** @throws EvaluationInputError when there is a problem that the policy does not let pass. */
  throwIfAny(): void;
}

/** A list of problems for the evaluation of this title. @throws when the policy is none. */
export function createProblemList(title: string, invalid: InvalidInput = 'throw'): ProblemList {
  if (invalid !== 'throw' && invalid !== 'drop' && invalid !== 'official') {
    throw new RangeError(
      `${title}: invalid must be 'throw', 'drop' or 'official', got '${String(invalid as unknown)}'`,
    );
  }
  const problems: EvaluationProblem[] = [];
  const fatal: EvaluationProblem[] = [];
  return {
    problems,
    report(severity, problem) {
      const kept = severity === 'harmless' || (severity === 'odd' && invalid === 'official');
      const noted = { ...problem, kept };
      problems.push(noted);
      const passes = kept || invalid === 'drop' || (severity === 'foreign' && invalid === 'official');
      if (!passes) fatal.push(noted);
      return kept;
    },
    throwIfAny() {
      if (fatal.length > 0) throw new EvaluationInputError(title, fatal, dropAdvice);
    },
  };
}

/** The input without what had to be left out, and everything that was noticed. */
export interface CheckedInput<Truth extends GroundTruth = GroundTruth> {
  readonly groundTruth: readonly (readonly Truth[])[];
  readonly detections: readonly (readonly Detection[])[];
  readonly problems: readonly EvaluationProblem[];
}

/**
 * Checks what an evaluator is given. Wrong are: a box with a number that is not finite, an object with x2 <= x1 or y2 <= y1, a
 * detection with x2 < x1 or y2 < y1, a class that there is not, a score outside [0, 1], an image id that comes twice. A
 * detection without extent (cut to nothing at the image's border) is listed, and counts: it finds nothing.
 * @throws EvaluationInputError that lists everything, unless `invalid` lets it pass
 */
export function checkInput<Truth extends GroundTruth>(
  title: string,
  input: Omit<EvaluationInput, 'groundTruth'> & { readonly groundTruth: readonly (readonly Truth[])[] },
): CheckedInput<Truth> {
  const { groundTruth, detections, classes, ids, invalid } = input;
  if (groundTruth.length !== detections.length) {
    throw new RangeError(
      `${title}: ground truth of ${groundTruth.length} images, but detections of ${detections.length}; ` +
        'give an empty list for an image without any',
    );
  }
  if (ids && ids.length !== groundTruth.length) {
    throw new RangeError(`${title}: ${ids.length} ids for ${groundTruth.length} images`);
  }
  const list = createProblemList(title, invalid);
  const seen = new Set<number | string>();
  const kept = groundTruth.map((objects, i) => {
    const image = ids ? ids[i] : i;
    if (ids && seen.has(image)) {
      list.report('fatal', { what: 'image', index: i, image, problem: `image ${image} was added before` });
      return { objects: [], detections: [] };
    }
    seen.add(image);
    return checkImage(list, image, objects, detections[i], classes.length);
  });
  list.throwIfAny();
  return {
    groundTruth: kept.map(({ objects }) => objects),
    detections: kept.map((one) => one.detections),
    problems: list.problems,
  };
}

/** Checks one image; lists that need no change come back as they are. */
export function checkImage<Truth extends GroundTruth>(
  list: ProblemList,
  image: number | string,
  objects: readonly Truth[],
  detections: readonly Detection[],
  classes: number,
): { readonly objects: readonly Truth[]; readonly detections: readonly Detection[] } {
  const keptOf = <T extends GroundTruth | Detection>(
    items: readonly T[],
    isDetection: boolean,
  ): readonly T[] => {
    let dropped: Set<number> | undefined;
    for (let i = 0; i < items.length; i++) {
      const wrong = wrongWith(items[i], isDetection, classes);
      if (!wrong) continue;
      const what = isDetection ? 'detection' : 'object';
      const problem = `${what} ${i} of image ${image} ${wrong.problem}`;
      if (!list.report(wrong.severity, { what, index: i, image, problem })) (dropped ??= new Set()).add(i);
    }
    return dropped ? items.filter((_, i) => !dropped.has(i)) : items;
  };
  return { objects: keptOf(objects, false), detections: keptOf(detections, true) };
}

/** What is wrong with one object or detection, and how bad the worst of it is. */
function wrongWith(
  item: GroundTruth | Detection,
  isDetection: boolean,
  classes: number,
): { severity: Severity; problem: string } | undefined {
  const { box, label } = item;
  const score = isDetection ? (item as Detection).score : 1;
  const known = Number.isInteger(label) && label >= 0 && label < classes;
  if (box?.length === 4 && hasExtent(box[2] - box[0], box[3] - box[1]) && known && score >= 0 && score <= 1) {
    return undefined;
  }
  const found: [Severity, string][] = [];
  const boxText = `box ${box ? `[${box.join(', ')}]` : String(box)}`;
  if (box?.length !== 4 || !box.every(Number.isFinite)) {
    found.push(['fatal', `${boxText} (a box is four numbers, [x1, y1, x2, y2])`]);
  } else if (isDetection && box[2] >= box[0] && box[3] >= box[1]) {
    if (box[2] === box[0] || box[3] === box[1]) found.push(['harmless', `${boxText}, without extent`]);
  } else if (!hasExtent(box[2] - box[0], box[3] - box[1])) {
    found.push(['odd', `${boxText} (x2 must be above x1, y2 above y1; is it [x, y, width, height]?)`]);
  }
  if (typeof score !== 'number' || Number.isNaN(score)) found.push(['fatal', `score ${String(score)}`]);
  else if (score < 0 || score > 1) found.push(['odd', `score ${score} (a score lies in [0, 1])`]);
  if (!known) {
    const range = classes > 0 ? `, from 0 to ${classes - 1}` : '';
    found.push(['foreign', `label ${label}, but there are ${classes} classes${range}`]);
  }
  if (found.length === 0) return undefined;
  const { severity, problem } = worstOf(found);
  return { severity, problem: `has ${problem}` };
}

/** Several findings about one thing as one: all of them, as bad as the worst. */
export function worstOf(found: readonly (readonly [Severity, string])[]): {
  severity: Severity;
  problem: string;
} {
  const severity = severities.find((one) => found.some(([each]) => each === one)) ?? 'harmless';
  return { severity, problem: found.map(([, problem]) => problem).join(' and ') };
}

/** Whether a width and height are those of a box: above 0 and finite, which NaN is not. */
export function hasExtent(width: number, height: number): boolean {
  return width > 0 && height > 0 && width < Infinity && height < Infinity;
}
