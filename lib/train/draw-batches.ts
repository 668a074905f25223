/** Batches to measure with. */
import type { Random } from '../tensor/random';

/**
 * Draws independent batches with replacement, as from an endless data set that is made of these images: an image may be in a batch twice.
 * What is averaged over a batch then has a variance of exactly 1 / batchSize of an image's, however few images there are; without
 * replacement it would shrink faster, and be 0 for a batch of all.
 * @param images how many there are
 * @returns for each batch the indices of its images
 * @throws RangeError unless all numbers are whole and above 0.
 */
export function drawBatches(images: number, batchSize: number, batches: number, random: Random): number[][] {
  for (const [name, value] of Object.entries({ images, batchSize, batches })) {
    if (Number.isInteger(value) && value > 0) continue;
    throw new RangeError(`drawBatches: ${name} must be a whole number above 0, got ${value}`);
  }
  return Array.from({ length: batches }, () =>
    Array.from({ length: batchSize }, () => random.integer(images)),
  );
}
