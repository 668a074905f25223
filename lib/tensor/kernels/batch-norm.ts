/** Batch normalisation (Ioffe and Szegedy, ICML 2015) with gradients of a few ops, where tfjs differentiates through a dozen. */
import { tf } from '../tf';
import { channelSums } from './channels';
import { fixedAffine } from './linear';
import { runKernels } from './registry';
import { onTensorFlow, runOp } from './tensorflow-ops';

/** What `batchNormTraining` returns. */
export interface BatchNormResult {
  /** [N, H, W, C]: the normalised, scaled and shifted x. */
  output: tf.Tensor4D;
  /** [C]: the batch's mean. */
  mean: tf.Tensor1D;
  /** [C]: the batch's variance, biased (the sum of squares over N H W, not over N H W - 1). */
  variance: tf.Tensor1D;
}

/** What a forward pass hands on: its result, the statistics, and the gradient with the tensors it needs. */
export interface BatchNormPass {
  output: tf.Tensor4D;
  mean: tf.Tensor1D;
  variance: tf.Tensor1D;
  saved: tf.Tensor[];
  gradient: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor[];
}

/**
 * output = (x - mean) / sqrt(variance + epsilon) * scale + offset, by the statistics of the batch itself (Algorithm 1).
 * Differentiable in x, scale and offset. `mean` and `variance` are for running statistics: no gradient flows through them.
 * @param x [N, H, W, C], not empty.
 * @param scale [C], the paper's gamma.
 * @param offset [C], the paper's beta.
 * @param epsilon added to the variance.
 * @returns three tensors, which the caller disposes.
 * @throws when x is empty, or scale or offset doesn't have C values.
 */
export function batchNormTraining(
  x: tf.Tensor4D,
  scale: tf.Tensor1D,
  offset: tf.Tensor1D,
  epsilon: number,
): BatchNormResult {
  check(x, { scale, offset });
  if (x.size === 0) throw new Error(`batchNormTraining: x is empty (shape [${x.shape}]), it has no mean`);
  return normalizeBy(forwardOf(scale.shape[0]), x, scale, offset, epsilon);
}

/** A way to normalise: its result, the statistics that it took, and its gradient. */
export type BatchNormForward = (
  x: tf.Tensor4D,
  scale: tf.Tensor1D,
  offset: tf.Tensor1D,
  epsilon: number,
) => BatchNormPass;

/** Runs a way to normalise as a differentiable operation. @returns three tensors, which the caller disposes. */
export function normalizeBy(
  forward: BatchNormForward,
  x: tf.Tensor4D,
  scale: tf.Tensor1D,
  offset: tf.Tensor1D,
  epsilon: number,
): BatchNormResult {
  let mean: tf.Tensor | undefined;
  let variance: tf.Tensor | undefined;
  const output = tf.customGrad((...args) => {
    const [input, gamma, beta, save] = args as unknown as [
      tf.Tensor4D,
      tf.Tensor1D,
      tf.Tensor1D,
      tf.GradSaveFunc,
    ];
    const result = forward(input, gamma, beta, epsilon);
    save(result.saved);
    // customGrad hands on one tensor only and disposes the rest: the statistics leave by the side door.
    mean = tf.keep(result.mean);
    variance = tf.keep(result.variance);
    return { value: result.output, gradFunc: result.gradient };
  })(x, scale, offset) as tf.Tensor4D;
  return {
    output,
    mean: handOver(mean as unknown as tf.Tensor1D),
    variance: handOver(variance as unknown as tf.Tensor1D),
  };
}

/** The forward pass that the backend is fastest with. Kernels on wasm take four channels at a time. */
function forwardOf(channels: number): BatchNormForward {
  if (onTensorFlow()) return fusedForward;
  return tf.getBackend() === 'wasm' && channels >= 4 ? wasmForward : composedForward;
}

/** A kept tensor as one that the caller's tidy tracks. */
function handOver(kept: tf.Tensor1D): tf.Tensor1D {
  const tracked = kept.clone();
  kept.dispose();
  return tracked;
}

