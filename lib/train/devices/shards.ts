/** How a batch is shared out among devices. */
import type { Batch } from '../../data/loader';

/** Images of one device: those from `from` on, `count` of the batch's `total`. */
export interface Shard {
  readonly from: number;
  readonly count: number;
  readonly total: number;
}

/**
 * Shares `total` images out: consecutive ones to each device, at least one, as nearly in proportion to `shares` as whole images can be (largest
 * remainders; where these are equal, to the lower rank).
 * @param shares one a device, above 0. A number: so many devices of equal shares.
 * @throws RangeError for fewer images than devices, or a share that is no number above 0.
 */
export function shareOut(total: number, shares: number | readonly number[]): Shard[] {
  const weights = typeof shares === 'number' ? new Array<number>(shares).fill(1) : shares;
  if (weights.length === 0 || !weights.every((share) => share > 0 && share < Infinity)) {
    throw new RangeError(`shareOut: shares are numbers above 0, one a device, got [${weights.join(', ')}]`);
  }
  if (total < weights.length) {
    throw new RangeError(
      `a batch of ${total} ${total === 1 ? 'image' : 'images'} leaves a device of ${weights.length} without one; ` +
        'take larger batches (dropLast: true leaves out the short one at an epoch’s end) or fewer devices',
    );
  }
  const sum = weights.reduce((all, weight) => all + weight, 0);
  // One for everybody, the rest in proportion.
  const wanted = weights.map((weight) => Math.max(0, (total * weight) / sum - 1));
  const scale = (total - weights.length) / (wanted.reduce((all, value) => all + value, 0) || 1);
  const exact = wanted.map((value) => value * scale);
  const counts = exact.map((value) => 1 + Math.floor(value + 1e-9));
  const left = total - counts.reduce((all, count) => all + count, 0);
  const byRemainder = exact
    .map((value, rank) => ({ rank, remainder: value + 1 - counts[rank] }))
    .sort((a, b) => b.remainder - a.remainder || a.rank - b.rank);
  for (const { rank } of byRemainder.slice(0, left)) counts[rank]++;
  let from = 0;
  return counts.map((count) => {
    const shard = { from, count, total };
    from += count;
    return shard;
  });
}

/** A device's images of a batch, in memory of their own. */
export function shardOf(batch: Batch, { from, count }: Shard): Batch {
  const { images, shape, groundTruth, ids, fits } = batch;
  const [, height, width, channels] = shape;
  const values = height * width * channels;
  return {
    images: images.slice(from * values, (from + count) * values),
    shape: [count, height, width, channels],
    groundTruth: groundTruth.slice(from, from + count),
    ids: ids.slice(from, from + count),
    fits: fits.slice(from, from + count),
  };
}
