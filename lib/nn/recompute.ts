/** Gradient checkpointing of layers and networks. */
import { recomputeTensors } from '../tensor/recompute';
import type { tf } from '../tensor/tf';
import type { ForwardContext, NamedVariable } from './module';

/** A module, or anything else that has parameters and a forward pass of one tensor to one tensor. */
export interface Segment<In extends tf.Tensor, Out extends tf.Tensor> {
  forward(x: In, context: ForwardContext): Out;
  parameters(): NamedVariable[];
}

/**
 * `segment.forward(x, context)` that keeps only `x` for its gradient and computes the rest again on the way back (arXiv 1604.06174): the same
 * gradients for one more forward pass and less memory. Batch statistics are collected once; random numbers are drawn again as they were.
 *
 * A network of n equal layers in segments of sqrt(n) layers needs the memory of about 2 sqrt(n) layers instead of n.
 * Outside training it is the plain forward pass.
 * @returns what the segment returns; the caller disposes it.
 */
export function recompute<In extends tf.Tensor, Out extends tf.Tensor>(
  segment: Segment<In, Out>,
  x: In,
  context: ForwardContext,
): Out {
  if (!context.training) return segment.forward(x, context);
  const { random } = context;
  const second: ForwardContext = { ...context, statistics: undefined, trace: undefined };
  const variables = segment.parameters().map(({ variable }) => variable);
  const inputs = random ? [x, random.state.clone()] : [x];
  return recomputeTensors<Out>(
    ([input, state], again) => {
      if (!again) return segment.forward(input as In, context);
      if (!random) return segment.forward(input as In, second);
      return random.withState(state, () => segment.forward(input as In, second));
    },
    inputs,
    variables,
  );
}
