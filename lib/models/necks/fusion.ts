/** How a node makes one map of several of the same size (EfficientDet, section 3.3; NAS-FPN, section 3.1). */
import { relu, sigmoid } from '../../tensor/kernels/activations';
import { tf } from '../../tensor/tf';

/**
 * How maps are fused:
 * - `fast`: sum_i relu(w_i) / (epsilon + sum_j relu(w_j)) x_i, fast normalised fusion;
 * - `softmax`: sum_i exp(w_i) / sum_j exp(w_j) x_i;
 * - `sum`: sum_i x_i, without weights.
 */
export type FusionMethod = 'fast' | 'softmax' | 'sum';

/** The epsilon of `fast`. */
const epsilon = 1e-4;

/** What the maps are multiplied by, `[n]`, from the learned weights, `[n]`; `fast` adds up to a little less than 1. */
export function normalizedWeights(weights: tf.Tensor1D, method: 'fast' | 'softmax'): tf.Tensor1D {
  return tf.tidy(() => {
    if (method === 'softmax') return tf.softmax(weights);
    const positive = relu(weights);
    return tf.div<tf.Tensor1D>(positive, tf.add(tf.sum(positive), epsilon));
  });
}

/**
 * The weighted sum.
 * @param maps all `[B, H, W, C]`; not disposed.
 * @param weights `[maps]`, of which `normalizedWeights` makes the factors. Default: none, the plain sum.
 */
export function fuseMaps(
  maps: readonly tf.Tensor4D[],
  weights: tf.Tensor1D | undefined,
  method: FusionMethod,
): tf.Tensor4D {
  return tf.tidy(() => {
    if (!weights || method === 'sum') return addAll(maps);
    const shares = normalizedWeights(weights, method);
    // tfjs cannot differentiate the unstacking of one value
    const factors = maps.length === 1 ? [shares.asScalar()] : (tf.unstack(shares) as tf.Scalar[]);
    return addAll(maps.map((map, i) => tf.mul<tf.Tensor4D>(map, factors[i])));
  });
}

/** NAS-FPN's global pooling: `gate + gated * sigmoid(max(gate))`, the maximum over each channel's cells; further maps are added. */
export function attendMaps([gate, gated, ...others]: readonly tf.Tensor4D[]): tf.Tensor4D {
  return tf.tidy(() => {
    const strength = sigmoid(tf.max(gate, [1, 2], true)); // [B, 1, 1, C]
    return addAll([gate, tf.mul<tf.Tensor4D>(gated, strength), ...others]);
  });
}

function addAll(maps: readonly tf.Tensor4D[]): tf.Tensor4D {
  return maps.length === 1 ? tf.clone(maps[0]) : maps.reduce((sum, map) => tf.add<tf.Tensor4D>(sum, map));
}
