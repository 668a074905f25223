/** Sigmoid focal loss (Lin et al., ICCV 2017, equation 5). */
import { tf } from '../tensor/tf';

/** Options of `sigmoidFocalLoss`. */
export interface FocalLossOptions {
  /** Weight of targets 1; targets 0 weigh `1 - alpha`. A negative number: no weights. Default 0.25, RetinaNet's. */
  readonly alpha?: number;
  /** How much easy examples are turned down; 0 is plain cross-entropy. Default 2, RetinaNet's; EfficientDet's is 1.5. */
  readonly gamma?: number;
}

/**
 * Element by element, `-alpha_t (1 - p_t)^gamma log p_t`, with p the sigmoid of the logit: the shape of the inputs.
 *
 * Value and gradient are finite and accurate for any finite logits: `1 - p_t` is never computed as a difference. Only `logits`
 * has a gradient, written out. The caller disposes the result, and divides by the number of positives.
 * @param logits any shape, float32
 * @param targets the same shape, float32, 0 or 1 (values between are allowed: soft labels)
 */
export function sigmoidFocalLoss<T extends tf.Tensor>(
  logits: T,
  targets: tf.Tensor,
  options: FocalLossOptions = {},
): T {
  const { alpha = 0.25, gamma = 2 } = options;
  if (!(gamma >= 0)) throw new RangeError(`sigmoidFocalLoss: gamma must be 0 or more, got ${gamma}`);
  const operation = tf.customGrad((x, save) => {
    const z = x as tf.Tensor;
    const p = tf.sigmoid(z);
    const q = tf.sigmoid(tf.neg(z)); // 1 - p, without the cancellation
    const negative = tf.sub(1, targets);
    // max(z, 0) - z t + log(1 + exp(-|z|))
    const crossEntropy = tf.add(tf.sub(tf.relu(z), tf.mul(z, targets)), tf.log1p(tf.exp(tf.neg(tf.abs(z)))));
    const miss = tf.add(tf.mul(p, negative), tf.mul(q, targets)); // 1 - p_t
    const modulator = gamma === 0 ? tf.onesLike(miss) : tf.pow(miss, gamma);
    const weight =
      alpha < 0 ? tf.onesLike(miss) : tf.add(tf.mul(targets, alpha), tf.mul(negative, 1 - alpha));
    const value = tf.mul(weight, tf.mul(modulator, crossEntropy));
    // d(1 - p_t)/dz = (1 - 2t) p q; the modulator's derivative times the cross-entropy, then the modulator times (p - t).
    // p - t is p (1 - t) - q t, again without cancellation.
    let slope = tf.mul(modulator, tf.sub(tf.mul(p, negative), tf.mul(q, targets)));
    if (gamma > 0) {
      const direction = tf.mul(tf.sub(negative, targets), tf.mul(p, q));
      // A floor, as 0^(gamma - 1) is infinite when gamma < 1; the product's limit is 0.
      const modulatorSlope = tf.mul(tf.pow(tf.maximum(miss, 1e-30), gamma - 1), gamma);
      slope = tf.add(slope, tf.mul(tf.mul(modulatorSlope, direction), crossEntropy));
    }
    (save as tf.GradSaveFunc)([tf.mul(weight, slope)]);
    return { value, gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.mul(dy, saved[0]) };
  });
  return operation(logits) as T;
}
