/**
 * Pascal VOC's mean average precision (Everingham et al., IJCV 2010, section 4.2, and the development kits of 2007 and 2010).
 *
 * The kit measures boxes with inclusive pixel coordinates, a width being `xmax - xmin + 1`. Here coordinates are continuous, and
 * the VOC reader takes 1 from xmin and ymin; widths, areas and IoU are then the kit's exactly. Detections must be in the same
 * coordinates as the ground truth.
 */
import type { Detection, GroundTruth } from '../boxes/types';
import { type ApMethod, averagePrecision, precisionRecall } from './average-precision';
import { isIgnored, matchDetections, outcomes } from './detection-matching';

/** How to measure. */
export interface VocOptions {
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
}

/** What `evaluateVoc` compares: element i of both lists is about image i. */
export interface VocInput extends VocOptions {
  readonly groundTruth: readonly (readonly GroundTruth[])[];
  readonly detections: readonly (readonly Detection[])[];
  /** `classes[label]` names class `label`. */
  readonly classes: readonly string[];
}

/** Collects images one by one and measures them as often as asked. */
export interface VocEvaluator {
  /** Number of images so far. */
  readonly images: number;
  /** Adds an image. @throws when it was added before, or a label, score or box cannot be; naming image and index. */
  add(imageId: string, groundTruth: readonly GroundTruth[], detections: readonly Detection[]): void;
  /** Measures all images so far; options override the evaluator's (another IoU threshold, a range of sizes). */
  result(options?: VocOptions): VocResult;
}

/** Mean average precision of a whole set of images at once. */
export function evaluateVoc(input: VocInput): VocResult {
  const { groundTruth, detections, classes } = input;
  if (groundTruth.length !== detections.length) {
    throw new RangeError(
      `evaluateVoc: ground truth of ${groundTruth.length} images, but detections of ${detections.length}; ` +
        'give an empty list for an image without any',
    );
  }
  const evaluator = createVocEvaluator(classes, input);
  groundTruth.forEach((objects, i) => evaluator.add(String(i), objects, detections[i]));
  return evaluator.result();
}

/** One image's objects and detections of one class; detections from the highest score to the lowest. */
interface ClassInImage {
  readonly objects: readonly GroundTruth[];
  readonly detections: readonly Detection[];
}

/** An evaluator for these classes; memory grows with the detections added. */
export function createVocEvaluator(classes: readonly string[], options: VocOptions = {}): VocEvaluator {
  const seen = new Set<string>();
  // Only the images where a class occurs.
  const byClass: ClassInImage[][] = classes.map(() => []);
  return {
    get images() {
      return seen.size;
    },
    add(imageId, groundTruth, detections) {
      if (seen.has(imageId)) throw new RangeError(`VOC evaluation: image ${imageId} was added before`);
      groundTruth.forEach((object, i) => check(object, classes, `object ${i} of image ${imageId}`));
      detections.forEach((detection, i) => {
        const where = `detection ${i} of image ${imageId}`;
        check(detection, classes, where);
        if (Number.isNaN(detection.score)) throw new RangeError(`VOC evaluation: ${where} has score NaN`);
      });
      seen.add(imageId);
      const inImage = new Map<number, { objects: GroundTruth[]; detections: Detection[] }>();
      const of = (label: number): { objects: GroundTruth[]; detections: Detection[] } => {
        let entry = inImage.get(label);
        if (!entry) inImage.set(label, (entry = { objects: [], detections: [] }));
        return entry;
      };
      for (const object of groundTruth) of(object.label).objects.push(object);
      for (const detection of detections) of(detection.label).detections.push(detection);
      for (const [label, entry] of inImage) {
        // Array sort is stable: equal scores stay in the order given.
        entry.detections.sort((a, b) => b.score - a.score);
        byClass[label].push(entry);
      }
    },
    result(overrides = {}) {
      const { iouThreshold = 0.5, method = '11-point', areaRange } = { ...options, ...overrides };
      if (!(iouThreshold > 0 && iouThreshold <= 1)) {
        throw new RangeError(
          `VOC evaluation: iouThreshold must be above 0 and at most 1, got ${iouThreshold}`,
        );
      }
      if (method !== '11-point' && method !== 'all-point') {
        throw new RangeError(
          `VOC evaluation: method must be '11-point' or 'all-point', got '${String(method)}'`,
        );
      }
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
      };
    },
  };
}

function measureClass(
  name: string,
  label: number,
  images: readonly ClassInImage[],
  options: Required<Omit<VocOptions, 'areaRange'>> & Pick<VocOptions, 'areaRange'>,
): VocClassResult {
  const { areaRange, method } = options;
  let positives = 0;
  const counted: { score: number; hit: boolean }[] = [];
  for (const { objects, detections } of images) {
    for (const object of objects) if (!isIgnored(object, areaRange)) positives++;
    const verdicts = matchDetections(
      objects,
      detections.map(({ box }) => box),
      options,
    );
    verdicts.forEach((verdict, i) => {
      if (verdict !== outcomes.ignored) {
        counted.push({ score: detections[i].score, hit: verdict === outcomes.truePositive });
      }
    });
  }
  // Matching never looks across images, so sorting may come last. Ties: the order in which images were added.
  counted.sort((a, b) => b.score - a.score);
  const hits = counted.map(({ hit }) => hit);
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
    scores: counted.map(({ score }) => score),
  };
}

function check({ box, label }: GroundTruth | Detection, classes: readonly string[], where: string): void {
  if (!(label in classes)) {
    throw new RangeError(
      `VOC evaluation: ${where} has label ${label}, but there are ${classes.length} classes, from 0 to ${classes.length - 1}`,
    );
  }
  if (box.length !== 4 || box.some(Number.isNaN)) {
    throw new RangeError(
      `VOC evaluation: ${where} has box [${box.join(', ')}]; a box is four numbers, [x1, y1, x2, y2]`,
    );
  }
}
