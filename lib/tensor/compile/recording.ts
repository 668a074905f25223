/** What a recorded step is: ops, constants, variables, inputs and outputs, as a graph is made of them. */
import type { tf } from '../tf';
import type { OpAttribute } from './node-backend';

/** A tensor of the graph: output `output` of the node `name`. */
export interface Value {
  readonly name: string;
  readonly output: number;
  /** TensorFlow's number of the type. */
  readonly dtype: number;
  /** Whether it may differ from run to run: it depends on an input, a variable or chance. */
  readonly varying: boolean;
  /** It is computed only where a choice falls so; else the graph has nothing there. */
  readonly under?: Gate;
}

/** A side of a choice. */
export interface Gate {
  /** A bool. */
  readonly predicate: Value;
  /** What it must be. */
  readonly side: boolean;
}

/** One recorded op. */
export interface RecordedOp {
  readonly name: string;
  readonly op: string;
  readonly attributes: readonly OpAttribute[];
  readonly inputs: readonly Value[];
  /** Ops that must run before this one, though it does not use their outputs. */
  readonly controls: readonly Value[];
  readonly outputs: readonly { readonly shape: readonly number[]; readonly dtype: number }[];
  /** What it must be again in another recording of the step. */
  readonly signature: string;
  /** Where the user's code asked for it; of the first op alone that is not as expected. */
  readonly here?: Error;
}

/** A tensor that is the same at every run. */
export interface RecordedConstant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: number;
  readonly bytes: Uint8Array;
  readonly signature: ConstantSignature;
  /** Where it was first used; of the first constant alone that is not as expected. */
  readonly here?: Error;
  /** Data of a tensor that was made before the step, to see whether it has been disposed of since. */
  readonly dataId?: object;
}

/** What a constant must be again in another recording of the step, and how an error shows it. */
export interface ConstantSignature {
  readonly key: string;
  readonly shown: string;
}

/** An earlier recording, as far as this one is compared with it while it is made. */
export interface Expected {
  readonly ops: readonly string[];
  readonly constants: readonly ConstantSignature[];
}

/** A tf.Variable that the step reads or assigns. */
export interface RecordedVariable {
  readonly name: string;
  readonly variable: tf.Variable;
  readonly dtype: number;
  /** What it holds after the step, where that is not what it held before. */
  assigned?: Value;
  /** The assignment takes place only where this is true. */
  condition?: Value;
}

/** One input of the step. */
export interface RecordedInput {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: number;
}

/** A recorded step. */
export interface Recording {
  readonly ops: readonly RecordedOp[];
  readonly constants: readonly RecordedConstant[];
  readonly variables: readonly RecordedVariable[];
  readonly inputs: readonly RecordedInput[];
  readonly outputs: readonly Value[];
}
