/** Average precision as it is, and as it would be with some errors mended (TIDE, section 2.3). */
import { reachRecalls } from '../average-precision';
import { descendingOrder } from '../stable-order';
import { type ErrorType, errorTypes, type JudgedImage } from './image-errors';

/** What is mended: errors of a type; scores, wrong ones to 0 and right ones to 1; or unfound objects, which are taken away. */
export interface Mend {
  readonly type?: ErrorType;
  readonly scores?: boolean;
  readonly unfound?: boolean;
}

/** Average precision by class, 0 where there is nothing to find, and the mean of all classes of which there is anything. */
export interface MeanAp {
  readonly ap: number;
  readonly perClass: readonly number[];
}

const recalls: readonly number[] = Array.from({ length: 101 }, (_, i) => i / 100);
const right = -1;

/** A function that computes average precision, with something mended where told so. The detections are sorted once. */
export function createMender(images: readonly JudgedImage[], classes: number): (mend?: Mend) => MeanAp {
  const count = images.reduce((sum, { detections }) => sum + detections.length, 0);
  const label = new Int32Array(count);
  /** The class it would be of, or -1 where mending only takes it away. */
  const mended = new Int32Array(count).fill(-1);
  const score = new Float64Array(count);
  /** Index into `errorTypes`, or `right`. */
  const error = new Int8Array(count).fill(right);
  const ignored = new Uint8Array(count);
  let at = 0;
  for (const { detections } of images) {
    for (const { detection, verdict, error: type, object, mendable } of detections) {
      label[at] = detection.label;
      score[at] = detection.score;
      if (type) error[at] = errorTypes.indexOf(type);
      if (object && mendable) mended[at] = object.label;
      if (verdict === 'ignored') ignored[at] = 1;
      at++;
    }
  }
  const asGiven = descendingOrder(score);
  // With something mended, TIDE takes the wrong ones of equal scores first.
  const all = Array.from({ length: count }, (_, i) => i);
  const [wrongOnes, rightOnes] = [
    all.filter((i) => error[i] !== right),
    all.filter((i) => error[i] === right),
  ];
  const wrongFirst = Uint32Array.from([...wrongOnes, ...rightOnes]);
  const afterMending = descendingOrder(Float64Array.from(wrongFirst, (i) => score[i])).map(
    (i) => wrongFirst[i],
  );
  const byScores = Uint32Array.from([...rightOnes, ...wrongOnes]);

  return (mend = {}) => {
    const type = mend.type ? errorTypes.indexOf(mend.type) : errorTypes.length;
    const order = mend.scores ? byScores : mend.type || mend.unfound ? afterMending : asGiven;
    const positives = new Int32Array(classes);
    const everFound = new Int32Array(classes);
    for (const { objects } of images) {
      for (const { object, found, missed } of objects) {
        const gone = (mend.unfound && !found) || (mend.type === 'missed' && missed);
        if (!gone) positives[object.label]++;
        everFound[object.label]++;
      }
    }
    // Precision at each hit, class by class.
    const starts = new Int32Array(classes + 1);
    for (let k = 0; k < classes; k++) starts[k + 1] = starts[k] + everFound[k];
    const precision = new Float64Array(starts[classes]);
    const hits = new Int32Array(classes);
    const seen = new Int32Array(classes);
    for (let i = 0; i < count; i++) {
      const d = order[i];
      const mends = error[d] === type;
      const k = mends ? mended[d] : ignored[d] ? -1 : label[d];
      if (k < 0) continue;
      seen[k]++;
      if (!mends && error[d] !== right) continue;
      hits[k]++;
      precision[starts[k] + hits[k] - 1] = hits[k] / seen[k];
    }
    let [sum, counted] = [0, 0];
    const perClass = Array.from(positives, (wanted, k) => {
      if (wanted === 0 && seen[k] === 0) return 0;
      counted++;
      if (wanted === 0) return 0;
      const ap = apOf(precision.subarray(starts[k], starts[k] + hits[k]), wanted);
      sum += ap;
      return ap;
    });
    return { ap: sum / counted, perClass };
  };
}

/** The mean over 101 recalls of the highest precision at a recall or later, from the precision at each hit. */
function apOf(precision: Float64Array, positives: number): number {
  const reached = new Int32Array(recalls.length);
  reachRecalls(precision, precision.length, positives, recalls, reached);
  return reached.reduce((sum, hit) => sum + (hit < 0 ? 0 : precision[hit]), 0) / recalls.length;
}
