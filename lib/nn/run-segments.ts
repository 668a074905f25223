/** A chain of layers in segments, some of which are computed again on the way back. */
import { releaseAsUsed } from '../tensor/release-as-used';
import { tf } from '../tensor/tf';
import type { ForwardContext } from './module';
import { segmentsOf } from './plan-segments';
import { recompute, type Segment } from './recompute';
import type { RecomputePlan } from './recompute-plan';

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
        const segment = chainOf(own);
        return again ? recompute(segment, y, context) : segment.forward(y, context);
      }, x),
    ),
  );
}

/** Layers one after another as one. */
export function chainOf(layers: readonly MapLayer[]): MapLayer {
  return {
    forward: (x, context) => tf.tidy(() => layers.reduce((y, layer) => layer.forward(y, context), x)),
    parameters: () => layers.flatMap((layer) => layer.parameters()),
  };
}
