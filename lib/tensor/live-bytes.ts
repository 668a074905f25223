/** How much memory tensors take at the worst moment of a computation. */
import { tf } from './tf';

/** What `liveBytes` measured. */
export interface LiveBytes<T> {
  readonly result: T;
  /** Bytes of all tensors before. */
  readonly before: number;
  /** Bytes of all tensors at the worst moment. */
  readonly peak: number;
}

/**
 * Runs `compute` and counts the bytes of TensorFlow.js's tensors that are alive at the same time. Memory that a kernel takes for itself while it
 * runs, and what happens inside a graph, are not counted (`CompiledStep.plannedBytes` says the latter).
 * @param compute not async.
 */
export function liveBytes<T>(compute: () => T): LiveBytes<T> {
  const { state } = tf.engine() as unknown as { state: { numBytes: number } };
  const before = state.numBytes;
  let [now, peak] = [before, before];
  Object.defineProperty(state, 'numBytes', {
    configurable: true,
    enumerable: true,
    get: () => now,
    set: (bytes: number) => {
      now = bytes;
      if (bytes > peak) peak = bytes;
    },
  });
  try {
    const result = compute();
    return { result, before, peak };
  } finally {
    Object.defineProperty(state, 'numBytes', {
      value: now,
      writable: true,
      configurable: true,
      enumerable: true,
    });
  }
}
