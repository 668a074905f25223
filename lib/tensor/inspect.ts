/** Tensors as people want to see them in `console.log`: type, shape and values instead of TensorFlow.js's own fields. */
import { inspect } from 'node:util';
import { Tensor } from '@tensorflow/tfjs';

/** How Node writes a tensor; values are left out of what is too large to be read. */
function tensorInspection(this: Tensor): string {
  const kind = `Tensor ${this.dtype} [${this.shape.join(', ')}]`;
  if (this.isDisposed) return `${kind} (disposed)`;
  if (this.size > 1e6) return kind;
  try {
    const values = this.toString().replace(/^Tensor\s*/, '');
    return values.includes('\n') ? `${kind}\n    ${values}` : `${kind} ${values}`;
  } catch {
    // Its backend is gone.
    return kind;
  }
}

Object.defineProperty(Tensor.prototype, inspect.custom, {
  value: tensorInspection,
  configurable: true,
  writable: true,
});
