/** Non-maximum suppression inside a step, of many groups of boxes at once and with a result of fixed shape. */
import { asKernelFunc, type KernelArguments, replaceKernel, runKernel } from '../tensor/kernels/registry';
import { overArrays } from '../tensor/kernels/cpu';
import { onTensorFlow, runOp } from '../tensor/kernels/tensorflow-ops';
import { tf } from '../tensor/tf';
import { topScores } from './score-order';
import { suppress } from './suppression';

/** Options of `groupedNms`. */
export interface GroupedNmsOptions {
  /** A box is dropped when its IoU with a better one of its group is above this. Default 0.7, the region proposals'. */
  readonly iouThreshold?: number;
  /** Boxes of all groups together that an image keeps at most: the length of the result. */
  readonly maxOutput: number;
}

/** The score of a box that takes no part: everything this low or lower is left out, and NaN. */
export const absentScore = -1e30;

const kernelName = 'DetlabGroupedNms';

interface Attributes {
  iouThreshold: number;
  maxOutput: number;
}
type Arguments = KernelArguments<{ boxes: tf.Tensor4D; scores: tf.Tensor3D }, Attributes>;

/** The kernel of `cpu` and `wasm`: `[B, maxOutput, 5]`, corners and 1, or five zeros where fewer boxes are left. */
function onHeap({ inputs, attrs, backend }: Arguments): tf.TensorInfo {
  const [batch, groups, count] = inputs.scores.shape;
  const { iouThreshold, maxOutput } = attrs;
  const out = backend.makeOutput([batch, maxOutput, 5], 'float32');
  const boxes = backend.typedArrayFromHeap(inputs.boxes) as Float32Array;
  const scores = backend.typedArrayFromHeap(inputs.scores) as Float32Array;
  const values = (backend.typedArrayFromHeap(out) as Float32Array).fill(0);
  for (let b = 0; b < batch; b++) {
    const kept: number[] = [];
    for (let g = 0; g < groups; g++) {
      const start = (b * groups + g) * count;
      const order = topScores(scores, start, 1, count, absentScore, count);
      for (const i of suppress(boxes, start, 1, order, iouThreshold, maxOutput)) kept.push(start + i);
    }
    const best = topScores(
      Float32Array.from(kept, (i) => scores[i]),
      0,
      1,
      kept.length,
      absentScore,
      maxOutput,
    );
    best.forEach((k, rank) => {
      const at = (b * maxOutput + rank) * 5;
      values.set(boxes.subarray(4 * kept[k], 4 * kept[k] + 4), at);
      values[at + 4] = 1;
    });
  }
  return out;
}

function byTensorFlow(boxes: tf.Tensor4D, scores: tf.Tensor3D, attrs: Attributes): tf.Tensor {
  const limit = tf.scalar(attrs.maxOutput, 'int32');
  // The op sorts empty places, which score -1, among the boxes: every score is made positive, in the same order.
  const positive = tf.where(
    tf.greater(scores, 0),
    tf.add(scores, 1),
    tf.div(1, tf.sub(1, tf.minimum(scores, 0))),
  );
  const present = tf.where(tf.greater(scores, absentScore), positive, tf.zerosLike(scores));
  const [kept, , , counts] = runOp(
    'CombinedNonMaxSuppression',
    { pad_per_class: false, clip_boxes: false },
    [
      tf.transpose(boxes, [0, 2, 1, 3]),
      tf.transpose(present, [0, 2, 1]),
      limit,
      limit,
      tf.scalar(attrs.iouThreshold),
      tf.scalar(0),
    ],
    4,
  );
  const ranks = tf.range(0, attrs.maxOutput, 1, 'int32').expandDims(0);
  const valid = tf.cast(tf.less(ranks, counts.expandDims(1)), 'float32');
  return tf.concat([kept, valid.expandDims(2)], 2);
}

/**
 * Suppression in which only boxes of one group of one image suppress each other, then the best of all groups: `[B, maxOutput, 5]`, a row
 * the corners and 1; highest score first, and rows of zeros where fewer boxes are left. IoU is rounded as torchvision's.
 *
 * Not to be differentiated: call it inside `withoutGradient`. Boxes with equal scores come in the order of group and index on `cpu` and
 * `wasm`, in any order on `tensorflow`. The caller disposes the result.
 * @param boxes `[B, G, N, 4]` xyxy: N boxes in each of G groups (the levels of a pyramid)
 * @param scores `[B, G, N]`; `absentScore` or lower, and NaN, take a box out
 */
export function groupedNms(boxes: tf.Tensor4D, scores: tf.Tensor3D, options: GroupedNmsOptions): tf.Tensor3D {
  const { iouThreshold = 0.7, maxOutput } = options;
  if (String(boxes.shape) !== String([...scores.shape, 4])) {
    throw new RangeError(
      `groupedNms: boxes [${boxes.shape}] and scores [${scores.shape}] do not go together; wanted [B, G, N, 4] and [B, G, N]`,
    );
  }
  if (!(Number.isInteger(maxOutput) && maxOutput > 0)) {
    throw new RangeError(`groupedNms: maxOutput must be a positive whole number, got ${maxOutput}`);
  }
  register();
  const attributes = { iouThreshold, maxOutput };
  return tf.tidy(() =>
    onTensorFlow()
      ? byTensorFlow(boxes, scores, attributes)
      : runKernel(kernelName, { boxes, scores }, attributes),
  ) as tf.Tensor3D;
}

function register(): void {
  if (tf.getKernel('Conv2D', 'cpu')) replaceKernel(kernelName, 'cpu', () => overArrays(onHeap));
  if (tf.getKernel('Conv2D', 'wasm')) replaceKernel(kernelName, 'wasm', () => asKernelFunc(onHeap));
}
