/**
 * Slices, splits, joins and transposes on the wasm backend as copies within its heap. tfjs's slice first copies its whole input out of the
 * heap, so that taking one row of a batch costs as much as taking all; its concatenation makes an object for each row.
 */
import type { tf } from '../../tf';
import { copyElements } from './copy-kernels';
import { addressOf, run, type WasmArguments, type WasmHost } from './host';

/** Elements at regular distances, in elements from a tensor's first one; as many distances as there are axes. */
interface Block {
  readonly tensor: tf.TensorInfo;
  readonly start: number;
  readonly strides: readonly number[];
}

/** The distances of neighbours along each axis of a tensor of this shape. */
function stridesOf(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1] * shape[axis + 1];
  return strides;
}

const all = (tensor: tf.TensorInfo): Block => ({ tensor, start: 0, strides: stridesOf(tensor.shape) });

interface Axis {
  size: number;
  from: number;
  to: number;
}

/** So many elements are worth a piece of work. */
const pieceElements = 16_384;

/** Copies a block of a shape; both sides have the same type. */
function copyBlock(backend: WasmHost, shape: readonly number[], from: Block, to: Block): void {
  if (shape.some((size) => size === 0)) return;
  // as few axes as describe it
  const axes: Axis[] = [];
  shape.forEach((size, i) => {
    if (size === 1) return;
    const last = axes.at(-1);
    const axis = { size, from: from.strides[i], to: to.strides[i] };
    if (last && last.from === axis.from * size && last.to === axis.to * size) {
      axes[axes.length - 1] = { ...axis, size: size * last.size };
    } else axes.push(axis);
  });
  while (axes.length < 4) axes.unshift({ size: 1, from: 0, to: 0 });
  const copy = from.tensor.dtype === 'bool' ? copyBytes : copyWords;
  const visit = (rest: Axis[], source: number, target: number): void => {
    if (rest.length === 4) return copy(backend, rest, from.tensor, source, to.tensor, target);
    const [{ size, from: fromStride, to: toStride }, ...inner] = rest;
    for (let i = 0; i < size; i++) visit(inner, source + i * fromStride, target + i * toStride);
  };
  visit(axes, from.start, to.start);
}

function copyWords(
  backend: WasmHost,
  [outer, row, column, element]: Axis[],
  from: tf.TensorInfo,
  source: number,
  to: tf.TensorInfo,
  target: number,
): void {
  // one long run: in pieces, for the threads
  const single = outer.size * row.size * column.size === 1 && element.from === 1 && element.to === 1;
  const rest = single ? element.size % pieceElements : 0;
  if (single && element.size > 2 * pieceElements) {
    const piece = { size: (element.size - rest) / pieceElements, from: pieceElements, to: pieceElements };
    const one = { size: 1, from: 0, to: 0 };
    const elements = { size: pieceElements, from: 1, to: 1 };
    copyWords(backend, [one, piece, one, elements], from, source, to, target);
    if (rest === 0) return;
    const done = element.size - rest;
    return copyWords(
      backend,
      [one, one, one, { ...elements, size: rest }],
      from,
      source + done,
      to,
      target + done,
    );
  }
  run(
    backend,
    copyElements,
    {
      from: addressOf(backend, from) + source * 4,
      to: addressOf(backend, to) + target * 4,
      rows: row.size,
      columns: column.size,
      run: element.size,
      fromOuter: outer.from * 4,
      fromRow: row.from * 4,
      fromColumn: column.from * 4,
      fromElement: element.from * 4,
      toOuter: outer.to * 4,
      toRow: row.to * 4,
      toColumn: column.to * 4,
      toElement: element.to * 4,
    },
    outer.size * row.size,
    Math.max(1, Math.round(pieceElements / (column.size * element.size))),
  );
}

/** Truth values, a byte each. */
function copyBytes(
  backend: WasmHost,
  axes: Axis[],
  from: tf.TensorInfo,
  source: number,
  to: tf.TensorInfo,
  target: number,
): void {
  const values = backend.typedArrayFromHeap(from);
  const copies = backend.typedArrayFromHeap(to);
  const visit = (depth: number, at: number, put: number): void => {
    if (depth === axes.length) {
      copies[put] = values[at];
      return;
    }
    const { size, from: fromStride, to: toStride } = axes[depth];
    for (let i = 0; i < size; i++) visit(depth + 1, at + i * fromStride, put + i * toStride);
  };
  visit(0, source, target);
}

