/** A file of tensors that is open: names and shapes are known, values are read when they are asked for. */
import type { HostTensor, StateDict } from './host-tensor';

/** What is known of a tensor before it is read. */
export interface TensorInfo {
  /** The number format in the file, by safetensors' names: `F32`, `F16`, `BF16`, `I64`, … */
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** An open file of tensors, to be closed. */
export interface WeightFile {
  /** In the order of the file. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** What the file says about itself; nothing in a PyTorch checkpoint. */
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * Reads one tensor: floats of any format as float32, integers and booleans as int32.
   * @throws naming the file and the tensor: there is none of that name, the format can't be read, an integer is beyond int32, or the
   *   file was cut short meanwhile.
   */
  read(name: string): Promise<HostTensor>;
  /** Reads every tensor, or those whose name `wanted` accepts. */
  readAll(wanted?: (name: string) => boolean): Promise<StateDict>;
  close(): Promise<void>;
}
