/** From a batch of raw predictions on the backend to each image's detections. */
import type { Detection } from '../boxes/types';
import { tf } from '../tensor/tf';
import type { RetinaNetPredictions } from './heads/retinanet';
import type { SsdPredictions } from './heads/ssd';

/**
 * Reads both tensors, disposes them, and decodes image by image.
 * @param decode one image's `[A, columns]` logits and `[A, 4]` deltas, views that must not be kept, and its place in the batch
 */
export async function decodePredictions(
  { classLogits, boxDeltas }: SsdPredictions | RetinaNetPredictions,
  decode: (logits: Float32Array, deltas: Float32Array, image: number) => Detection[],
): Promise<Detection[][]> {
  const [logits, deltas] = (await Promise.all([classLogits.data(), boxDeltas.data()])) as Float32Array[];
  const [batch, count, columns] = classLogits.shape;
  tf.dispose([classLogits, boxDeltas]);
  return Array.from({ length: batch }, (_, image) =>
    decode(
      logits.subarray(image * count * columns, (image + 1) * count * columns),
      deltas.subarray(image * count * 4, (image + 1) * count * 4),
      image,
    ),
  );
}
