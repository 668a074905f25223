/** Writes a recording as a SavedModel, the one form of a graph that tfjs-node's binding loads. */
import { projectRequire, tfjsNodePackage } from '../packages';
import { CompileError } from './errors';
import type { Binding, OpAttribute } from './node-backend';
import type { Gate, Recording, Value } from './recording';

/** The package's protobuf classes, as far as they are used. */
interface Protobuf {
  AttrValue: { new (): AttrValue; ListValue: new () => ListValue };
  GraphDef: new () => { setVersions(versions: object): void; addNode(node: NodeDef): void };
  MetaGraphDef: {
    new (): { setMetaInfoDef(info: object): void; setGraphDef(graph: object): void };
    MetaInfoDef: new () => { addTags(tag: string): void };
  };
  NodeDef: new () => NodeDef;
  SavedModel: new () => {
    setSavedModelSchemaVersion(version: number): void;
    addMetaGraphs(graph: object): void;
    serializeBinary(): Uint8Array;
  };
  Tensor: new () => {
    setDtype(type: number): void;
    setTensorShape(shape: object): void;
    setTensorContent(bytes: Uint8Array): void;
  };
  TensorShape: { new (): { addDim(dim: object): void }; Dim: new () => { setSize(size: number): void } };
  VersionDef: new () => { setProducer(version: number): void };
}
interface NodeDef {
  setName(name: string): void;
  setOp(op: string): void;
  addInput(input: string): void;
  getAttrMap(): { set(name: string, value: AttrValue): void };
}
interface AttrValue {
  setS(value: Uint8Array): void;
  setI(value: number): void;
  setF(value: number): void;
  setB(value: boolean): void;
  setType(value: number): void;
  setShape(value: object): void;
  setTensor(value: object): void;
  setList(value: ListValue): void;
}
interface ListValue {
  addI(value: number): void;
  addF(value: number): void;
  addType(value: number): void;
}

/** Sets an attribute of a node. */
type Attribute = (value: AttrValue) => void;

/** Names in the graph, as the binding's `runSavedModel` wants them. */
export interface GraphNames {
  /** Of the outputs, in order; the last one makes the assignments happen. */
  readonly run: string;
  readonly inputs: string;
  /** Of each variable: what holds its value, where a new value goes in, and what must be asked for to put it there. */
  readonly variables: readonly { readonly read: string; readonly feed: string; readonly set: string }[];
}

/** A tensor's name as the input of a node. */
function reference({ name, output }: Value): string {
  return output === 0 ? name : `${name}:${output}`;
}

/**
 * The recording as the bytes of `saved_model.pb`, and the names in it.
 *
 * A variable is read once, before anything else happens to it; assignments come last, each after the one reading. So every op sees the
 * variables as they were when the step began, as in the eager step, where a new value is another tensor.
 */
