/** A batch's pixels on the backend. */
import type { Batch } from '../data/loader';
import { tf } from '../tensor/tf';

/** A batch's images as a tensor `[B, H, W, 3]`; the caller disposes it. */
export function batchTensor(batch: Batch): tf.Tensor4D {
  return tf.tensor4d(batch.images, [...batch.shape]);
}
