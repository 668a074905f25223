/** Softmax cross-entropy with integer labels. */
import { tf } from '../tensor/tf';

/** Options of `softmaxCrossEntropy`. */
export interface SoftmaxCrossEntropyOptions {
  /** Share of the target spread evenly over all columns (Szegedy et al., CVPR 2016, section 7). Default 0. */
  readonly labelSmoothing?: number;
}

/**
 * Cross-entropy of each row, `[...]` for logits `[..., K]`: `log(sum_k exp(logit_k)) - logit_label`.
 *
 * Stable for any finite logits (the maximum is subtracted first). The gradient, `softmax - target`, is written out: it costs one
 * tensor kept from the forward pass and one multiplication. Only `logits` has a gradient. The caller disposes the result.
 * @param logits `[..., K]` float32
 * @param labels `[...]` int32, from 0 to K - 1. A label outside that range (-1, say) has no target column: its row's value is the
 *   log-partition function alone, and meaningless; mask it.
 */
export function softmaxCrossEntropy<T extends tf.Tensor>(
  logits: tf.Tensor,
  labels: tf.Tensor,
  options: SoftmaxCrossEntropyOptions = {},
): T {
  const { labelSmoothing = 0 } = options;
  const columns = logits.shape[logits.rank - 1];
  if (logits.rank !== labels.rank + 1 || labels.shape.some((size, i) => size !== logits.shape[i])) {
    throw new RangeError(
      `softmaxCrossEntropy: logits [${logits.shape.join(', ')}] want labels [${logits.shape.slice(0, -1).join(', ')}], ` +
        `got [${labels.shape.join(', ')}]`,
    );
  }
  const operation = tf.customGrad((x, save) => {
    const z = x as tf.Tensor;
    const shifted = tf.sub(z, tf.max(z, -1, true));
    const exponentials = tf.exp(shifted);
    const sums = tf.sum(exponentials, -1, true);
    let target: tf.Tensor = tf.oneHot(tf.cast(labels, 'int32'), columns);
    target = tf.cast(target, 'float32');
    if (labelSmoothing > 0) target = tf.add(tf.mul(target, 1 - labelSmoothing), labelSmoothing / columns);
    const value = tf.sub(tf.squeeze(tf.log(sums), [-1]), tf.sum(tf.mul(target, shifted), -1));
    (save as tf.GradSaveFunc)([tf.sub(tf.div(exponentials, sums), target)]);
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.mul(saved[0], tf.expandDims(dy, -1)),
    };
  });
  return operation(logits) as T;
}
