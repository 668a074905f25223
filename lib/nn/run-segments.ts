/** A chain of layers in segments, some of which are computed again on the way back. */
import { releaseAsUsed } from '../tensor/release-as-used';
import { tf } from '../tensor/tf';
import type { ForwardContext, NamedVariable } from './module';
import { segmentsOf } from './plan-segments';
import { recompute, type Segment } from './recompute';
import type { RecomputePlan } from './recompute-plan';
import { runLayers } from './sequential';

/** One layer of a chain: from one map to one map. Any `Layer` is one. */
export type MapLayer = Segment<tf.Tensor4D, tf.Tensor4D>;

/**
 * `runLayers` by a plan: segments to recompute keep only their output and are computed again when their gradient is asked for
 * (`recompute`); stored ones keep what they need, as usual. Values, gradients, running statistics and random numbers are those of
 * `runLayers`, to the bit (but for an input or output that the rest of the network uses, too: the parts of its gradient may be added in
 * another order).
 *
 * On the way back memory is freed as it has served, so that the bytes alive at the worst moment are those of `planPeakBytes`, and a few
 * maps that the gradients themselves take. Outside training the plan makes no difference.
 * @param x `[B, H, W, C]`; not disposed.
 * @returns what the last layer returns; the caller disposes it.
 * @throws RangeError when the plan is not one for these layers.
 */
export function runSegments(
  layers: readonly MapLayer[],
  x: tf.Tensor4D,
  context: ForwardContext,
  plan: RecomputePlan,
): tf.Tensor4D {
  const segments = segmentsOf('runSegments', layers, plan);
  return tf.tidy(() =>
    releaseAsUsed(() =>
      segments.reduce((y, { layers: own, recompute: again }) => {
        if (!again) return runLayers(own, y, context);
        const parameters = (): NamedVariable[] => own.flatMap((layer) => layer.parameters());
        return recompute({ forward: (...given) => runLayers(own, ...given), parameters }, y, context);
      }, x),
    ),
  );
}
