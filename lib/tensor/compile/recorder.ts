/**
 * Records what one eager step asks of TensorFlow. Every kernel of tfjs-node ends in one call of the binding, `executeOp(name,
 * attributes, inputs)`; noting those calls gives the step's graph, whatever tfjs functions it was written in.
 */
import { addMender } from '../mend';
import { tf } from '../tf';
import { CompileError } from './errors';
import {
  type Binding,
  detached,
  type NativeTensor,
  type NodeBackend,
  type OpAttribute,
} from './node-backend';
import { hereError, placeOf } from './place';
import type {
  Expected,
  Gate,
  RecordedConstant,
  RecordedInput,
  RecordedOp,
  RecordedVariable,
  Recording,
  Value,
} from './recording';
import { constantSignature, opSignature } from './signature';

/** Ops that draw random numbers anew at each run. */
const randomOps: ReadonlySet<string> = new Set([
  'Multinomial',
  'RandomStandardNormal',
  'RandomUniform',
  'RandomUniformInt',
  'TruncatedNormal',
]);

/** Ops whose output's shape depends on values. */
const unshapedOps: ReadonlySet<string> = new Set([
  'Where',
  'Unique',
  'UniqueV2',
  'UniqueWithCounts',
  'ListDiff',
  'NonMaxSuppression',
  'NonMaxSuppressionV2',
  'NonMaxSuppressionV3',
  'NonMaxSuppressionV4',
  'NonMaxSuppressionV5',
  'SparseFillEmptyRows',
  'SparseReshape',
]);

let active: Recorder | undefined;

/** The recorder at work, if a step is being recorded right now. */
export function activeRecorder(): Recorder | undefined {
  return active;
}

function setActive(recorder: Recorder | undefined): void {
  active = recorder;
}

/** Records one step. */
export class Recorder {
  private readonly ops: RecordedOp[] = [];
  private readonly constants: RecordedConstant[] = [];
  private readonly inputs: RecordedInput[] = [];
  private readonly variables: RecordedVariable[] = [];
  private readonly values = new Map<number, Value>();
  private readonly variableOf = new Map<object, tf.Variable>();
  private readonly starts = new Map<tf.Variable, object>();
  private readonly guards = new Map<tf.Variable, { condition: Value; assigned: Value; dataId: object }>();
  private readonly firstTensor: number;
  private readonly binding: Binding;
  /** Of the predicates of gates: what they are in this rehearsal. */
  private readonly truths = new Map<string, boolean>();
  private controls: Value[] = [];
  /** Whether the op that is not as expected, and the constant, have been met. A stack for every op would take longer than many an op. */
  private readonly met = { op: false, constant: false };
  private restore: (() => void) | undefined;

  /** @param expected where the step first departs from this, the place in the user's code is kept. */
  constructor(
    private readonly backend: NodeBackend,
    private readonly expected: Expected | undefined,
  ) {
    this.binding = backend.binding;
    const probe = tf.scalar(0);
    this.firstTensor = probe.id;
    probe.dispose();
  }

  /**
   * Runs `step` eagerly on `inputs` and records it.
   * @returns its outputs, which the caller disposes, and the recording.
   * @throws CompileError where the step does what no graph can.
   */
  run(inputs: readonly tf.Tensor[], step: () => tf.Tensor[]): { outputs: tf.Tensor[]; recording: Recording } {
    if (active) throw new CompileError('a compiled step cannot be called inside another one');
    this.separate(inputs);
    this.backend.getInputTensorIds(inputs).forEach((id, i) => {
      const { shape, dtype } = this.backend.tensorMap.get(inputs[i].dataId);
      const name = `x${i}`;
      this.inputs.push({ name, shape: [...shape], dtype });
      this.values.set(id, { name, output: 0, dtype, varying: true });
    });
    this.install();
    try {
      const outputs = step();
      const results = outputs.map((tensor) => this.valueOf(tensor));
      if (results.some(({ under }) => under))
        throw new CompileError('the step returns what a run may leave out: settle it first');
      this.noteAssignments();
      return {
        outputs,
        recording: {
          ops: this.ops,
          constants: this.constants,
          variables: this.variables,
          inputs: this.inputs,
          outputs: results,
        },
      };
    } finally {
      this.uninstall();
    }
  }

  /** Everything recorded inside `body` waits for the tensors `first`, and the graph's optimiser can't merge it with an equal op before. */
  after<T>(first: readonly tf.Tensor[], body: () => T): T {
    const before = this.controls;
    this.controls = [...before, ...first.map((tensor) => this.valueOf(tensor)).filter((v) => v.varying)];
    try {
      return body();
    } finally {
      this.controls = before;
    }
  }

