/**
 * Pascal VOC's mean average precision (Everingham et al., IJCV 2010, section 4.2, and the development kits of 2007 and 2010).
 *
 * The kit measures boxes with inclusive pixel coordinates, a width being `xmax - xmin + 1`. Here coordinates are continuous, and
 * the VOC reader takes 1 from xmin and ymin; widths, areas and IoU are then the kit's exactly. Detections must be in the same
 * coordinates as the ground truth.
 */
import type { Detection, GroundTruth } from '../boxes/types';
import { type ApMethod, averagePrecision, precisionRecall } from './average-precision';
import { checkImage, checkInput, createProblemList } from './check';
import { isIgnored, matchDetections, outcomes } from './detection-matching';
import type { CheckOptions, EvaluationInput, EvaluationProblem } from './problems';
import { descendingOrder } from './stable-order';

/** How to measure. */
export interface VocOptions extends CheckOptions {
  /** IoU from which a detection finds an object, inclusive as in the kit. Default 0.5. */
  readonly iouThreshold?: number;
  /** Default `11-point`, VOC2007's; the kits from 2010 on use `all-point`. */
  readonly method?: ApMethod;
  /**
   * Count only objects with an area in `[from, to)`, square pixels. Objects outside are treated as difficult, and a detection
   * that finds nothing is ignored if its own area lies outside. Default: all sizes.
   */
  readonly areaRange?: readonly [from: number, to: number];
}

/** One class's result. */
export interface VocClassResult {
  readonly name: string;
  readonly label: number;
  /** NaN when there is nothing to find. */
  readonly ap: number;
  /** Objects to find: neither difficult nor crowds nor out of range. */
  readonly positives: number;
  readonly truePositives: number;
  readonly falsePositives: number;
  /** The curve: a point after each detection that counts, highest score first. Ignored detections have none. */
  readonly recall: readonly number[];
  readonly precision: readonly number[];
  readonly scores: readonly number[];
}

/** The result of an evaluation. */
export interface VocResult {
  /** Mean of the classes' AP. Classes without objects to find are left out; NaN when all are. */
  readonly map: number;
  readonly perClass: readonly VocClassResult[];
  /** Names of the classes left out of the mean. */
  readonly withoutObjects: readonly string[];
  readonly iouThreshold: number;
  readonly method: ApMethod;
  /** What was noticed in the input and did not stop the evaluation. */
  readonly problems: readonly EvaluationProblem[];
}

/** What `evaluateVoc` compares, and how. */
export interface VocInput extends VocOptions, EvaluationInput {}

/** Collects images one by one and measures them as often as asked. */
export interface VocEvaluator {
  /** Number of images so far. */
  readonly images: number;
  /** Adds an image. @throws when it was added before; EvaluationInputError that lists all that is wrong with it. */
  add(imageId: number | string, groundTruth: readonly GroundTruth[], detections: readonly Detection[]): void;
  /** Measures all images so far; options override the evaluator's (another IoU threshold, a range of sizes). */
  result(options?: VocOptions): VocResult;
}

/**
 * Mean average precision of a whole set of images at once.
 * @throws EvaluationInputError that lists everything that is wrong with the input
 */
export function evaluateVoc(input: VocInput): VocResult {
  const { groundTruth, detections, problems } = checkInput(title, input);
  const images = groundTruth.map((objects, i) => byLabel(objects, detections[i]));
  return measure(images, problems, input.classes, input);
}

const title = 'VOC evaluation';

/** One image's objects and detections of one class; detections from the highest score to the lowest. */
interface ClassInImage {
  readonly objects: readonly GroundTruth[];
  readonly detections: readonly Detection[];
}

