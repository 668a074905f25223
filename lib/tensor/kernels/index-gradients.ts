/**
 * Gradients of ops that pick by index: gatherND, scatterND and topk, which have none in tfjs, and gather, whose own fails for more
 * than one batch axis (tfjs #7494) and hands its indices an integer as gradient.
 */
import { tf } from '../tf';

/** Sums of dy's rows, each added to the row of x that it was gathered from. */
function gatherGradient(
  dy: tf.Tensor,
  x: tf.Tensor,
  indices: tf.Tensor,
  axis: number,
  batchDims: number,
): tf.Tensor {
  const $axis = tf.util.parseAxisParam(axis, x.shape)[0];
  const info = tf.backend_util.segment_util.collectGatherOpShapeInfo(x, indices, $axis, batchDims);
  const { batchSize: batches, outerSize: outer, dimSize: length, sliceSize: inner } = info;
  if (x.size === 0 || indices.size === 0) return tf.zeros(x.shape);
  const count = indices.size / batches;
  // Rows by batch and index, whatever lies before the axis beside what lies behind it.
  const rows = outer === 1 ? dy : tf.transpose(dy.reshape([batches, outer, count, inner]), [0, 2, 1, 3]);
  const flat = indices.reshape<tf.Tensor1D>([indices.size]);
  const ids =
    batches === 1
      ? flat
      : tf.add(flat.reshape([batches, count]), tf.range(0, batches * length, length, 'int32').expandDims(1));
  const sums = tf.unsortedSegmentSum(
    rows.reshape<tf.Tensor2D>([indices.size, outer * inner]),
    ids.reshape<tf.Tensor1D>([indices.size]),
    batches * length,
  );
  if (outer === 1) return sums.reshape(x.shape);
  return tf.transpose(sums.reshape([batches, length, outer, inner]), [0, 2, 1, 3]).reshape(x.shape);
}

const gather: tf.GradConfig = {
  kernelName: 'GatherV2',
  inputsToSave: ['x', 'indices'],
  gradFunc: (dy, saved, attrs) => {
    const [x, indices] = saved as tf.Tensor[];
    const { axis, batchDims } = attrs as unknown as { axis: number; batchDims: number };
    return {
      x: () => gatherGradient(dy as tf.Tensor, x, indices, axis, batchDims),
      indices: () => tf.zeros(indices.shape),
    };
  },
};

const gatherNd: tf.GradConfig = {
  kernelName: 'GatherNd',
  inputsToSave: ['params', 'indices'],
  gradFunc: (dy, saved) => {
    const [params, indices] = saved as tf.Tensor[];
    return {
      params: () => tf.scatterND(indices, dy as tf.Tensor, params.shape),
      indices: () => tf.zeros(indices.shape),
    };
  },
};

const scatterNd: tf.GradConfig = {
  kernelName: 'ScatterNd',
  inputsToSave: ['indices'],
  gradFunc: (dy, [indices]) => ({
    updates: () => tf.gatherND(dy as tf.Tensor, indices),
    indices: () => tf.zeros(indices.shape),
  }),
};

/** d topk: each value's gradient goes to where the value stood. The indices are piecewise constant and have none. */
const topK: tf.GradConfig = {
  kernelName: 'TopK',
  inputsToSave: ['x'],
  outputsToSave: [false, true],
  gradFunc: (dys, saved) => {
    const [x, indices] = saved as tf.Tensor[];
    return { x: () => gatherGradient((dys as tf.Tensor[])[0], x, indices, x.rank - 1, x.rank - 1) };
  },
};

let registered = false;

/** Registers the gradients for every backend. Any number of calls does what one does. */
export function registerIndexGradients(): void {
  if (registered) return;
  for (const config of [gather, gatherNd, scatterNd, topK]) tf.registerGradient(config);
  registered = true;
}