/** TensorFlow's fused op. What it reserves for its gradient (mean and variance, or on a GPU 1 / deviation) only that op can read. */
function fusedForward(
  x: tf.Tensor4D,
  scale: tf.Tensor1D,
  offset: tf.Tensor1D,
  epsilon: number,
): BatchNormPass {
  const attributes = { T: 'float32', U: 'float32', epsilon, data_format: 'NHWC', is_training: true } as const;
  const none = tf.tensor1d([]);
  const [output, mean, corrected, ...reserved] = runOp(
    'FusedBatchNormV3',
    { ...attributes, exponential_avg_factor: 1 },
    [x, scale, offset, none, none],
    6,
  );
  const count = x.size / x.shape[3];
  return {
    output: output as tf.Tensor4D,
    mean: mean as tf.Tensor1D,
    // The op returns Bessel's estimate, the sum of squares over count - 1.
    variance: tf.mul(corrected, count > 1 ? (count - 1) / count : 1),
    saved: [x, scale, ...reserved],
    gradient: (dy, saved) => {
      const [dx, dScale, dOffset, ...empty] = runOp('FusedBatchNormGradV3', attributes, [dy, ...saved], 5);
      tf.dispose(empty);
      return [dx, dScale, dOffset];
    },
  };
}

function wasmForward(
  x: tf.Tensor4D,
  scale: tf.Tensor1D,
  offset: tf.Tensor1D,
  epsilon: number,
): BatchNormPass {
  const [output, mean, variance, inverse] = runKernels(
    'BatchNormTraining',
    { x, scale, offset },
    { epsilon },
  );
  return {
    output: output as tf.Tensor4D,
    mean: mean as tf.Tensor1D,
    variance: variance as tf.Tensor1D,
    saved: [x, scale, mean, inverse],
    gradient: (dy, [input, gamma, m, inv]) =>
      runKernels('BatchNormTrainingGradient', { dy, x: input, scale: gamma, mean: m, inverse: inv }, {}),
  };
}

function composedForward(
  x: tf.Tensor4D,
  scale: tf.Tensor1D,
  offset: tf.Tensor1D,
  epsilon: number,
): BatchNormPass {
  const count = x.size / x.shape[3];
  const mean = tf.div<tf.Tensor1D>(channelSums(x), count);
  const centred = tf.sub(x, mean);
  const variance = tf.div<tf.Tensor1D>(channelSums(tf.square(centred)), count);
  const inverse = tf.rsqrt(tf.add(variance, epsilon));
  return {
    output: tf.add(tf.mul(centred, tf.mul(inverse, scale)), offset),
    mean,
    variance,
    saved: [centred, inverse, scale],
    gradient: (dy, [difference, inv, gamma]) => {
      const dOffset = channelSums(dy);
      const dScale = tf.mul(channelSums(tf.mul(dy, difference)), inv);
      // dx = gamma inv (dy - mean(dy) - xHat mean(dy xHat)), xHat = inv (x - mean): section 3 with its sums carried out
      const k = tf.mul(gamma, inv);
      const shift = tf.mul(k, tf.div(dOffset, -count));
      const slope = tf.mul(tf.mul(k, inv), tf.div(dScale, -count));
      const dx = tf.add(tf.add(tf.mul(dy, k), tf.mul(difference, slope)), shift);
      return [dx, dScale, dOffset];
    },
  };
}

/**
 * output = (x - mean) / sqrt(variance + epsilon) * scale + offset by given statistics: inference, and frozen normalisation in
 * training. One multiplication and one addition an element. Differentiable in x, scale and offset.
 * @param x [N, H, W, C]; may be empty.
 * @param scale [C].
 * @param offset [C].
 * @param mean [C], running mean.
 * @param variance [C], running biased variance.
 * @param epsilon added to the variance.
 * @param fixed no gradient of scale and offset is wanted: then x is not kept for one. Default false.
 * @returns [N, H, W, C]; the caller disposes it.
 */
export function batchNormInference(
  x: tf.Tensor4D,
  scale: tf.Tensor1D,
  offset: tf.Tensor1D,
  mean: tf.Tensor1D,
  variance: tf.Tensor1D,
  epsilon: number,
  fixed: boolean = false,
): tf.Tensor4D {
  check(x, { scale, offset, mean, variance });
  return tf.tidy(() => {
    const factor = tf.mul<tf.Tensor1D>(scale, tf.rsqrt(tf.add(variance, epsilon)));
    const shift = tf.sub<tf.Tensor1D>(offset, tf.mul(mean, factor));
    return fixed ? fixedAffine(x, factor, shift) : tf.add<tf.Tensor4D>(tf.mul(x, factor), shift);
  });
}

function check(x: tf.Tensor4D, vectors: Record<string, tf.Tensor1D>): void {
  const channels = x.shape[3];
  for (const [name, vector] of Object.entries(vectors)) {
    if (vector.rank === 1 && vector.shape[0] === channels) continue;
    throw new Error(
      `batch normalisation: ${name} has shape [${vector.shape}], but x [${x.shape}] has ${channels} channels`,
    );
  }
}
