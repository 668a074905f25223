/** Gradients that free memory while they are taken, where eager TensorFlow.js frees everything after the last. */
import { nextTensorId, tapeState } from './gradient-tape';
import { tf } from './tf';

/**
 * Runs `compute`, part of a function whose gradient is being taken. On the way back, what each operation of it has kept, the gradient of
 * its output and all that was computed on the way are disposed as soon as the operation's own gradients are there, where TensorFlow.js
 * holds them until the whole gradient is done. The gradients are the same to the bit. A compiled step frees after the last use in any
 * case.
 *
 * Where a gradient of the gradient is taken everything stays as usual; so it does outside gradients.
 * @param stays a tensor that is not to be disposed though it is the gradient of an output: one that the caller starts with.
 */
export function releaseAsUsed<T>(compute: () => T, stays?: tf.Tensor): T {
  const state = tapeState();
  const tape = state.activeTape;
  if (state.gradientDepth === 0 || !tape) return compute();
  const start = tape.length;
  const result = compute();
  for (const node of tape.slice(start)) {
    const { gradient, saved = [] } = node;
    if (!gradient) continue;
    node.gradient = function (dys) {
      if (state.gradientDepth > 0) return gradient.call(this, dys);
      const dxs = ownGradients(() => gradient.call(this, dys), Object.keys(this.inputs));
      tf.dispose([...saved]);
      for (const dy of dys) if (dy && dy !== stays) dy.dispose();
      return Object.fromEntries(Object.entries(dxs).map(([input, dx]) => [input, () => dx]));
    };
  }
  return result;
}

/** The gradients of `inputs`, each a tensor of its own: not one that was there before, such as dy itself, nor the one of two inputs. */
function ownGradients(
  gradient: () => Record<string, () => tf.Tensor>,
  inputs: readonly string[],
): Record<string, tf.Tensor> {
  const first = nextTensorId();
  return tf.tidy(() => {
    const given = new Set<tf.Tensor>();
    const gradients = gradient();
    const dxs: Record<string, tf.Tensor> = {};
    for (const input of inputs) {
      // An input without a gradient is the engine's to report.
      if (!(input in gradients)) continue;
      const dx = tf.tidy(gradients[input]);
      dxs[input] = dx.id < first || given.has(dx) ? dx.clone() : dx;
      given.add(dx);
    }
    return dxs;
  });
}