/** The part of x of shape `size` that starts at `begin`. */
function slicePart(
  backend: WasmHost,
  x: tf.TensorInfo,
  begin: readonly number[],
  size: readonly number[],
  shape: readonly number[] = size,
): tf.TensorInfo {
  const out = backend.makeOutput([...shape], x.dtype);
  const strides = stridesOf(x.shape);
  const start = begin.reduce((sum, index, axis) => sum + index * strides[axis], 0);
  copyBlock(
    backend,
    size,
    { tensor: x, start, strides },
    { tensor: out, start: 0, strides: stridesOf(size) },
  );
  return out;
}

/** A slice kernel; strings, which don't lie on the heap, go to `original`. */
export function sliceOn(
  original: tf.KernelConfig,
): (
  args: WasmArguments<{ x: tf.Tensor }, { begin: number | number[]; size: number | number[] }>,
) => tf.TensorInfo {
  return (args) => {
    const { x } = args.inputs;
    if (x.dtype === 'string') return original.kernelFunc(args as never) as tf.TensorInfo;
    const filled = (value: number | number[], rest: (axis: number) => number): number[] =>
      x.shape.map((_, axis) =>
        typeof value === 'number' ? (axis === 0 ? value : rest(axis)) : (value[axis] ?? rest(axis)),
      );
    const begin = filled(args.attrs.begin, () => 0);
    // -1, or nothing: up to the end
    const size = filled(args.attrs.size, () => -1).map((s, axis) =>
      s >= 0 ? s : x.shape[axis] - begin[axis],
    );
    begin.forEach((b, axis) => {
      if (b >= 0 && b + size[axis] <= x.shape[axis]) return;
      throw new RangeError(
        `slice [${begin}] of size [${size}] reaches out of shape [${x.shape}] on axis ${axis}`,
      );
    });
    return slicePart(args.backend, x, begin, size);
  };
}

/** A split kernel, of one slice a part. */
export function splitOn(
  sizesOf: (x: tf.Tensor, sizes: number | number[], axis: number) => number[],
): (
  args: WasmArguments<{ x: tf.Tensor }, { numOrSizeSplits: number | number[]; axis: number }>,
) => tf.TensorInfo[] {
  return ({ inputs: { x }, attrs, backend }) => {
    const axis = attrs.axis < 0 ? attrs.axis + x.rank : attrs.axis;
    let start = 0;
    return sizesOf(x, attrs.numOrSizeSplits, axis).map((length) => {
      const begin = x.shape.map((_, d) => (d === axis ? start : 0));
      start += length;
      return slicePart(
        backend,
        x,
        begin,
        x.shape.map((full, d) => (d === axis ? length : full)),
      );
    });
  };
}

/** A kernel that takes a tensor apart along an axis; strings go to `original`. */
export function unpackOn(
  original: tf.KernelConfig,
): (args: WasmArguments<{ value: tf.Tensor }, { axis: number }>) => tf.TensorInfo[] {
  return (args) => {
    const { value } = args.inputs;
    if (value.dtype === 'string') return original.kernelFunc(args as never) as tf.TensorInfo[];
    const axis = args.attrs.axis < 0 ? args.attrs.axis + value.rank : args.attrs.axis;
    const part = value.shape.map((length, d) => (d === axis ? 1 : length));
    const shape = value.shape.filter((_, d) => d !== axis);
    return Array.from({ length: value.shape[axis] }, (_, i) =>
      slicePart(
        args.backend,
        value,
        value.shape.map((_length, d) => (d === axis ? i : 0)),
        part,
        shape,
      ),
    );
  };
}

/** The tensors one behind the other along an axis of `shape`, which each of them takes `lengths` of. */
function join(
  backend: WasmHost,
  parts: tf.TensorInfo[],
  lengths: number[],
  shape: number[],
  axis: number,
): tf.TensorInfo {
  const out = backend.makeOutput(shape, parts[0].dtype);
  const strides = stridesOf(shape);
  let start = 0;
  parts.forEach((part, i) => {
    const size = shape.map((length, d) => (d === axis ? lengths[i] : length));
    const from = { tensor: part, start: 0, strides: stridesOf(size) };
    copyBlock(backend, size, from, { tensor: out, start: start * strides[axis], strides });
    start += lengths[i];
  });
  return out;
}

