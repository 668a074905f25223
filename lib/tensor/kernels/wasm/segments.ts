/** Sums of rows by segment on the wasm backend: the gradient of `tf.gather`, which tfjs lacks there. */
import { type tf } from '../../tf';
import type { KernelArguments } from '../registry';

/** out[s] = the sum of x[i] over all i with segmentIds[i] = s; ids outside [0, numSegments) are dropped, as in TensorFlow. */
export function unsortedSegmentSum(
  args: KernelArguments<{ x: tf.Tensor; segmentIds: tf.Tensor }, { numSegments: number }>,
): tf.TensorInfo {
  const { x, segmentIds } = args.inputs;
  const { numSegments } = args.attrs;
  const size = x.shape.slice(segmentIds.rank).reduce((a, b) => a * b, 1);
  const out = args.backend.makeOutput([numSegments, ...x.shape.slice(segmentIds.rank)], x.dtype);
  const values = args.backend.typedArrayFromHeap(x);
  const ids = args.backend.typedArrayFromHeap(segmentIds);
  const sums = args.backend.typedArrayFromHeap(out).fill(0);
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i];
    if (id < 0 || id >= numSegments) continue;
    for (let j = 0, from = i * size, to = id * size; j < size; j++) sums[to++] += values[from++];
  }
  return out;
}
