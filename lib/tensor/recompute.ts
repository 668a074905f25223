/**
 * Gradient checkpointing (Chen et al., "Training deep nets with sublinear memory cost", arXiv 1604.06174, section 4): what a segment computes
 * on the way forward is thrown away and computed again when its gradient is asked for.
 */
import { activeRecorder } from './compile/recorder';
import { tapeState } from './gradient-tape';
import { releaseAsUsed } from './release-as-used';
import { tf } from './tf';

/**
 * `compute(inputs, false)` going forward; only the inputs and the result are kept. Going backward it runs `compute(inputs, true)` once more and
 * differentiates that. The gradients are those of the plain computation, bit for bit, as long as nothing else uses the inputs (where something does,
 * the parts of an input's gradient are added in another order).
 * @param compute one tensor of the inputs and the variables. The second argument says that it is the second time: whatever must happen once
 *   (running statistics, say) must not happen then, and random numbers must come out as they did the first time.
 * @param variables what `compute` uses besides its inputs and wants gradients of. A variable that is missing here gets none.
 * @returns the result; the caller disposes it.
 */
export function recomputeTensors<T extends tf.Tensor>(
  compute: (inputs: tf.Tensor[], again: boolean) => T,
  inputs: readonly tf.Tensor[],
  variables: readonly tf.Variable[],
): T {
  const operation = tf.customGrad((...args) => {
    const save = args.pop() as unknown as tf.GradSaveFunc;
    const given = (args as unknown as tf.Tensor[]).slice(0, inputs.length);
    save(given);
    return {
      value: compute(given, false),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const differentiate = (): tf.Tensor[] =>
          gradients(() => compute(saved, true), [...saved, ...variables], dy);
        // In a graph the second computation must wait for dy, or it would be found equal to the first and merged with it.
        return activeRecorder()?.after([dy], differentiate) ?? differentiate();
      },
    };
  });
  return operation(...inputs, ...variables) as T;
}

/** d f / d xs, given dy, while another gradient is being taken. */
function gradients(f: () => tf.Tensor, xs: tf.Tensor[], dy: tf.Tensor): tf.Tensor[] {
  const state = tapeState();
  const outer = state.activeTape;
  try {
    const { grads } = tf.engine().gradients(() => releaseAsUsed(f, dy), xs, dy, true);
    // Integers, and what the result does not depend on, have no gradient; customGrad wants one all the same.
    return grads.map((grad: tf.Tensor | undefined, i) => grad ?? tf.zeros(xs[i].shape));
  } finally {
    // The engine forgets its tape after each gradient; the outer one still needs its own, to dispose of it.
    state.activeTape = outer;
  }
}
