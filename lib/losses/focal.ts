/** Sigmoid focal loss (Lin et al., ICCV 2017, equation 5). */
import { tf } from '../tensor/tf';
import { power } from './power';

/** Options of `sigmoidFocalLoss`. */
export interface FocalLossOptions {
  /** Weight of targets 1; targets 0 weigh `1 - alpha`. A negative number: no weights. Default 0.25, RetinaNet's. */
  readonly alpha?: number;
  /** How much easy examples are turned down; 0 is plain cross-entropy. Default 2, RetinaNet's; EfficientDet's is 1.5. */
  readonly gamma?: number;
  /**
   * Moves the targets of the logarithm towards 1/2 by this share, as the EfficientDet release does: `t (1 - s) + s / 2`. The two
   * weights before it keep the targets as they are. Default 0.
   */
  readonly labelSmoothing?: number;
}

/**
 * Element by element, `-alpha_t (1 - p_t)^gamma log p_t`, with p the sigmoid of the logit: the shape of the inputs. torchvision's
 * `sigmoid_focal_loss`, and with `labelSmoothing` the EfficientDet release's.
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
  const { alpha = 0.25, gamma = 2, labelSmoothing = 0 } = options;
  if (!(gamma >= 0)) throw new RangeError(`sigmoidFocalLoss: gamma must be 0 or more, got ${gamma}`);
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new RangeError(`sigmoidFocalLoss: labelSmoothing must lie in [0, 1], got ${labelSmoothing}`);
  }
  const operation = tf.customGrad((x, save) => {
    const z = x as tf.Tensor;
    const p = tf.sigmoid(z);
    const q = tf.sigmoid(tf.neg(z)); // 1 - p, without the cancellation
    const negative = tf.sub(1, targets);
    const smooth =
      labelSmoothing === 0 ? targets : tf.add(tf.mul(targets, 1 - labelSmoothing), labelSmoothing / 2);
    // max(z, 0) - z t + log(1 + exp(-|z|)), with softplus as the logarithm: wasm's log1p loses small numbers.
    const crossEntropy = tf.add(tf.sub(tf.relu(z), tf.mul(z, smooth)), tf.softplus(tf.neg(tf.abs(z))));
    // p - t, again without cancellation
    const residual = tf.sub(tf.mul(p, tf.sub(1, smooth)), tf.mul(q, smooth));
    let [value, slope] = [crossEntropy, residual];
    if (gamma > 0) {
      const miss = tf.add(tf.mul(p, negative), tf.mul(q, targets)); // 1 - p_t
      const modulator = power(miss, gamma);
      value = tf.mul(modulator, crossEntropy);
      // d(1 - p_t)/dz = (1 - 2t) p q. Below gamma 1 a floor, as 0^(gamma - 1) is infinite; the product's limit is 0.
      const direction = tf.mul(tf.sub(negative, targets), tf.mul(p, q));
      const steepness = tf.mul(power(gamma < 1 ? tf.maximum(miss, 1e-30) : miss, gamma - 1), gamma);
      slope = tf.add(tf.mul(modulator, residual), tf.mul(tf.mul(steepness, direction), crossEntropy));
    }
    if (alpha >= 0) {
      const weight = tf.add(tf.mul(targets, alpha), tf.mul(negative, 1 - alpha));
      [value, slope] = [tf.mul(weight, value), tf.mul(weight, slope)];
    }
    (save as tf.GradSaveFunc)([slope]);
    return { value, gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.mul(dy, saved[0]) };
  });
  return operation(logits) as T;
}
