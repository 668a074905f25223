/** The second stage's loss on a sample of regions (Girshick, ICCV 2015, section 2.3; torchvision's `fastrcnn_loss`). */
import type { SampledRegions } from '../../boxes/proposals-sampling';
import { smoothL1 } from '../../losses/smooth-l1';
import { softmaxCrossEntropy } from '../../losses/softmax-cross-entropy';
import { tf } from '../../tensor/tf';
import type { BoxHeadPredictions } from './box-head';

/** The two parts of a stage's loss, scalars. (A type, so that `tf.tidy` takes it.) */
export type RegionLoss = {
  readonly class: tf.Scalar;
  readonly box: tf.Scalar;
};

/**
 * Softmax cross-entropy of all regions, smooth L1 of the positives' offsets (of their own class' box), both summed over the batch and
 * divided by the number of regions. Places that are empty count in neither. Differentiable in the predictions. The caller disposes the
 * result.
 * @param predictions of the B S regions, an image's one after another
 * @param beta where the box loss' parabola meets the line; torchvision's is 1/9, the papers' 1
 */
export function regionLoss(
  { classLogits, boxDeltas }: BoxHeadPredictions,
  sampled: SampledRegions,
  beta: number,
): RegionLoss {
  const [count, columns] = classLogits.shape;
  return tf.tidy(() => {
    const labels = sampled.classTargets.reshape<tf.Tensor1D>([count]);
    const valid = sampled.valid.reshape<tf.Tensor1D>([count]);
    const number = tf.maximum(tf.sum(valid), 1);
    const entropies = softmaxCrossEntropy(classLogits, labels);
    const positive = tf.cast(tf.greater(labels, 0), 'float32').expandDims(1);
    let deltas: tf.Tensor2D = boxDeltas;
    if (boxDeltas.shape[1] !== 4) {
      const own = tf.cast(tf.oneHot(labels, columns), 'float32').expandDims(2);
      deltas = tf.sum(tf.mul(boxDeltas.reshape([count, columns, 4]), own), 1);
    }
    const distances = smoothL1(deltas, sampled.boxTargets.reshape([count, 4]), beta);
    return {
      class: tf.div(tf.sum(tf.mul(entropies, valid)), number) as tf.Scalar,
      box: tf.div(tf.sum(tf.mul(distances, positive)), number) as tf.Scalar,
    };
  });
}
