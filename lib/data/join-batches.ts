/** Batches made of batches, to try sizes and orders without reading images again. */
import type { Batch } from './loader';

/** One batch of all images of several, in their order. @throws RangeError when there are none or their images differ in size. */
export function joinBatches(batches: readonly Batch[]): Batch {
  if (batches.length === 0) throw new RangeError('joinBatches: no batches were given');
  const [, height, width] = batches[0].shape;
  const count = batches.reduce((sum, { shape }) => sum + shape[0], 0);
  const images = new Float32Array(count * height * width * 3);
  let at = 0;
  for (const batch of batches) {
    if (batch.shape[1] !== height || batch.shape[2] !== width) {
      throw new RangeError(
        `joinBatches: images of ${batch.shape[2]} x ${batch.shape[1]} don't go with those of ${width} x ${height}`,
      );
    }
    images.set(batch.images, at);
    at += batch.images.length;
  }
  return {
    images,
    shape: [count, height, width, 3],
    groundTruth: batches.flatMap(({ groundTruth }) => groundTruth),
    ids: batches.flatMap(({ ids }) => ids),
    fits: batches.flatMap(({ fits }) => fits),
  };
}
