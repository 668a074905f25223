/** A two-stage detector's proposals as plain numbers. */
import type { BoxArray } from '../../boxes/geometry';
import { inference } from '../../nn/module';
import { tf } from '../../tensor/tf';
import type { FasterRcnnDetector } from './faster-rcnn-detector';

/**
 * The regions that a detector's first stage proposes.
 * @param images `[B, H, W, 3]`, normalised as in training; not disposed. The network normalises by its running statistics.
 * @param purpose how many are proposed: as many as in training (default), or in inference
 * @returns for each image its boxes, xyxy in pixels of the input, highest score first
 */
export async function proposedBoxes(
  { model, anchors }: FasterRcnnDetector,
  images: tf.Tensor4D,
  purpose: 'training' | 'inference' = 'training',
): Promise<BoxArray[]> {
  const { boxes, valid } = tf.tidy(() =>
    model.propose(model.firstStage(images, inference, anchors), purpose),
  );
  const [batch, count] = valid.shape;
  const [values, flags] = (await Promise.all([boxes.data(), valid.data()])) as [Float32Array, Float32Array];
  tf.dispose([boxes, valid]);
  return Array.from({ length: batch }, (_, i) => {
    const present = flags.subarray(i * count, (i + 1) * count).reduce((sum, flag) => sum + flag, 0);
    return values.slice(4 * i * count, 4 * (i * count + present));
  });
}