export function savedModel(recording: Recording, binding: Binding): { bytes: Uint8Array; names: GraphNames } {
  const pb = projectRequire(`${tfjsNodePackage}/dist/proto/api_pb.js`) as Protobuf;
  const graph = new pb.GraphDef();
  const versions = new pb.VersionDef();
  // Any from 27 on would do: since then the graph's ops have their present meaning.
  versions.setProducer(2000);
  graph.setVersions(versions);

  const shape = (dims: readonly number[]): object => {
    const message = new pb.TensorShape();
    for (const size of dims) {
      const dim = new pb.TensorShape.Dim();
      dim.setSize(size);
      message.addDim(dim);
    }
    return message;
  };
  const type =
    (dtype: number): Attribute =>
    (value) =>
      value.setType(dtype);
  const text =
    (content: string): Attribute =>
    (value) =>
      value.setS(Buffer.from(content));
  const tensor =
    (dims: readonly number[], dtype: number, bytes: Uint8Array): Attribute =>
    (value) => {
      const message = new pb.Tensor();
      message.setDtype(dtype);
      message.setTensorShape(shape(dims));
      message.setTensorContent(bytes);
      value.setTensor(message);
    };
  const add = (
    name: string,
    op: string,
    inputs: readonly string[],
    attributes: Record<string, Attribute>,
  ): void => {
    const node = new pb.NodeDef();
    node.setName(name);
    node.setOp(op);
    inputs.forEach((input) => node.addInput(input));
    for (const [key, set] of Object.entries(attributes)) {
      const value = new pb.AttrValue();
      set(value);
      node.getAttrMap().set(key, value);
    }
    graph.addNode(node);
  };
  const recorded = ({ type: kind, value, name }: OpAttribute, op: string): Attribute => {
    const list = (fill: (list: ListValue) => void): Attribute => {
      const values = new pb.AttrValue.ListValue();
      fill(values);
      return (attribute) => attribute.setList(values);
    };
    const numbers = value as number[];
    switch (kind) {
      case binding.TF_ATTR_STRING:
        return text(value as string);
      case binding.TF_ATTR_INT:
        return Array.isArray(value)
          ? list((l) => numbers.forEach((n) => l.addI(n)))
          : (attribute) => attribute.setI(value as number);
      case binding.TF_ATTR_FLOAT:
        return Array.isArray(value)
          ? list((l) => numbers.forEach((n) => l.addF(n)))
          : (attribute) => attribute.setF(value as number);
      case binding.TF_ATTR_BOOL:
        return (attribute) => attribute.setB(value as boolean);
      case binding.TF_ATTR_TYPE:
        return Array.isArray(value)
          ? list((l) => numbers.forEach((n) => l.addType(n)))
          : type(value as number);
      case binding.TF_ATTR_SHAPE:
        return (attribute) => attribute.setShape(shape(numbers));
      default:
        throw new CompileError(
          `the attribute ${name} of ${op} is of a kind that a graph cannot be given here`,
        );
    }
  };

  for (const { name, shape: dims, dtype } of recording.inputs) {
    add(name, 'Placeholder', [], { dtype: type(dtype), shape: (value) => value.setShape(shape(dims)) });
  }
  for (const { name, shape: dims, dtype, bytes } of recording.constants) {
    add(name, 'Const', [], { dtype: type(dtype), value: tensor(dims, dtype, bytes) });
  }
  const one = tensor([], binding.TF_INT32, new Uint8Array(Int32Array.of(1).buffer));
  add('one', 'Const', [], { dtype: type(binding.TF_INT32), value: one });
  for (const { name, variable, dtype } of recording.variables) {
    const dims: Attribute = (value) => value.setShape(shape(variable.shape));
    add(name, 'VarHandleOp', [], {
      dtype: type(dtype),
      shape: dims,
      container: text(''),
      shared_name: text(name),
    });
    add(`${name}_read`, 'ReadVariableOp', [name], { dtype: type(dtype) });
    add(`${name}_in`, 'Placeholder', [], { dtype: type(dtype), shape: dims });
    add(`${name}_put`, 'AssignVariableOp', [name, `${name}_in`], { dtype: type(dtype) });
    add(`${name}_set`, 'Identity', ['one', `^${name}_put`], { T: type(binding.TF_INT32) });
  }
  for (const { name, op, attributes, inputs, controls } of recording.ops) {
    add(
      name,
      op,
      [...inputs.map(reference), ...new Set(controls.map((control) => `^${control.name}`))],
      Object.fromEntries(attributes.map((attribute) => [attribute.name, recorded(attribute, op)])),
    );
  }

  // Conditional assignments: Switch hands its input on to one side only, and what gets nothing does not run. So with an assignment of what a
  // choice has left out.
  const all: string[] = [];
  const conditional = new Map<string, { gates: Gate[]; assignments: string[] }>();
  for (const { name, dtype, assigned, condition } of recording.variables) {
    if (!assigned) continue;
    let value = reference(assigned);
    const gates: Gate[] = [];
    if (assigned.under) gates.push(assigned.under);
    if (condition) {
      add(`${name}_if`, 'Switch', [value, reference(condition)], { T: type(dtype) });
      value = `${name}_if:1`;
      gates.push({ predicate: condition, side: true });
    }
    add(`${name}_assign`, 'AssignVariableOp', [name, value, `^${name}_read`], { dtype: type(dtype) });
    const key = gates.map(({ predicate, side }) => `${reference(predicate)}=${side}`).join(' ');
    if (!conditional.has(key)) conditional.set(key, { gates, assignments: [] });
    conditional.get(key)!.assignments.push(`^${name}_assign`);
  }
  const int32 = { T: type(binding.TF_INT32) };
  [...conditional.values()].forEach(({ gates, assignments }, i) => {
    let open = 'one';
    gates.forEach(({ predicate, side }, level) => {
      const name = `if${i}_${level}`;
      add(name, 'Switch', [open, reference(predicate)], int32);
      add(`else${i}_${level}`, 'Identity', [side ? name : `${name}:1`], int32);
      open = side ? `${name}:1` : name;
    });
    let end = `then${i}`;
    add(end, 'Identity', [open, ...assignments], int32);
    for (let level = gates.length - 1; level >= 0; level--) {
      const name = `endif${i}_${level}`;
      add(name, 'Merge', [`else${i}_${level}`, end], { ...int32, N: (value) => value.setI(2) });
      end = name;
    }
    all.push(`^${end}`);
  });
  add('done', 'Identity', ['one', ...all], int32);
  recording.outputs.forEach((value, i) => {
    add(`y${i}`, 'Identity', [reference(value)], { T: type(value.dtype) });
  });

  const meta = new pb.MetaGraphDef();
  const info = new pb.MetaGraphDef.MetaInfoDef();
  info.addTags('serve');
  meta.setMetaInfoDef(info);
  meta.setGraphDef(graph);
  const model = new pb.SavedModel();
  model.setSavedModelSchemaVersion(1);
  model.addMetaGraphs(meta);
  return {
    bytes: model.serializeBinary(),
    names: {
      run: [...recording.outputs.map((_, i) => `y${i}:0`), 'done:0'].join(','),
      inputs: recording.inputs.map(({ name }) => `${name}:0`).join(','),
      variables: recording.variables.map(({ name }) => ({
        read: `${name}_read:0`,
        feed: `${name}_in:0`,
        set: `${name}_set:0`,
      })),
    },
  };
}