  /**
   * The graph need not compute `selected`, which `variable` now holds (`updated` where `condition` is true, else what it held at the
   * start of the step): it assigns `updated` or does nothing.
   * @returns false where the variable held something else before.
   */
  guard(variable: tf.Variable, condition: tf.Tensor, updated: tf.Tensor, old: tf.Tensor): boolean {
    if (this.starts.get(variable) !== old.dataId) return false;
    const assigned = this.valueOf(updated);
    this.guards.set(variable, { condition: this.valueOf(condition), assigned, dataId: variable.dataId });
    return true;
  }

  /** What gates can hang on: a bool, which may be disposed afterwards. */
  predicate(tensor: tf.Tensor): Value {
    const value = this.valueOf(tensor);
    const [id] = this.backend.getInputTensorIds([tensor]);
    this.truths.set(keyOf(value), this.binding.tensorDataSync(id)[0] !== 0);
    return value;
  }

  /**
   * `x` where the predicate is `side`; where it is not, whatever hangs on the result is left out of a run of the graph. As an eager tensor
   * it is `x` in either case.
   */
  gate(x: tf.Tensor, { predicate, side }: Gate): tf.Tensor {
    const value = this.valueOf(x);
    if (value.under) throw new CompileError('a choice within a choice', placeOf(hereError()));
    const { copy, id, shape, dtype } = this.unrecorded(x);
    const output = { shape, dtype };
    const name = this.add('Switch', [this.typed(dtype)], [value, predicate], [output, output]);
    this.values.set(id, { name, output: side ? 1 : 0, dtype, varying: true, under: { predicate, side } });
    return copy;
  }

  /** The one of `tensors` that a run computes; each is under a gate, and of these one is open. As an eager tensor, too. */
  merge(tensors: readonly tf.Tensor[]): tf.Tensor {
    const inputs = tensors.map((tensor) => this.valueOf(tensor));
    const open = inputs.findIndex(
      ({ under }) => under && this.truths.get(keyOf(under.predicate)) === under.side,
    );
    if (inputs.some(({ under }) => !under) || open < 0) {
      throw new CompileError(
        'of the tensors that are merged, one must be there at each run',
        placeOf(hereError()),
      );
    }
    const { copy, id, shape, dtype } = this.unrecorded(tensors[open]);
    const count = { name: 'N', type: this.binding.TF_ATTR_INT, value: inputs.length };
    const index = { shape: [], dtype: this.binding.TF_INT32 };
    const name = this.add('Merge', [this.typed(dtype), count], inputs, [{ shape, dtype }, index]);
    this.values.set(id, { name, output: 0, dtype, varying: true });
    return copy;
  }

  /** `x` where a run computes it, else `otherwise`, of its shape. */
  settle(x: tf.Tensor, otherwise: tf.Tensor): tf.Tensor {
    const { under } = this.valueOf(x);
    if (!under) return x;
    const rest = this.gate(otherwise, { ...under, side: !under.side });
    try {
      return this.merge([x, rest]);
    } finally {
      rest.dispose();
    }
  }

  /** Whether a run may leave `x` out. */
  mayBeLeftOut(x: tf.Tensor): boolean {
    return this.valueOf(x).under !== undefined;
  }

  /** An op of the graph. Returns its name. */
  private add(
    op: string,
    attributes: readonly OpAttribute[],
    inputs: readonly Value[],
    outputs: RecordedOp['outputs'],
  ): string {
    const { controls } = this;
    const name = `n${this.ops.length}`;
    const signature = opSignature({ op, attributes, inputs, controls, outputs });
    const here = this.departure('op', signature, this.expected?.ops[this.ops.length]);
    this.ops.push({ name, op, attributes, inputs, controls, outputs, signature, here });
    return name;
  }

  /** Where the user's code is, where it departs for the first time from what is expected. */
  private departure(kind: 'op' | 'constant', now: string, before: string | undefined): Error | undefined {
    if (!this.expected || this.met[kind] || now === before) return undefined;
    this.met[kind] = true;
    return hereError();
  }

  /** A tensor of its own data with `x`'s values, and its native one, of which the graph knows nothing yet. */
  private unrecorded(x: tf.Tensor): NativeTensor & { copy: tf.Tensor } {
    const ids = this.backend.getInputTensorIds([x]);
    const { dtype } = this.backend.tensorMap.get(x.dataId);
    const [native] = this.binding.executeOp('Identity', [this.typed(dtype)], ids, 1);
    return { ...native, shape: [...native.shape], copy: this.backend.createOutputTensor(native) };
  }

