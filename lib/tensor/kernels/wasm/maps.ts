/** Functions of one or two tensors, an element at a time, on the wasm backend. */
import { tf } from '../../tf';
import { addressOf, run, type WasmArguments, type WasmHost } from './host';
import { binary, blockElements, comparisons, gradients, unary } from './map-kernels';

/** So many elements are worth a piece of work. */
const pieceElements = 16_384;

/** An activation's gradient, by its name in `gradients`, of dy and the tensor that is kept for it, both of the same shape. */
export function gradientKernel(
  name: string,
): (args: WasmArguments<{ dy: tf.TensorInfo; kept: tf.TensorInfo }, object>) => tf.TensorInfo {
  return ({ backend, inputs: { dy, kept } }) => {
    const dx = backend.makeOutput(dy.shape, 'float32');
    runRows(backend, gradients[name], [dy, kept], dx, plainRows(tf.util.sizeFromShape(dy.shape)));
    return dx;
  };
}

/** How rows of elements lie in two operands; see `binaryKernel`. In floats. */
interface Rows {
  readonly inner: number;
  readonly middle: number;
  readonly count: number;
  readonly strides: readonly [outer: number, middle: number][];
}

/** Two tensors of the same shape. */
function plainRows(count: number): Rows {
  const inner = blockElements;
  return {
    inner,
    middle: Math.ceil(count / inner),
    count,
    strides: [
      [0, inner],
      [0, inner],
    ],
  };
}

function runRows(
  backend: WasmHost,
  kernel: (typeof gradients)[string],
  [a, b]: readonly tf.TensorInfo[],
  y: tf.TensorInfo,
  rows: Rows,
): void {
  const { inner, middle, count, strides } = rows;
  const [[aOuter, aMiddle], [bOuter, bMiddle]] = strides.map((pair) => pair.map((stride) => stride * 4));
  run(
    backend,
    kernel,
    {
      a: addressOf(backend, a),
      b: addressOf(backend, b),
      y: addressOf(backend, y),
      inner,
      middle,
      count,
      aOuter,
      aMiddle,
      bOuter,
      bMiddle,
    },
    Math.ceil(count / inner),
    Math.max(1, Math.round(pieceElements / inner)),
  );
}

/** Neighbouring axes along which the same operands change. */
interface Axes {
  size: number;
  readonly moves: readonly [a: boolean, b: boolean];
}

/** The axes of a broadcast result, as few as describe it, from the last to the first. */
function groupAxes(
  aShape: readonly number[],
  bShape: readonly number[],
  outShape: readonly number[],
): Axes[] {
  const groups: Axes[] = [];
  for (let axis = 1; axis <= outShape.length; axis++) {
    const size = outShape[outShape.length - axis];
    if (size === 1) continue;
    const moves = [aShape, bShape].map((shape) => (shape[shape.length - axis] ?? 1) !== 1) as [
      boolean,
      boolean,
    ];
    const last = groups.at(-1);
    if (last && last.moves[0] === moves[0] && last.moves[1] === moves[1]) last.size *= size;
    else groups.push({ size, moves });
  }
  return groups;
}

/** y = f(a, b), broadcast, of the kernels for each layout; undefined where the shapes go together in too involved a way. */
function runBroadcast(
  backend: WasmHost,
  kernels: (typeof binary)[string],
  a: tf.TensorInfo,
  b: tf.TensorInfo,
  dtype: tf.DataType,
): tf.TensorInfo | undefined {
  const shape = tf.backend_util.assertAndGetBroadcastShape(a.shape, b.shape);
  const groups = groupAxes(a.shape, b.shape, shape);
  if (groups.length > 3) return undefined;
  const y = backend.makeOutput(shape, dtype);
  const count = tf.util.sizeFromShape(shape);
  const [last, middle, outer] = groups;
  const moves = last?.moves ?? [true, true];
  const kernel = kernels[!moves[0] ? 'aNumber' : !moves[1] ? 'bNumber' : 'vectors'];
  // one group: rows of any length
  const inner = middle ? last.size : blockElements;
  const strides = [0, 1].map((operand): [number, number] => {
    const row = moves[operand] ? inner : 1;
    const own = (group: Axes | undefined): boolean => group?.moves[operand] ?? false;
    const block = row * (own(middle) ? middle.size : 1);
    return [own(outer) ? block : 0, own(middle) || (!middle && moves[operand]) ? row : 0];
  });
  const rows = { inner, middle: middle?.size ?? Math.max(1, Math.ceil(count / inner)), count, strides };
  runRows(backend, kernel, [a, b], y, rows);
  return y;
}

type BinaryArguments = WasmArguments<{ a: tf.TensorInfo; b: tf.TensorInfo }, object>;

/** A kernel of two tensors; what it is not made for goes to `original`. */
export function binaryOn(name: string, original: tf.KernelConfig): (args: BinaryArguments) => tf.TensorInfo {
  return (args) => {
    const { a, b } = args.inputs;
    const suits = a.dtype === 'float32' && b.dtype === 'float32';
    const y = suits ? runBroadcast(args.backend, binary[name], a, b, 'float32') : undefined;
    return y ?? (original.kernelFunc(args as never) as tf.TensorInfo);
  };
}

/** A comparison; what it is not made for goes to `original`. */
export function comparisonOn(
  name: string,
  original: tf.KernelConfig,
): (args: BinaryArguments) => tf.TensorInfo {
  return (args) => {
    const { a, b } = args.inputs;
    const kernels = a.dtype === b.dtype ? comparisons[name][a.dtype] : undefined;
    const y = kernels ? runBroadcast(args.backend, kernels, a, b, 'bool') : undefined;
    return y ?? (original.kernelFunc(args as never) as tf.TensorInfo);
  };
}

/** A kernel of one tensor, by its name in `unary`; tensors of other types go to `original`. */
export function unaryOn(
  name: string,
  original: tf.KernelConfig | undefined,
): (args: WasmArguments<{ x: tf.TensorInfo }, object>) => tf.TensorInfo {
  return (args) => {
    const { backend, inputs } = args;
    const { x } = inputs;
    if (original && x.dtype !== 'float32') return original.kernelFunc(args as never) as tf.TensorInfo;
    const y = backend.makeOutput(x.shape, 'float32');
    const count = tf.util.sizeFromShape(x.shape);
    const values = { x: addressOf(backend, x), y: addressOf(backend, y), count };
    run(backend, unary[name], values, Math.ceil(count / blockElements), pieceElements / blockElements);
    return y;
  };
}
