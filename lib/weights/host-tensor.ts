/** Tensors outside of TensorFlow.js, as files hold them: nothing to dispose, no backend needed. */

/** Values row by row, the last dimension fastest. A scalar has the shape `[]` and one value. */
export interface HostTensor {
  readonly shape: readonly number[];
  /** Integers and booleans are an `Int32Array`, everything else a `Float32Array`. */
  readonly values: Float32Array | Int32Array;
}

/** Tensors by name, in the file's or the network's order. */
export type StateDict = ReadonlyMap<string, HostTensor>;
