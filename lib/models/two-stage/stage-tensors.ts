/** Small things that both kinds of second stage do with tensors. */
import type { ForwardContext } from '../../nn/module';
import type { tf } from '../../tensor/tf';

/** Uniform numbers for a sample of what the step itself proposed. @throws when the step was given no random numbers. */
export function sampleKeys({ random }: ForwardContext, shape: readonly number[]): tf.Tensor {
  if (random) return random.uniform(shape);
  throw new Error(
    'a two-stage detector learns from random samples of anchors and regions: give the training loop random numbers, ' +
      'e.g. random: new RandomStream(1)',
  );
}

/** `[B S, ...]` rows as `[B, S, ...]`. */
export function byImage(rows: tf.Tensor2D, batch: number): tf.Tensor3D {
  return rows.reshape([batch, -1, rows.shape[1]]);
}
