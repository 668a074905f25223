/** Updates that take place only where a condition holds, without reading it in the middle of a step. */
import { tf } from '../tf';
import { noteAssignments } from './assignments';
import { activeRecorder } from './recorder';

/**
 * Runs `update`; where `condition` turns out false, every variable that it assigned keeps what it held before. So a step whose
 * loss is NaN leaves the parameters alone:
 *
 *     const finite = tf.all(tf.isFinite(loss));
 *     updateWhere(finite, () => optimizer.step(gradients, rate));
 *
 * In a graph it costs nothing: the assignments are not carried out. Elsewhere it keeps the old values until the update is done.
 * @param condition a bool scalar; not disposed.
 * @param update assigns variables; not async.
 */
export function updateWhere(condition: tf.Tensor, update: () => void): void {
  if (condition.size !== 1 || condition.dtype !== 'bool') {
    throw new RangeError(
      `updateWhere: the condition must be one bool, got ${condition.dtype} [${condition.shape}]; tf.all makes one of many`,
    );
  }
  const { olds } = noteAssignments(update);
  try {
    const recorder = activeRecorder();
    if (recorder) {
      const scalar = condition.reshape([]);
      for (const [variable, old] of olds) {
        // A tensor of its own, since `updated` must outlive the variable's next assignment.
        const updated = variable.clone();
        const selected = tf.where(scalar, updated, old);
        variable.assign(selected);
        recorder.guard(variable, scalar, updated, old);
        tf.dispose([updated, selected]);
      }
      scalar.dispose();
    } else if (tf.getBackend() === 'webgpu') {
      // Reading would have to wait for the device.
      for (const [variable, old] of olds) variable.assign(tf.tidy(() => tf.where(condition, variable, old)));
    } else if (condition.dataSync()[0] === 0) {
      for (const [variable, old] of olds) variable.assign(old);
    }
  } finally {
    tf.dispose([...olds.values()]);
  }
}
