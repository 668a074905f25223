/** How much memory tensors take at the worst moment of a computation. */
import { tf } from './tf';

/** What `liveBytes` measured. */
export interface LiveBytes<T> {
  readonly result: T;
  /** Bytes of all tensors before, as `tf.memory()` counts them. */
  readonly before: number;
  /** Bytes at the worst moment: `before`, and what the computation added. */
  readonly peak: number;
}

/** Where the engine notes the memory behind tensors. Several tensors may share one piece: clones, reshaped ones. */
interface Registry {
  has(dataId: object): boolean;
  get(dataId: object): DataInfo | undefined;
  set(dataId: object, info: DataInfo): unknown;
  delete(dataId: object): boolean;
}

interface DataInfo {
  readonly dtype: tf.DataType;
  readonly shape: number[];
}

/**
 * Runs `compute` and counts the bytes of TensorFlow.js's tensors that are alive at the same time. What clones and reshaped tensors share
 * is counted once. Memory that a kernel takes for itself while it runs, and what happens inside a graph, are not counted
 * (`CompiledStep.plannedBytes` says the latter).
 * @param compute not async. Gets a function that says how many bytes have been added so far, less those freed.
 */
export function liveBytes<T>(compute: (added: () => number) => T): LiveBytes<T> {
  const { state } = tf.engine() as unknown as { state: { tensorInfo: Registry; numBytes: number } };
  const { tensorInfo: registry, numBytes: before } = state;
  let [now, most] = [0, 0];
  state.tensorInfo = {
    has: (dataId) => registry.has(dataId),
    get: (dataId) => registry.get(dataId),
    set(dataId, info) {
      now += bytesOf(info);
      most = Math.max(most, now);
      return registry.set(dataId, info);
    },
    delete(dataId) {
      const info = registry.get(dataId);
      if (info) now -= bytesOf(info);
      return registry.delete(dataId);
    },
  };
  try {
    const result = compute(() => now);
    return { result, before, peak: before + most };
  } finally {
    state.tensorInfo = registry;
  }
}

function bytesOf({ dtype, shape }: DataInfo): number {
  // The bytes of texts and complex numbers are counted where they are stored: the former not here, the latter as two tensors.
  if (dtype === 'string' || dtype === 'complex64') return 0;
  return tf.util.sizeFromShape(shape) * tf.util.bytesPerElement(dtype);
}