/** A concatenation kernel; strings, and what takes no copying, go to `original`. */
export function concatOn(
  original: tf.KernelConfig,
): (args: WasmArguments<tf.Tensor[], { axis: number }>) => tf.TensorInfo {
  return (args) => {
    // tfjs hands the inputs over as an array, or as an object with keys 0, 1, ...
    const parts = Object.values(args.inputs).filter((t) => t.size > 0);
    const { dtype } = args.inputs[0];
    if (parts.length < 2 || dtype === 'string' || parts.some((t) => t.dtype !== dtype)) {
      return original.kernelFunc(args as never) as tf.TensorInfo;
    }
    const first = parts[0];
    const axis = args.attrs.axis < 0 ? args.attrs.axis + first.rank : args.attrs.axis;
    const lengths = parts.map((t) => t.shape[axis]);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    const shape = first.shape.map((length, d) => (d === axis ? total : length));
    return join(args.backend, parts, lengths, shape, axis);
  };
}

/** A kernel that stacks tensors along a new axis; strings go to `original`. */
export function packOn(
  original: tf.KernelConfig,
): (args: WasmArguments<tf.Tensor[], { axis: number }>) => tf.TensorInfo {
  return (args) => {
    const parts = Object.values(args.inputs);
    const { dtype, shape } = parts[0];
    if (dtype === 'string' || parts.some((t) => t.dtype !== dtype)) {
      return original.kernelFunc(args as never) as tf.TensorInfo;
    }
    const axis = args.attrs.axis < 0 ? args.attrs.axis + shape.length + 1 : args.attrs.axis;
    const lengths = parts.map(() => 1);
    return join(
      args.backend,
      parts,
      lengths,
      [...shape.slice(0, axis), parts.length, ...shape.slice(axis)],
      axis,
    );
  };
}

/** A transpose kernel; strings go to `original`. */
export function transposeOn(
  original: tf.KernelConfig,
): (args: WasmArguments<{ x: tf.Tensor }, { perm: number[] }>) => tf.TensorInfo {
  return (args) => {
    const { x } = args.inputs;
    const { perm } = args.attrs;
    if (x.dtype === 'string') return original.kernelFunc(args as never) as tf.TensorInfo;
    const shape = perm.map((axis) => x.shape[axis]);
    const out = args.backend.makeOutput(shape, x.dtype);
    const strides = stridesOf(x.shape);
    const from = { tensor: x, start: 0, strides: perm.map((axis) => strides[axis]) };
    copyBlock(args.backend, shape, from, all(out));
    return out;
  };
}

/** A kernel that repeats a tensor along its axes; strings go to `original`. */
export function tileOn(
  original: tf.KernelConfig,
): (args: WasmArguments<{ x: tf.Tensor }, { reps: number[] }>) => tf.TensorInfo {
  return (args) => {
    const { x } = args.inputs;
    const { reps } = args.attrs;
    if (x.dtype === 'string') return original.kernelFunc(args as never) as tf.TensorInfo;
    const shape = x.shape.map((length, axis) => length * reps[axis]);
    const out = args.backend.makeOutput(shape, x.dtype);
    const [own, strides] = [stridesOf(x.shape), stridesOf(shape)];
    // each axis as two: the repetitions, which start again, and the axis itself
    copyBlock(
      args.backend,
      x.shape.flatMap((length, axis) => [reps[axis], length]),
      { tensor: x, start: 0, strides: own.flatMap((stride) => [0, stride]) },
      {
        tensor: out,
        start: 0,
        strides: x.shape.flatMap((length, axis) => [length * strides[axis], strides[axis]]),
      },
    );
    return out;
  };
}

/** tfjs's Identity: another name for the same values, where tfjs copies them. */
export function identity({
  backend,
  inputs: { x },
}: WasmArguments<{ x: tf.TensorInfo }, object>): tf.TensorInfo {
  backend.incRef(x.dataId);
  return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
}
