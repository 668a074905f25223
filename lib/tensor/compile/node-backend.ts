/** The insides of tfjs-node's backend that recording and running graphs work on, typed. */
import { tf } from '../tf';

/** An attribute of a TensorFlow op, as the native binding takes it. */
export interface OpAttribute {
  name: string;
  type: number;
  value: unknown;
}

/** A tensor inside TensorFlow. */
export interface NativeTensor {
  id: number;
  shape: number[];
  /** TensorFlow's number of the type. */
  dtype: number;
}

/** The native binding. */
export interface Binding {
  createTensor(shape: number[], dtype: number, values: ArrayBufferView): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Float32Array | Int32Array | Uint8Array;
  executeOp(name: string, attributes: OpAttribute[], inputs: number[], outputs: number): NativeTensor[];
  loadSavedModel(folder: string, tags: string): number;
  deleteSavedModel(id: number): void;
  runSavedModel(id: number, inputs: number[], inputNames: string, outputNames: string): NativeTensor[];
  getNumOfTensors(): number;
  getNumOfSavedModels(): number;
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_INT64: number;
  readonly TF_BOOL: number;
  readonly TF_ATTR_STRING: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_FLOAT: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_SHAPE: number;
}

/** What the backend knows of a tensor's data. */
export interface TensorData {
  shape: number[];
  dtype: number;
  /** Of the native tensor; -1 while `values` wait to be handed over. */
  id: number;
  values: ArrayBufferView | null;
  refCount: number;
}

/** tfjs-node's backend. */
export interface NodeBackend {
  binding: Binding;
  readonly tensorMap: { get(dataId: object): TensorData; has(dataId: object): boolean };
  getInputTensorIds(tensors: readonly { dataId: object }[]): number[];
  createOutputTensor(tensor: NativeTensor): tf.Tensor;
  executeMultipleOutputs(
    name: string,
    attributes: OpAttribute[],
    inputs: tf.Tensor[],
    outputs: number,
  ): tf.Tensor[];
}

/** The current backend, if it is TensorFlow's. */
export function nodeBackend(): NodeBackend | undefined {
  return tf.getBackend() === 'tensorflow' ? (tf.backend() as unknown as NodeBackend) : undefined;
}

/** A tensor of its own data with `x`'s values: TensorFlow shares the memory, tfjs no longer knows the two to be one. */
export function detached(backend: NodeBackend, x: tf.Tensor): tf.Tensor {
  const { dtype } = backend.tensorMap.get(x.dataId);
  const type = { name: 'T', type: backend.binding.TF_ATTR_TYPE, value: dtype };
  return backend.executeMultipleOutputs('Identity', [type], [x], 1)[0];
}
