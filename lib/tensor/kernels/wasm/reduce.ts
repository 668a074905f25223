/** Sums, means and maxima over neighbouring axes on the wasm backend: tfjs transposes the tensor first unless the axes are the last ones. */
import { tf } from '../../tf';
import { addressOf, run, type WasmArguments, type WasmHost, withMemory } from './host';
import { pieceNumbers, pieceRows, reducers } from './reduce-kernels';

/** So many numbers are worth a piece of work. */
const pieceWork = 16_384;

/** y[outer, inner] = factor times the sum or maximum of x[outer, count, inner] over its middle axis; inner is 1, or at least 4. */
function reduceMiddle(
  backend: WasmHost,
  { rows, numbers }: (typeof reducers)['sum'],
  x: number,
  y: number,
  [outer, count, inner]: readonly [number, number, number],
  factor: number,
): void {
  const piece = inner === 1 ? pieceNumbers : pieceRows;
  const pieces = Math.max(1, Math.ceil(count / piece));
  const step = (from: number, to: number, size: number, parts: number, scale: number): void => {
    const length = parts === 1 ? size : piece;
    const values = { x: from, y: to, count: size, pieces: parts, piece: length, factor: scale };
    const items = Math.max(1, Math.round(pieceWork / (length * inner)));
    if (inner === 1) run(backend, numbers, values, outer * parts, items);
    else run(backend, rows, { ...values, inner }, outer * parts, items);
  };
  if (pieces === 1) return step(x, y, count, 1, factor);
  withMemory(backend, outer * pieces * inner, (partial) => {
    step(x, partial, count, pieces, 1);
    step(partial, y, pieces, 1, factor);
  });
}

interface Attributes {
  /** tfjs's name of the axes to reduce over; Max has another one. */
  axis?: number | number[];
  reductionIndices?: number | number[];
  keepDims: boolean;
}

/** A kernel of sums, means or maxima; what it is not made for goes to `original`. */
export function reductionOn(
  name: 'Sum' | 'Mean' | 'Max',
  original: tf.KernelConfig,
): (args: WasmArguments<{ x: tf.TensorInfo }, Attributes>) => tf.TensorInfo {
  return (args) => {
    const { backend, attrs } = args;
    const { x } = args.inputs;
    const axes = tf.util
      .parseAxisParam(attrs.reductionIndices ?? attrs.axis ?? [], x.shape)
      .sort((a, b) => a - b);
    const [first, last] = [axes[0], axes[axes.length - 1]];
    const size = (from: number, to: number): number => tf.util.sizeFromShape(x.shape.slice(from, to));
    const sizes = [size(0, first), size(first, last + 1), size(last + 1, x.shape.length)] as const;
    const neighbours = axes.length > 0 && last - first === axes.length - 1;
    const suits = neighbours && (sizes[2] === 1 || sizes[2] >= 4) && sizes.every((s) => s > 0);
    if (x.dtype !== 'float32' || !suits) return original.kernelFunc(args as never) as tf.TensorInfo;
    const shape = attrs.keepDims
      ? x.shape.map((length, axis) => (axes.includes(axis) ? 1 : length))
      : x.shape.filter((_, axis) => !axes.includes(axis));
    const y = backend.makeOutput(shape, 'float32');
    const factor = name === 'Mean' ? 1 / sizes[1] : 1;
    const kernels = reducers[name === 'Max' ? 'max' : 'sum'];
    reduceMiddle(backend, kernels, addressOf(backend, x), addressOf(backend, y), sizes, factor);
    return y;
  };
}