  private typed(dtype: number): OpAttribute {
    return { name: 'T', type: this.binding.TF_ATTR_TYPE, value: dtype };
  }

  /** The side of a choice that an op is on, by its inputs. */
  private sideOf(op: string, inputs: readonly Value[]): Gate | undefined {
    let found: Gate | undefined;
    for (const { under } of inputs) {
      if (!under) continue;
      if (found && (keyOf(found.predicate) !== keyOf(under.predicate) || found.side !== under.side)) {
        throw new CompileError(
          `'${op}' takes what two choices compute, of which a run may leave one out: settle them first`,
          placeOf(hereError()),
        );
      }
      found = under;
    }
    return found;
  }

  /** Gives each input and each variable data of its own: the recorder tells tensors apart by their data. */
  private separate(inputs: readonly tf.Tensor[]): void {
    const { backend } = this;
    const taken = new Set<object>(inputs.map(({ dataId }) => dataId));
    for (const variable of Object.values(tf.engine().registeredVariables)) {
      if (!backend.tensorMap.has(variable.dataId)) continue;
      if (taken.has(variable.dataId) || backend.tensorMap.get(variable.dataId).refCount > 1) {
        const own = detached(backend, variable);
        variable.assign(own);
        own.dispose();
      }
      // Values that still wait to be handed over could be read without anyone noticing.
      if (backend.tensorMap.get(variable.dataId).values) backend.getInputTensorIds([variable]);
      taken.add(variable.dataId);
      this.variableOf.set(variable.dataId, variable);
      this.starts.set(variable, variable.dataId);
    }
  }

  private install(): void {
    const { backend, binding } = this;
    const { random } = Math;
    const proxy = Object.create(binding) as Binding;
    const define = (name: string, value: unknown): void => {
      // The binding's own functions cannot be written to, so assigning would be refused.
      Object.defineProperty(proxy, name, { value, configurable: true });
    };
    for (const name of ['createTensor', 'deleteTensor', 'tensorDataSync', 'executeOp'] as const) {
      define(name, (binding[name] as (...args: unknown[]) => unknown).bind(binding));
    }
    define('executeOp', this.execute);
    define('tensorDataSync', this.read);
    define('loadSavedModel', binding.loadSavedModel.bind(binding));
    define('runSavedModel', binding.runSavedModel.bind(binding));
    const original = backend.getInputTensorIds.bind(backend);
    backend.getInputTensorIds = (tensors) => {
      if (backend.binding === proxy) for (const tensor of tensors) this.meet(tensor as tf.Tensor, original);
      return original(tensors);
    };
    backend.binding = proxy;
    Math.random = () => {
      throw new CompileError(
        'random numbers drawn in JavaScript would be the same at every step of the graph: draw them from a RandomStream ' +
          '(context.random), or give the function a seed if they are meant to stay the same',
        placeOf(hereError()),
      );
    };
    setActive(this);
    this.restore = () => {
      backend.binding = binding;
      // The method of the class, which the one above hides.
      delete (backend as Partial<NodeBackend>).getInputTensorIds;
      Math.random = random;
      setActive(undefined);
      this.restore = undefined;
    };
  }

  /** Puts the backend right. Also called where the code was ended from outside. */
  uninstall(): void {
    this.restore?.();
  }

  private readonly execute = (
    op: string,
    attributes: OpAttribute[],
    ids: number[],
    count: number,
  ): NativeTensor[] => {
    const inputs = ids.map((id) => this.known(id));
    const varying = randomOps.has(op) || inputs.some((value) => value.varying);
    if (varying && unshapedOps.has(op)) {
      throw new CompileError(
        `the shape of what '${op}' returns depends on values, and a graph's shapes are fixed: use a mask or topk of a fixed length`,
        placeOf(hereError()),
      );
    }
    const under = this.sideOf(op, inputs);
    const outputs = this.binding.executeOp(op, attributes, ids, count);
    const name = this.add(
      op,
      this.completed(op, attributes, inputs),
      inputs,
      outputs.map(({ shape, dtype }) => ({ shape: [...shape], dtype })),
    );
    outputs.forEach(({ id, dtype }, output) => this.values.set(id, { name, output, dtype, varying, under }));
    return outputs;
  };

  /** The attributes, with those that an eager op infers from its inputs and a graph must be given. */
  private completed(op: string, attributes: readonly OpAttribute[], inputs: readonly Value[]): OpAttribute[] {
    const copies = attributes.map((attribute) => ({ ...attribute }));
    if (op === 'ExpandDims' && copies.length === 0) {
      copies.push({ name: 'T', type: this.binding.TF_ATTR_TYPE, value: inputs[0].dtype });
    }
    return copies;
  }

