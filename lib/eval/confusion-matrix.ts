/**
 * Which classes a detector takes for which, at one score: the confusion matrix of detection, with the background as one class
 * more. Detections and objects belong together by their overlap alone, whatever their classes, as in YOLOv5's `ConfusionMatrix`.
 * Unlike there, a detection whose object goes to a better one may still have another, the threshold is inclusive, and detections
 * of nothing count in images without any pair, too.
 */
import type { Detection, GroundTruth } from '../boxes/types';
import { boxArea, iou } from '../boxes/geometry';
import { checkInput } from './check';
import type { EvaluationInput, EvaluationProblem } from './problems';

/** What `confusionMatrix` compares, and how. */
export interface ConfusionMatrixInput extends EvaluationInput {
  /** Detections below are not looked at. Default 0.25. */
  readonly scoreThreshold?: number;
  /** From which IoU a detection and an object belong together, inclusive. Default 0.5. */
  readonly iouThreshold?: number;
}

/** The result of `confusionMatrix`. */
export interface ConfusionMatrix {
  /** The classes, and `background` last: names of both rows and columns. */
  readonly labels: readonly string[];
  /**
   * `matrix[there][found]` counts. The last column counts objects that were missed, the last row detections of nothing; where
   * both meet is 0.
   */
  readonly matrix: readonly (readonly number[])[];
  /** Each row as shares of its sum, for `heatMap`; `null` in rows without any. */
  readonly shares: readonly (readonly (number | null)[])[];
  /** Share of the objects that were found as their own class, and of the detections that are; NaN without any. */
  readonly recall: number;
  readonly precision: number;
  readonly scoreThreshold: number;
  readonly iouThreshold: number;
  readonly problems: readonly EvaluationProblem[];
}

/**
 * The confusion matrix of a whole set of images. Boxes are xyxy in pixels. Pairs are made from the highest IoU to the lowest, each
 * object and each detection once; of equal IoUs, the detection with the higher score goes first. Crowds and difficult objects are
 * no row, and a detection without a pair that lies in one of them (by `iouThreshold`, of a crowd the part of the detection inside)
 * is left out.
 * @throws EvaluationInputError that lists everything that is wrong with the input; RangeError for thresholds that cannot be
 */
export function confusionMatrix(input: ConfusionMatrixInput): ConfusionMatrix {
  const title = 'confusionMatrix';
  const { classes, scoreThreshold = 0.25, iouThreshold = 0.5 } = input;
  if (!(iouThreshold > 0 && iouThreshold <= 1)) {
    throw new RangeError(`${title}: iouThreshold must be above 0 and at most 1, got ${iouThreshold}`);
  }
  if (Number.isNaN(scoreThreshold))
    throw new RangeError(`${title}: scoreThreshold must be a number, got NaN`);
  const { groundTruth, detections, problems } = checkInput(title, input);
  const background = classes.length;
  const matrix = Array.from({ length: background + 1 }, () => new Array<number>(background + 1).fill(0));
  groundTruth.forEach((truths, i) => {
    const found = detections[i].filter(({ score }) => score >= scoreThreshold);
    const wanted = truths.filter((object) => !isRegion(object));
    const regions = truths.filter(isRegion);
    const { ofObject, ofDetection } = pairs(wanted, found, iouThreshold);
    wanted.forEach(({ label }, g) => {
      matrix[label][ofObject[g] < 0 ? background : found[ofObject[g]].label]++;
    });
    found.forEach((detection, d) => {
      const forgiven = (): boolean => regions.some((region) => isInside(detection, region, iouThreshold));
      if (ofDetection[d] < 0 && !forgiven()) matrix[background][detection.label]++;
    });
  });
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const right = sum(classes.map((_, label) => matrix[label][label]));
  const objects = sum(matrix.slice(0, background).map(sum));
  const counted = sum(matrix.map((row) => sum(row.slice(0, background))));
  return {
    labels: [...classes, 'background'],
    matrix,
    shares: matrix.map((row) => row.map((value) => (sum(row) > 0 ? value / sum(row) : null))),
    recall: right / objects,
    precision: right / counted,
    scoreThreshold,
    iouThreshold,
    problems,
  };
}

function isRegion({ crowd, difficult }: GroundTruth): boolean {
  return crowd === true || difficult === true;
}

/** Which object and detection belong together: the other's index, or -1. */
function pairs(
  objects: readonly GroundTruth[],
  detections: readonly Detection[],
  iouThreshold: number,
): { ofObject: Int32Array; ofDetection: Int32Array } {
  const candidates: { overlap: number; g: number; d: number }[] = [];
  objects.forEach(({ box }, g) => {
    detections.forEach((detection, d) => {
      const overlap = iou(box, detection.box);
      if (overlap >= iouThreshold) candidates.push({ overlap, g, d });
    });
  });
  candidates.sort((a, b) => b.overlap - a.overlap || detections[b.d].score - detections[a.d].score);
  const ofObject = new Int32Array(objects.length).fill(-1);
  const ofDetection = new Int32Array(detections.length).fill(-1);
  for (const { g, d } of candidates) {
    if (ofObject[g] >= 0 || ofDetection[d] >= 0) continue;
    ofObject[g] = d;
    ofDetection[d] = g;
  }
  return { ofObject, ofDetection };
}

function isInside({ box }: Detection, region: GroundTruth, threshold: number): boolean {
  if (!region.crowd) return iou(box, region.box) >= threshold;
  const width = Math.min(box[2], region.box[2]) - Math.max(box[0], region.box[0]);
  const height = Math.min(box[3], region.box[3]) - Math.max(box[1], region.box[1]);
  return width > 0 && height > 0 && (width * height) / boxArea(box) >= threshold;
}
