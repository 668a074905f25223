/** Batch normalisation over a few images at a time: what each of several devices does with its own share of a batch. */
import { batchNormTraining } from '../tensor/kernels/batch-norm';
import { tf } from '../tensor/tf';
import type { TrainingBatchNorm } from './module';

/**
 * Normalises every `images` consecutive images of a batch by their own statistics, as devices with so many images each do that do not
 * synchronise; MegDet's "BN size" (arXiv 1711.07240). For `ForwardContext.batchNorm`.
 *
 * Mean and variance that it returns, for the running statistics, are means over the groups.
 * @throws RangeError unless `images` is a whole number from 1; in use, where it does not divide the batch.
 */
export function batchNormByImages(images: number): TrainingBatchNorm {
  if (!Number.isInteger(images) || images < 1) {
    throw new RangeError(`batchNormByImages: images must be a whole number from 1, got ${images}`);
  }
  return (x, scale, offset, epsilon) => {
    const [batch] = x.shape;
    if (batch % images !== 0) {
      throw new RangeError(
        `batchNormByImages: a batch of ${batch} images is not made of groups of ${images}; choose a batch size that is a multiple`,
      );
    }
    if (batch === images) return batchNormTraining(x, scale, offset, epsilon);
    return tf.tidy(() => {
      const groups = tf
        .split(x, batch / images)
        .map((group) => batchNormTraining(group as tf.Tensor4D, scale, offset, epsilon));
      return {
        output: tf.concat(groups.map(({ output }) => output)),
        mean: tf.mean(tf.stack(groups.map(({ mean }) => mean)), 0) as tf.Tensor1D,
        variance: tf.mean(tf.stack(groups.map(({ variance }) => variance)), 0) as tf.Tensor1D,
      };
    });
  };
}
