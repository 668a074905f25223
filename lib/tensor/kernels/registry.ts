/** tfjs's kernel registry and the wasm backend, typed as the kernels of this folder use them. */
import { tf } from '../tf';

/** The part of `BackendWasm` that kernels use. */
export interface WasmBackend {
  /** Allocates a tensor on the wasm heap; its content is whatever was there before. */
  makeOutput(shape: number[], dtype: tf.DataType): tf.TensorInfo;
  /**
   * A view of a tensor's values on the heap. It dies when the heap grows, so take views only after every allocation of the
   * kernel is done.
   */
  typedArrayFromHeap(info: tf.TensorInfo): Float32Array | Int32Array | Uint8Array;
}

/** What a kernel function is called with; `attrs` is cast by each kernel to its own type. */
export interface KernelArguments<Inputs, Attributes, Backend extends WasmBackend = WasmBackend> {
  inputs: Inputs;
  attrs: Attributes;
  backend: Backend;
}

/** A typed kernel function as the registry wants it. */
export function asKernelFunc<Inputs, Attributes, Backend extends WasmBackend = WasmBackend>(
  f: (args: KernelArguments<Inputs, Attributes, Backend>) => tf.TensorInfo | tf.TensorInfo[],
): tf.KernelFunc {
  return f as unknown as tf.KernelFunc;
}

/** Runs a registered kernel of the current backend; unlike the public ops it doesn't check or normalise its attributes. */
export function runKernel(name: string, inputs: Record<string, tf.Tensor>, attrs: object): tf.Tensor {
  return tf.engine().runKernel(name, inputs as tf.NamedTensorMap, attrs as tf.NamedAttrMap) as tf.Tensor;
}

/** Runs a registered kernel that has several outputs. */
export function runKernels(name: string, inputs: Record<string, tf.Tensor>, attrs: object): tf.Tensor[] {
  return runKernel(name, inputs, attrs) as unknown as tf.Tensor[];
}

const ours = new WeakSet<tf.KernelFunc>();

/**
 * Registers `make`'s kernel under `name` for `backend`, replacing the one that is there (which `make` is given, to build upon).
 * Does nothing when the registered kernel is already one of detlab's.
 */
export function replaceKernel(
  name: string,
  backend: string,
  make: (original: tf.KernelConfig | undefined) => tf.KernelFunc,
): void {
  const original = tf.getKernel(name, backend) as tf.KernelConfig | undefined;
  if (original && ours.has(original.kernelFunc)) return;
  const kernelFunc = make(original);
  ours.add(kernelFunc);
  // tfjs warns on the console when a kernel is registered twice.
  if (original) tf.unregisterKernel(name, backend);
  // The original's setup binds its wasm function when the backend starts; without it the original could not be called.
  tf.registerKernel({ ...original, kernelName: name, backendName: backend, kernelFunc });
}
