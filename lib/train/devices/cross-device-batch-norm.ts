/**
 * Cross-GPU batch normalisation (MegDet, arXiv 1711.07240): the batches of several devices are normalised as the one batch that
 * they are parts of, forward and backward.
 */
import type { TrainingBatchNorm } from '../../nn/module';
import { type BatchNormForward, normalizeBy } from '../../tensor/kernels/batch-norm';
import { channelSums } from '../../tensor/kernels/channels';
import { tf } from '../../tensor/tf';
import type { Transport } from './transport';

/**
 * How statistics are put together:
 * - `mean-then-variance`, the paper's: the sum of x, then the sum of (x - mean)^2: two rounds;
 * - `sums`: the sums of x and of x^2 in one round, and variance = E[x^2] - E[x]^2, which loses digits where the mean is large beside the deviation.
 */
export type SynchronisationMethod = 'mean-then-variance' | 'sums';

/**
 * Batch normalisation over the images of all devices of `transport`, for `ForwardContext.batchNorm`. Devices may have different numbers of images.
 *
 * With N values a channel on all devices together, the gradient is that of the whole batch: dx = k (dy - S1 / N - xHat S2 / N) with k = gamma / deviation,
 * S1 = the sum of dy and S2 = the sum of dy xHat *over all devices*: one more round. The gradients of gamma and beta are this device's own shares: the
 * all-reduce of all gradients adds them up. For that, each device's loss must be its share of the whole loss.
 *
 * All devices must call it for the same layers in the same order, in both directions, as copies of one network do. It reads values in
 * JavaScript, so that a step with it can't be compiled.
 */
export function crossDeviceBatchNorm(
  transport: Transport,
  method: SynchronisationMethod = 'mean-then-variance',
): TrainingBatchNorm {
  const reduce = (...vectors: (tf.Tensor | number)[]): Float32Array => {
    const values = Float32Array.from(
      vectors.flatMap((vector) =>
        typeof vector === 'number' ? [vector] : [...vector.dataSync<'float32'>()],
      ),
    );
    transport.allReduce(values);
    return values;
  };
  const statistics = (x: tf.Tensor4D): { mean: tf.Tensor1D; variance: tf.Tensor1D; count: number } => {
    const channels = x.shape[3];
    const own = x.size / channels;
    if (method === 'sums') {
      const sums = reduce(channelSums(x), channelSums(tf.square(x)), own);
      const count = sums[2 * channels];
      // In double precision, as far as the sums allow.
      const means = Array.from(sums.subarray(0, channels), (sum) => sum / count);
      const squares = sums.subarray(channels, 2 * channels);
      // Rounding can leave a variance of 0 a little below it.
      const variances = means.map((value, i) => Math.max(0, squares[i] / count - value ** 2));
      return { mean: tf.tensor1d(means), variance: tf.tensor1d(variances), count };
    }
    const sums = reduce(channelSums(x), own);
    const count = sums[channels];
    const mean = tf.tensor1d(sums.subarray(0, channels).map((sum) => sum / count));
    const deviations = reduce(channelSums(tf.square(tf.sub(x, mean))));
    return { mean, variance: tf.tensor1d(deviations.map((sum) => sum / count)), count };
  };

  const forward: BatchNormForward = (x, scale, offset, epsilon) => {
    const { mean, variance, count } = statistics(x);
    const inverse = tf.rsqrt(tf.add(variance, epsilon));
    const factor = tf.mul(inverse, scale);
    return {
      output: tf.add(tf.mul(x, factor), tf.sub(offset, tf.mul(mean, factor))),
      mean,
      variance,
      saved: [x, scale, mean, inverse],
      gradient: (dy, [input, gamma, m, inv]) => {
        const difference = tf.sub(input, m);
        const dOffset = channelSums(dy);
        const dScale = tf.mul<tf.Tensor1D>(channelSums(tf.mul(dy, difference)), inv);
        const channels = dOffset.shape[0];
        const sums = reduce(dOffset, dScale);
        const all = (from: number): tf.Tensor1D =>
          tf.tensor1d(sums.subarray(from, from + channels).map((sum) => sum / count));
        const slope = tf.mul(inv, all(channels));
        const dx = tf.mul(tf.sub(tf.sub(dy, all(0)), tf.mul(difference, slope)), tf.mul(gamma, inv));
        return [dx, dScale, dOffset];
      },
    };
  };
  return (x, scale, offset, epsilon) => normalizeBy(forward, x, scale, offset, epsilon);
}
