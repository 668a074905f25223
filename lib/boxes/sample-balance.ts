/**
 * How the balance of positives and negatives varies from batch to batch: a batch of few images may have hardly any positives, one of the
 * troubles of small batches that MegDet names (arXiv 1711.07240).
 */
import { type BoxArray, isDegenerate, toBoxArray } from './geometry';
import {
  backgroundLabel,
  matchAnchors,
  type MatchOptions,
  objectRole,
  roiMatching,
  rpnMatching,
} from './matching';
import type { SampleSize } from './proposals-sampling';
import type { GroundTruth } from './types';

/** How many anchors, or regions, of an image its loss takes. */
export interface SampleCounts {
  readonly positives: number;
  readonly negatives: number;
}

/**
 * How many of each `balancedSample` draws, which chance has no part in: positives up to their share of the sample, then negatives up to its
 * size.
 * @param labels class id, or -1 background, or -2 ignored
 */
export function sampleCounts(labels: Int32Array, { size, positiveFraction }: SampleSize): SampleCounts {
  let [positives, negatives] = [0, 0];
  for (const label of labels) {
    if (label >= 0) positives++;
    else if (label === backgroundLabel) negatives++;
  }
  const drawn = Math.min(positives, Math.floor(size * positiveFraction));
  return { positives: drawn, negatives: Math.min(negatives, size - drawn) };
}

/** All that match, without a sample: what a loss over every anchor takes. */
export const wholeSample: SampleSize = { size: Infinity, positiveFraction: 1 };

/** Options of `anchorCounts` and `regionCounts`. */
export interface SampleCountOptions {
  /** Default `rpnMatching` for anchors, `roiMatching` for regions. */
  readonly matching?: MatchOptions;
  /** Default 256 anchors an image, at most half of them positive; 512 regions, at most a quarter. `wholeSample` takes all. */
  readonly sample?: SampleSize;
}

/** What the region proposals' loss takes of an image's anchors. @param objects in the anchors' coordinates */
export function anchorCounts(
  anchors: BoxArray,
  objects: readonly GroundTruth[],
  options: SampleCountOptions = {},
): SampleCounts {
  const { matching = rpnMatching, sample = { size: 256, positiveFraction: 0.5 } } = options;
  return sampleCounts(matchAnchors(anchors, objects, matching).labels, sample);
}

/**
 * What the second stage's loss takes of an image's regions: proposals, and the objects' own boxes, as `sampleRegions` has them.
 * @param proposals xyxy in the objects' coordinates (see `proposedBoxes`)
 */
export function regionCounts(
  proposals: BoxArray,
  objects: readonly GroundTruth[],
  options: SampleCountOptions = {},
): SampleCounts {
  const { matching = roiMatching, sample = { size: 512, positiveFraction: 0.25 } } = options;
  const own = objects.filter((object) => !isDegenerate(object.box) && objectRole(object, matching) === 'use');
  const regions = new Float32Array(proposals.length + 4 * own.length);
  regions.set(proposals);
  regions.set(toBoxArray(own.map(({ box }) => box)), proposals.length);
  return sampleCounts(matchAnchors(regions, objects, matching).labels, sample);
}

/** The share of positives in the samples of batches of one size. */
export interface SampleBalance {
  /** Over batches. */
  readonly mean: number;
  /** Standard deviation over batches. */
  readonly deviation: number;
  /** `deviation` over `mean`. NaN where no batch has a positive. */
  readonly variation: number;
  /** Share of batches that have less than half of `mean`. */
  readonly belowHalf: number;
}

/** A batch's positives over all that its loss takes; 0 where it takes nothing. */
export function positiveShare(images: readonly SampleCounts[]): number {
  const positives = images.reduce((sum, image) => sum + image.positives, 0);
  const all = images.reduce((sum, image) => sum + image.negatives, positives);
  return all > 0 ? positives / all : 0;
}

/**
 * How much the share of positives varies between batches.
 * @param counts of every image
 * @param batches indices of each batch's images (see `drawBatches`)
 * @throws RangeError when there are no batches.
 */
export function sampleBalance(
  counts: readonly SampleCounts[],
  batches: readonly (readonly number[])[],
): SampleBalance {
  if (batches.length === 0) throw new RangeError('sampleBalance: no batches were given');
  const shares = batches.map((batch) => positiveShare(batch.map((image) => counts[image])));
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  const deviation = Math.sqrt(shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length);
  return {
    mean,
    deviation,
    variation: deviation / mean,
    belowHalf: shares.filter((share) => share < mean / 2).length / shares.length,
  };
}
