/** The loss that this kind of detector is trained with: SSD's, but every class, the background too, is a yes-or-no question of its own. */
import { hardNegativeMask } from '../../losses/hard-examples';
import type { Loss } from '../../losses/loss';
import type { MultiboxTargets } from '../../losses/multibox-targets';
import { sigmoidCrossEntropy } from '../../losses/sigmoid-cross-entropy';
import { smoothL1 } from '../../losses/smooth-l1';
import { withoutGradient } from '../../tensor/stop-gradient';
import { tf } from '../../tensor/tf';
import type { SsdPredictions } from '../heads/ssd';

/**
 * Sigmoid cross-entropy, summed over the classes, of the positive anchors and three times as many hard negatives (3 an image at least), and
 * smooth L1 of the positives' offsets; both divided by the number of positives, or by 1. TensorFlow's Object Detection API calls it
 * `weighted_sigmoid` with a hard example miner; departure: its miner also suppresses overlapping negatives.
 *
 * A batch without objects is finite. The caller disposes the scalars (within `tf.tidy` that happens by itself).
 */
export function sigmoidMultiboxLoss(predictions: SsdPredictions, targets: MultiboxTargets): Loss {
  const { classLogits, boxDeltas } = predictions;
  const { classTargets, boxTargets } = targets;
  return tf.tidy(() => {
    const columns = classLogits.shape[2];
    const positive = tf.cast(tf.greater(classTargets, 0), 'float32');
    const positives = tf.sum(positive) as tf.Scalar;
    const normalizer = tf.maximum(positives, 1);
    const oneHot = tf.cast(
      tf.oneHot(tf.maximum(classTargets, tf.scalar(0, 'int32')) as tf.Tensor2D, columns),
      'float32',
    );
    const perAnchor = tf.sum(sigmoidCrossEntropy(classLogits, oneHot), -1);
    const negative = withoutGradient(
      (losses) => hardNegativeMask(losses as tf.Tensor2D, classTargets, { ratio: 3, minNegatives: 3 }),
      perAnchor,
    );
    const perBox = tf.sum(smoothL1(boxDeltas, boxTargets, 1), -1);
    const classLoss = tf.div(tf.sum(tf.mul(perAnchor, tf.add(positive, negative))), normalizer) as tf.Scalar;
    const boxLoss = tf.div(tf.sum(tf.mul(perBox, positive)), normalizer) as tf.Scalar;
    return {
      total: tf.add(classLoss, boxLoss) as tf.Scalar,
      parts: { class: classLoss, box: boxLoss, positives },
    };
  });
}