  private readonly read = (id: number): Float32Array | Int32Array | Uint8Array => {
    const value = this.values.get(id);
    if (value ? value.varying : this.isVariable(id)) {
      throw new CompileError(
        "the value of a tensor is read in JavaScript while the step is recorded; the graph would keep this run's value for ever. " +
          'Compute with tensors instead, or return the tensor and read it after the step',
        placeOf(hereError()),
      );
    }
    return this.binding.tensorDataSync(id);
  };

  /** Whether this is the native tensor of a variable that no op has used yet. */
  private isVariable(id: number): boolean {
    return [...this.variableOf.keys()].some((dataId) => {
      if (!this.backend.tensorMap.has(dataId)) return false;
      // Not `.id`: a getter there would fetch the variable from a graph.
      return Object.getOwnPropertyDescriptor(this.backend.tensorMap.get(dataId), 'id')?.value === id;
    });
  }

  /** Makes sure that the native tensor of `tensor` is known, before its id is asked for. */
  private meet(
    tensor: tf.Tensor & { valueArray?: Int32Array },
    ids: (tensors: readonly tf.Tensor[]) => number[],
  ): void {
    if (tensor.valueArray) return; // an int64 scalar is created at each use; `known` meets it
    const { dataId } = tensor;
    if (!this.backend.tensorMap.has(dataId)) {
      throw new CompileError(
        `the step uses a tensor [${tensor.shape}] that has been disposed`,
        placeOf(hereError()),
      );
    }
    const data = this.backend.tensorMap.get(dataId);
    const { values } = data;
    const [id] = ids([tensor]);
    if (this.values.has(id)) return;
    const variable = this.variableOf.get(dataId);
    if (variable) {
      const name = `v${this.variables.length}`;
      this.variables.push({ name, variable, dtype: data.dtype });
      this.values.set(id, { name: `${name}_read`, output: 0, dtype: data.dtype, varying: true });
      return;
    }
    const content = values ?? this.binding.tensorDataSync(id);
    const before = values === null || tensor.id < this.firstTensor;
    this.addConstant(id, data.shape, data.dtype, content, before ? dataId : undefined);
  }

  private known(id: number): Value {
    const value = this.values.get(id);
    if (value) return value;
    // Only int64 scalars come without a tensor of tfjs; their two halves are read back as they went in.
    const content = this.binding.tensorDataSync(id);
    return this.addConstant(id, [], this.binding.TF_INT64, content, undefined);
  }

  private addConstant(
    id: number,
    shape: readonly number[],
    dtype: number,
    content: ArrayBufferView,
    dataId: object | undefined,
  ): Value {
    const name = `c${this.constants.length}`;
    const bytes = constantBytes(content, dtype === this.binding.TF_BOOL);
    const signature = constantSignature({ shape, dtype, bytes });
    const here = this.departure(
      'constant',
      signature.key,
      this.expected?.constants[this.constants.length]?.key,
    );
    this.constants.push({ name, shape: [...shape], dtype, bytes, signature, here, dataId });
    const value: Value = { name, output: 0, dtype, varying: false };
    this.values.set(id, value);
    return value;
  }

  private valueOf(tensor: tf.Tensor): Value {
    return this.known(this.backend.getInputTensorIds([tensor])[0]);
  }

  private noteAssignments(): void {
    for (const [variable, dataId] of this.starts) {
      if (variable.isDisposed || variable.dataId === dataId) continue;
      const guard = this.guards.get(variable);
      const guarded = guard?.dataId === variable.dataId ? guard : undefined;
      const assigned = guarded?.assigned ?? this.valueOf(variable);
      let recorded = this.variables.find((known) => known.variable === variable);
      if (!recorded) {
        const { dtype } = this.backend.tensorMap.get(variable.dataId);
        recorded = { name: `v${this.variables.length}`, variable, dtype };
        this.variables.push(recorded);
      }
      recorded.assigned = assigned;
      recorded.condition = guarded?.condition;
    }
  }
}

function keyOf({ name, output }: Value): string {
  return `${name}:${output}`;
}

/** A copy of a constant's bytes, little endian as in memory. */
function constantBytes(content: ArrayBufferView, bool: boolean): Uint8Array {
  if (!ArrayBuffer.isView(content)) {
    throw new CompileError('tensors of strings cannot be part of a compiled step', placeOf(hereError()));
  }
  if (bool) return Uint8Array.from(content as Uint8Array);
  return new Uint8Array(content.buffer, content.byteOffset, content.byteLength).slice();
}

addMender(() => active?.uninstall());