/** An evaluator for these classes; memory grows with the detections added. */
export function createVocEvaluator(classes: readonly string[], options: VocOptions = {}): VocEvaluator {
  const seen = new Set<number | string>();
  const images: ReadonlyMap<number, ClassInImage>[] = [];
  const problems: EvaluationProblem[] = [];
  return {
    get images() {
      return images.length;
    },
    add(imageId, groundTruth, detections) {
      if (seen.has(imageId)) throw new RangeError(`${title}: image ${imageId} was added before`);
      const list = createProblemList(title, options.invalid);
      const kept = checkImage(list, imageId, groundTruth, detections, classes.length);
      list.throwIfAny();
      seen.add(imageId);
      problems.push(...list.problems);
      images.push(byLabel(kept.objects, kept.detections));
    },
    result: (overrides = {}) => measure(images, [...problems], classes, { ...options, ...overrides }),
  };
}

/** One image's objects and detections by their class, detections from the highest score to the lowest. */
function byLabel(
  groundTruth: readonly GroundTruth[],
  detections: readonly Detection[],
): ReadonlyMap<number, ClassInImage> {
  const classes = new Map<number, { objects: GroundTruth[]; detections: Detection[] }>();
  const of = (label: number): { objects: GroundTruth[]; detections: Detection[] } => {
    let entry = classes.get(label);
    if (!entry) classes.set(label, (entry = { objects: [], detections: [] }));
    return entry;
  };
  for (const object of groundTruth) of(object.label).objects.push(object);
  for (const detection of detections) of(detection.label).detections.push(detection);
  // Array sort is stable: equal scores stay in the order given.
  for (const entry of classes.values()) entry.detections.sort((a, b) => b.score - a.score);
  return classes;
}

function measure(
  images: readonly ReadonlyMap<number, ClassInImage>[],
  problems: readonly EvaluationProblem[],
  classes: readonly string[],
  { iouThreshold = 0.5, method = '11-point', areaRange }: VocOptions,
): VocResult {
  if (!(iouThreshold > 0 && iouThreshold <= 1)) {
    throw new RangeError(`${title}: iouThreshold must be above 0 and at most 1, got ${iouThreshold}`);
  }
  if (method !== '11-point' && method !== 'all-point') {
    throw new RangeError(`${title}: method must be '11-point' or 'all-point', got '${String(method)}'`);
  }
  const byClass: ClassInImage[][] = classes.map(() => []);
  for (const image of images) for (const [label, entry] of image) byClass[label].push(entry);
  const perClass = classes.map((name, label) =>
    measureClass(name, label, byClass[label], { iouThreshold, method, areaRange }),
  );
  const counted = perClass.filter(({ positives }) => positives > 0);
  return {
    map: counted.reduce((sum, { ap }) => sum + ap, 0) / counted.length,
    perClass,
    withoutObjects: perClass.filter(({ positives }) => positives === 0).map(({ name }) => name),
    iouThreshold,
    method,
    problems,
  };
}

function measureClass(
  name: string,
  label: number,
  images: readonly ClassInImage[],
  options: Required<Pick<VocOptions, 'iouThreshold' | 'method'>> & Pick<VocOptions, 'areaRange'>,
): VocClassResult {
  const { areaRange, method } = options;
  let positives = 0;
  const scores: number[] = [];
  const found: boolean[] = [];
  for (const { objects, detections } of images) {
    for (const object of objects) if (!isIgnored(object, areaRange)) positives++;
    const verdicts = matchDetections(
      objects,
      detections.map(({ box }) => box),
      options,
    );
    verdicts.forEach((verdict, i) => {
      if (verdict !== outcomes.ignored) {
        scores.push(detections[i].score);
        found.push(verdict === outcomes.truePositive);
      }
    });
  }
  // Matching never looks across images, so sorting may come last. Ties: the order in which images were added.
  const order = Array.from(descendingOrder(scores));
  const hits = order.map((i) => found[i]);
  const curve = precisionRecall(hits, positives);
  const truePositives = hits.filter(Boolean).length;
  return {
    name,
    label,
    ap: positives === 0 ? NaN : averagePrecision(curve, method),
    positives,
    truePositives,
    falsePositives: hits.length - truePositives,
    ...curve,
    scores: order.map((i) => scores[i]),
  };
}
