/** Cross-entropy of independent yes-or-no questions: the objectness of region proposals. */
import { type tf } from '../tensor/tf';
import { sigmoidFocalLoss } from './focal';

/** Options of `sigmoidCrossEntropy`. */
export interface SigmoidCrossEntropyOptions {
  /** Moves the targets towards 1/2 by this share: `t (1 - s) + s / 2`. Default 0. */
  readonly labelSmoothing?: number;
}

/**
 * Element by element, `-t log p - (1 - t) log(1 - p)`, with p the sigmoid of the logit: the shape of the inputs. PyTorch's
 * `binary_cross_entropy_with_logits`.
 *
 * Value and gradient, `p - t`, are finite and accurate for any finite logits. Only `logits` has a gradient. The caller disposes the
 * result.
 * @param logits any shape, float32
 * @param targets the same shape, float32, in [0, 1]
 */
export function sigmoidCrossEntropy<T extends tf.Tensor>(
  logits: T,
  targets: tf.Tensor,
  options: SigmoidCrossEntropyOptions = {},
): T {
  return sigmoidFocalLoss(logits, targets, { ...options, alpha: -1, gamma: 0 });
}
