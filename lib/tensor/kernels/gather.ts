/**
 * Kernels that look things up by index. tfjs-node's GatherV2 reads its indices in JavaScript, which costs time and cannot be
 * recorded in a graph, and knows no negative axis; wasm's gives wrong rows for batches (tfjs #8658), and its GatherNd and
 * ScatterNd reach out of their tensors for an index that is out of range.
 */
import { tf } from '../tf';
import { asKernelFunc, type KernelArguments, replaceKernel } from './registry';
import { runOp } from './tensorflow-ops';

type GatherArguments = KernelArguments<
  { x: tf.Tensor; indices: tf.Tensor },
  { axis: number; batchDims: number }
>;

/** The axis as a number from 0, and the sizes that a gather is made of. */
function geometry({ inputs: { x, indices }, attrs }: GatherArguments): {
  axis: number;
  shape: number[];
  batches: number;
  outer: number;
  length: number;
  inner: number;
} {
  const axis = tf.util.parseAxisParam(attrs.axis, x.shape)[0];
  const info = tf.backend_util.segment_util.collectGatherOpShapeInfo(x, indices, axis, attrs.batchDims);
  return {
    axis,
    shape: info.outputShape,
    batches: info.batchSize,
    outer: info.outerSize,
    length: info.dimSize,
    inner: info.sliceSize,
  };
}

/** What an index out of range is told as; `at` is TensorFlow's or our own `indices[...] = 7 is not in [0, 4)`. */
function outOfRange({ inputs: { x, indices } }: GatherArguments, axis: number, at: string): RangeError {
  return new RangeError(
    `gather: ${at}: axis ${axis} of x [${x.shape}] has ${x.shape[axis]} entries (indices have shape [${indices.shape}])`,
  );
}

/** TensorFlow's GatherV2, which checks the range itself on the CPU; on a GPU, rows out of range are zeros. */
function gatherOnTensorFlow(args: GatherArguments): tf.TensorInfo {
  const { x, indices } = args.inputs;
  const { axis } = geometry(args);
  const axisTensor = tf.scalar(axis, 'int32');
  try {
    return runOp(
      'GatherV2',
      { batch_dims: { integer: args.attrs.batchDims }, Tparams: x.dtype, Tindices: 'int32', Taxis: 'int32' },
      [x, indices, axisTensor],
    )[0];
  } catch (error) {
    const at = /indices.* is not in \[.*\)/.exec(error instanceof Error ? error.message : '');
    throw at ? outOfRange(args, axis, at[0]) : error;
  } finally {
    axisTensor.dispose();
  }
}

/** A gather over the wasm heap. */
function gatherOnWasm(args: GatherArguments): tf.TensorInfo {
  const { x, indices } = args.inputs;
  const { axis, shape, batches, outer, length, inner } = geometry(args);
  const out = args.backend.makeOutput(shape, x.dtype);
  const ids = args.backend.typedArrayFromHeap(indices);
  const from = args.backend.typedArrayFromHeap(x);
  const to = args.backend.typedArrayFromHeap(out);
  const wrong = ids.findIndex((id) => id < 0 || id >= length);
  if (wrong >= 0) throw outOfRange(args, axis, `indices[${wrong}] = ${ids[wrong]} is not in [0, ${length})`);
  const count = ids.length / batches;
  let at = 0;
  for (let b = 0; b < batches; b++) {
    for (let o = 0; o < outer; o++) {
      const rows = (b * outer + o) * length;
      for (let k = 0; k < count; k++, at += inner) {
        const row = (rows + ids[b * count + k]) * inner;
        // Many at a time by the engine's own copy, a few by a loop, which makes no view.
        if (inner > 24) to.set(from.subarray(row, row + inner), at);
        else for (let j = 0; j < inner; j++) to[at + j] = from[row + j];
      }
    }
  }
  return out;
}

/**
 * `original` behind a check of its `indices` [..., d], each of which points into the first d axes of `shape(args)`.
 * @param name the op's name in the error.
 */
function checked<Inputs extends { indices: tf.Tensor }, Attributes>(
  name: string,
  original: tf.KernelConfig,
  shape: (args: KernelArguments<Inputs, Attributes>) => readonly number[],
): (args: KernelArguments<Inputs, Attributes>) => tf.TensorInfo {
  return (args) => {
    const { indices } = args.inputs;
    const bounds = shape(args);
    const depth = indices.shape[indices.rank - 1];
    const ids = args.backend.typedArrayFromHeap(indices);
    const wrong = ids.findIndex((id, i) => id < 0 || id >= bounds[i % depth]);
    if (wrong >= 0) {
      const first = wrong - (wrong % depth);
      throw new RangeError(
        `${name}: index ${first / depth}, [${ids.slice(first, first + depth)}], does not lie in shape [${bounds}]`,
      );
    }
    return original.kernelFunc(args as never) as tf.TensorInfo;
  };
}

/** Replaces tfjs-node's GatherV2. Any number of calls does what one does. */
export function registerTensorFlowGather(): void {
  replaceKernel('GatherV2', 'tensorflow', () => asKernelFunc(gatherOnTensorFlow));
}

/** Replaces wasm's GatherV2, and has its GatherNd and ScatterNd check their indices. Any number of calls does what one does. */
export function registerWasmGather(): void {
  replaceKernel('GatherV2', 'wasm', () => asKernelFunc(gatherOnWasm));
  replaceKernel('GatherNd', 'wasm', (original) =>
    asKernelFunc(
      checked<{ params: tf.Tensor; indices: tf.Tensor }, object>(
        'gatherND',
        original as tf.KernelConfig,
        ({ inputs }) => inputs.params.shape,
      ),
    ),
  );
  replaceKernel('ScatterNd', 'wasm', (original) =>
    asKernelFunc(
      checked<{ updates: tf.Tensor; indices: tf.Tensor }, { shape: number[] }>(
        'scatterND',
        original as tf.KernelConfig,
        ({ attrs }) => attrs.shape,
      ),
    ),
  );
}
