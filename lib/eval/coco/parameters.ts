/** What COCO's evaluation measures: IoU thresholds, recalls, sizes and numbers of detections, as its `Params` has them. */
import type { CheckOptions } from '../problems';

/** Objects whose area lies in `[from, to]`, both inclusive, in square pixels. */
export interface AreaRange {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** How to measure. Everything left out is as in COCO. */
export interface CocoOptions extends CheckOptions {
  /** From which IoU a detection finds an object, inclusive. Default 0.5, 0.55, ..., 0.95. */
  readonly iouThresholds?: readonly number[];
  /** The three numbers of detections an image and class for which recall is given, ascending. Default 1, 10, 100. */
  readonly maxDetections?: readonly [few: number, some: number, most: number];
  /**
   * Sizes that are measured apart, beside all sizes. Default `small`, up to 32 x 32 pixels, `medium`, up to 96 x 96, and `large`.
   * A range of the same name replaces what `apSmall` and so on stand for.
   */
  readonly areaRanges?: readonly AreaRange[];
  /** One class for all, as for proposals (`useCats = 0`). Default false. */
  readonly classAgnostic?: boolean;
  /** `ignore`: finding an object marked `difficult` is neither right nor wrong. `count`: the mark is not looked at. Default `ignore`. */
  readonly difficult?: 'ignore' | 'count';
}

/** `CocoOptions` with everything filled in. */
export interface CocoParameters {
  readonly iouThresholds: readonly number[];
  readonly recallThresholds: readonly number[];
  readonly maxDetections: readonly number[];
  /** The first is all sizes. */
  readonly areaRanges: readonly AreaRange[];
  readonly classAgnostic: boolean;
}

/** `count` numbers from `first` to `last`, to the bit what NumPy's `linspace` gives, which the official thresholds are made by. */
function linspace(first: number, last: number, count: number): number[] {
  const step = (last - first) / (count - 1);
  return Array.from({ length: count }, (_, i) => (i === count - 1 ? last : i * step + first));
}

/** COCO's ten IoU thresholds. */
export const cocoIouThresholds: readonly number[] = linspace(0.5, 0.95, 10);

/** The 101 recalls at which COCO reads precision. */
export const cocoRecallThresholds: readonly number[] = linspace(0, 1, 101);

const largest = 1e5 ** 2;

/** COCO's sizes. An object of exactly 32 x 32 pixels is both small and medium, as in the official code. */
export const cocoAreaRanges: readonly AreaRange[] = [
  { name: 'small', from: 0, to: 32 ** 2 },
  { name: 'medium', from: 32 ** 2, to: 96 ** 2 },
  { name: 'large', from: 96 ** 2, to: largest },
];

/** Fills in what was left out. @throws RangeError that names what cannot be. */
export function cocoParameters(title: string, options: CocoOptions): CocoParameters {
  const {
    iouThresholds = cocoIouThresholds,
    maxDetections = [1, 10, 100],
    areaRanges = cocoAreaRanges,
    classAgnostic = false,
    difficult = 'ignore',
  } = options;
  if (iouThresholds.length === 0 || !iouThresholds.every((t) => t > 0 && t <= 1)) {
    throw new RangeError(
      `${title}: iouThresholds must be above 0 and at most 1, got [${iouThresholds.join(', ')}]`,
    );
  }
  if (
    maxDetections.length !== 3 ||
    !maxDetections.every((m, i) => Number.isInteger(m) && m > (i > 0 ? maxDetections[i - 1] : 0))
  ) {
    throw new RangeError(
      `${title}: maxDetections must be three whole numbers, ascending, got [${maxDetections.join(', ')}]`,
    );
  }
  for (const { name, from, to } of areaRanges) {
    if (!(from <= to)) throw new RangeError(`${title}: area range '${name}' is empty: [${from}, ${to}]`);
    if (name === 'all') throw new RangeError(`${title}: the area range 'all' is always there; leave it out`);
  }
  if (difficult !== 'ignore' && difficult !== 'count') {
    throw new RangeError(
      `${title}: difficult must be 'ignore' or 'count', got '${String(difficult as unknown)}'`,
    );
  }
  return {
    iouThresholds,
    recallThresholds: cocoRecallThresholds,
    maxDetections,
    areaRanges: [{ name: 'all', from: 0, to: largest }, ...areaRanges],
    classAgnostic,
  };
}
