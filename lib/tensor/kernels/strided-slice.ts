/**
 * The gradient of stridedSlice, which tfjs lacks; and its kernels on `cpu` and `wasm`, which take the wrong entries where one axis is
 * dropped and another has steps.
 */
import { tf } from '../tf';
import { asKernelFunc, type KernelArguments, replaceKernel } from './registry';
import { onTensorFlow, runOp } from './tensorflow-ops';

interface Attributes {
  begin: number[];
  end: number[];
  strides: number[];
  beginMask: number;
  endMask: number;
  ellipsisMask: number;
  newAxisMask: number;
  shrinkAxisMask: number;
}

/** What the attributes come to for a tensor of `shape`: begin, end and stride of each axis, and the result's shape. */
function info(shape: number[], attrs: Attributes): ReturnType<typeof tf.slice_util.sliceInfo> {
  return tf.slice_util.sliceInfo(
    shape,
    attrs.begin,
    attrs.end,
    attrs.strides,
    attrs.beginMask,
    attrs.endMask,
    attrs.ellipsisMask,
    attrs.newAxisMask,
    attrs.shrinkAxisMask,
  );
}

function gradientOp(dy: tf.Tensor, shape: number[], attrs: Attributes): tf.Tensor {
  const vectors = [shape, attrs.begin, attrs.end, attrs.strides].map((v) => tf.tensor1d(v, 'int32'));
  return runOp(
    'StridedSliceGrad',
    {
      T: 'float32',
      Index: 'int32',
      begin_mask: { integer: attrs.beginMask },
      end_mask: { integer: attrs.endMask },
      ellipsis_mask: { integer: attrs.ellipsisMask },
      new_axis_mask: { integer: attrs.newAxisMask },
      shrink_axis_mask: { integer: attrs.shrinkAxisMask },
    },
    [...vectors, dy],
  )[0];
}

/** Puts dy's entries back to where the slice took them from, an axis at a time. */
function composedGradient(dy: tf.Tensor, shape: number[], attrs: Attributes): tf.Tensor {
  if (dy.size === 0) return tf.zeros(shape);
  const { begin, end, strides } = info(shape, attrs);
  const counts = tf.slice_util.computeOutShape(begin, end, strides);
  let placed = dy;
  for (const [axis, size] of shape.entries()) {
    const count = counts[axis];
    if (count === size && strides[axis] === 1) continue;
    const outer = shape.slice(0, axis).reduce((a, b) => a * b, 1);
    const inner = counts.slice(axis + 1).reduce((a, b) => a * b, 1);
    const step = Math.abs(strides[axis]);
    const first = strides[axis] > 0 ? begin[axis] : begin[axis] - (count - 1) * step;
    let entries = placed.reshape<tf.Tensor3D>([outer, count, inner]);
    if (strides[axis] < 0) entries = tf.reverse(entries, 1);
    const held = Math.min(count * step, size - first);
    if (step > 1) {
      const between: [number, number][] = [[0, 0], [0, 0], [0, step - 1], [0, 0]]; // prettier-ignore
      const spread = tf.pad(entries.expandDims<tf.Tensor4D>(2), between);
      entries = spread
        .reshape<tf.Tensor3D>([outer, count * step, inner])
        .slice([0, 0, 0], [outer, held, inner]);
    }
    placed = tf.pad(entries, [[0, 0], [first, size - first - held], [0, 0]]); // prettier-ignore
  }
  return placed.reshape(shape);
}

/** A kernel that has `original` keep the dropped axes, as axes of size 1, and drops them itself. */
function keepingAxes(
  original: tf.KernelConfig,
): (args: KernelArguments<{ x: tf.Tensor }, Attributes>) => tf.TensorInfo {
  return (args) => {
    const { attrs } = args;
    const run = (attributes: Attributes): tf.TensorInfo =>
      original.kernelFunc({ ...args, attrs: attributes } as never) as tf.TensorInfo;
    if (!attrs.shrinkAxisMask) return run(attrs);
    const { finalShape } = info(args.inputs.x.shape, attrs);
    const end = [...attrs.end];
    let { beginMask, endMask } = attrs;
    attrs.begin.forEach((first, i) => {
      const bit = 1 << i;
      if (!(attrs.shrinkAxisMask & bit)) return;
      end[i] = first + 1;
      beginMask &= ~bit;
      // behind the last entry (-1) there is no 0 to end at
      endMask = first === -1 ? endMask | bit : endMask & ~bit;
    });
    return { ...run({ ...attrs, end, beginMask, endMask, shrinkAxisMask: 0 }), shape: finalShape };
  };
}

/** Corrects the kernel of `cpu` or `wasm`. Any number of calls does what one does. */
export function registerStridedSlice(backend: 'cpu' | 'wasm'): void {
  replaceKernel('StridedSlice', backend, (original) =>
    asKernelFunc(keepingAxes(original as tf.KernelConfig)),
  );
}

let registered = false;

/** Registers the gradient for every backend. Any number of calls does what one does. */
export function registerStridedSliceGradient(): void {
  if (registered) return;
  tf.registerGradient({
    kernelName: 'StridedSlice',
    inputsToSave: ['x'],
    gradFunc: (dy, saved, attrs) => {
      const [x] = saved as tf.Tensor[];
      const gradient = onTensorFlow() ? gradientOp : composedGradient;
      return { x: () => gradient(dy as tf.Tensor, x.shape, attrs as unknown as Attributes) };
    },
  });
  registered = true;
}
