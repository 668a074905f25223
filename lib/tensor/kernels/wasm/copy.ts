/**
 * Slice, split and concatenation on the wasm backend as copies within its heap. tfjs's slice first copies its whole input out of
 * the heap, so that taking one row of a batch costs as much as taking all; its concatenation makes an object for each row.
 */
import type { tf } from '../../tf';
import { type KernelArguments, type WasmBackend } from '../registry';

/** The values of several tensors of one heap: where each starts, in elements of `heap`. */
interface HeapBlocks {
  readonly heap: Float32Array | Int32Array | Uint8Array;
  readonly starts: number[];
}

/** One view of the whole heap for tensors of the same type, since copying inside a view makes no objects. */
function blocks(backend: WasmBackend, tensors: tf.TensorInfo[]): HeapBlocks {
  const views = tensors.map((t) => backend.typedArrayFromHeap(t));
  const first = views[0];
  const View = first.constructor as new (buffer: ArrayBufferLike) => HeapBlocks['heap'];
  return { heap: new View(first.buffer), starts: views.map((v) => v.byteOffset / v.BYTES_PER_ELEMENT) };
}

/** Copies `length` elements. A loop is faster for a few, the engine's own copy for many. */
function copy(heap: HeapBlocks['heap'], to: number, from: number, length: number): void {
  if (length > 24) heap.copyWithin(to, from, from + length);
  else for (let i = 0; i < length; i++) heap[to + i] = heap[from + i];
}

/** The part of x of shape `size` that starts at `begin`. */
function slicePart(
  backend: WasmBackend,
  x: tf.TensorInfo,
  begin: readonly number[],
  size: readonly number[],
): tf.TensorInfo {
  const out = backend.makeOutput([...size], x.dtype);
  if (size.some((length) => length === 0)) return out;
  const { heap, starts } = blocks(backend, [out, x]);
  // The axes behind `axis` are taken whole: `run` elements lie beside each other in x and in the result.
  let axis = size.length - 1;
  let inner = 1;
  while (axis > 0 && size[axis] === x.shape[axis]) inner *= x.shape[axis--];
  const run = axis < 0 ? 1 : size[axis] * inner;
  const strides: number[] = [];
  for (let d = axis, stride = inner; d >= 0; d--) {
    strides[d] = stride;
    stride *= x.shape[d];
  }
  let from = starts[1];
  for (let d = 0; d <= axis; d++) from += begin[d] * strides[d];
  let to = starts[0];
  const index = Array.from({ length: Math.max(0, axis) }, () => 0);
  for (;;) {
    copy(heap, to, from, run);
    to += run;
    // the next row, counting as an odometer does
    let d = axis - 1;
    for (; d >= 0; d--) {
      from += strides[d];
      if (++index[d] < size[d]) break;
      from -= size[d] * strides[d];
      index[d] = 0;
    }
    if (d < 0) return out;
  }
}

/** A slice kernel; strings, which don't lie on the heap, go to `original`. */
export function sliceOn(
  original: tf.KernelConfig,
): (
  args: KernelArguments<{ x: tf.Tensor }, { begin: number | number[]; size: number | number[] }>,
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
  args: KernelArguments<{ x: tf.Tensor }, { numOrSizeSplits: number | number[]; axis: number }>,
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

/** A concatenation kernel; strings, and what takes no copying, go to `original`. */
export function concatOn(
  original: tf.KernelConfig,
): (args: KernelArguments<tf.Tensor[], { axis: number }>) => tf.TensorInfo {
  return (args) => {
    // tfjs hands the inputs over as an array, or as an object with keys 0, 1, ...
    const parts = Object.values(args.inputs).filter((t) => t.size > 0);
    const { dtype } = args.inputs[0];
    if (parts.length < 2 || dtype === 'string' || parts.some((t) => t.dtype !== dtype)) {
      return original.kernelFunc(args as never) as tf.TensorInfo;
    }
    const first = parts[0];
    const axis = args.attrs.axis < 0 ? args.attrs.axis + first.rank : args.attrs.axis;
    const total = parts.reduce((sum, t) => sum + t.shape[axis], 0);
    const out = args.backend.makeOutput(
      first.shape.map((length, d) => (d === axis ? total : length)),
      dtype,
    );
    const { heap, starts } = blocks(args.backend, [out, ...parts]);
    const rows = first.shape.slice(0, axis).reduce((a, b) => a * b, 1);
    const runs = parts.map((t) => t.size / rows);
    let to = starts[0];
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < parts.length; i++) {
        copy(heap, to, starts[i + 1] + row * runs[i], runs[i]);
        to += runs[i];
      }
    }
    return out;
  };
}
