/** Batch normalisation (Ioffe and Szegedy, ICML 2015) with its running statistics in the open. */
import { batchNormInference, batchNormTraining } from '../tensor/kernels/batch-norm';
import { tf } from '../tensor/tf';
import { type ForwardContext, Module, parameter } from './module';

/** Options of `BatchNorm2d`. */
export interface BatchNorm2dOptions {
  readonly channels: number;
  /** Added to the variance. Default 1e-5. */
  readonly epsilon?: number;
  /**
   * Share of the old value that a running statistic keeps at each step. Default 0.9 (PyTorch calls this 0.1). Caffe's 0.999
   * suits runs of 100,000 steps: after 200 steps it would still hold 82 % of its first value.
   */
  readonly momentum?: number;
}

/**
 * Normalises each channel of `[B, H, W, C]` to zero mean and unit variance, then scales and shifts it.
 * Training uses the batch's own statistics and hands them to `context.statistics`; inference uses the running ones.
 */
export class BatchNorm2d extends Module {
  /** Scale, `[C]`, from 1. */
  readonly weight: tf.Variable<tf.Rank.R1>;
  /** Shift, `[C]`, from 0. */
  readonly bias: tf.Variable<tf.Rank.R1>;
  /** Running mean, `[C]`. */
  readonly running_mean: tf.Variable<tf.Rank.R1>;
  /** Running biased variance, `[C]`. PyTorch stores the unbiased one: B H W / (B H W - 1) times this. */
  readonly running_var: tf.Variable<tf.Rank.R1>;
  readonly epsilon: number;
  readonly momentum: number;
  /** Normalise by the running statistics in training, too, and leave them as they are (see `freezeBatchNorm`). Default false. */
  frozen: boolean = false;

  constructor(options: BatchNorm2dOptions) {
    super();
    const { channels, epsilon = 1e-5, momentum = 0.9 } = options;
    this.epsilon = epsilon;
    this.momentum = momentum;
    this.weight = parameter(tf.ones([channels]) as tf.Tensor1D);
    this.bias = parameter(tf.zeros([channels]) as tf.Tensor1D);
    this.running_mean = parameter(tf.zeros([channels]) as tf.Tensor1D, false);
    this.running_var = parameter(tf.ones([channels]) as tf.Tensor1D, false);
  }

  /** @param x `[B, H, W, C]`. Returns the same shape; the caller disposes it. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    if (!context.training || this.frozen) {
      const { weight, bias, running_mean: mean, running_var: variance, epsilon } = this;
      const fixed = !weight.trainable && !bias.trainable;
      return batchNormInference(x, weight, bias, mean, variance, epsilon, fixed);
    }
    const { batchNorm = batchNormTraining } = context;
    const { output, mean, variance } = batchNorm(x, this.weight, this.bias, this.epsilon);
    if (context.statistics)
      context.statistics.push({ layer: this, mean: tf.keep(mean), variance: tf.keep(variance) });
    return output;
  }

  /**
   * running = (1 - share) * running + share * batch. Called by `applyStatistics` after a step.
   * @param share of the new value. Default 1 - momentum. With 1, 1/2, 1/3, … the running statistics are the mean over all batches.
   */
  updateRunning(mean: tf.Tensor1D, variance: tf.Tensor1D, share?: tf.Scalar): void {
    tf.tidy(() => {
      const [kept, added] = share ? [tf.sub(1, share), share] : [this.momentum, 1 - this.momentum];
      const blend = (running: tf.Variable<tf.Rank.R1>, batch: tf.Tensor1D) =>
        running.assign(running.mul(kept).add(batch.mul(added)) as tf.Tensor1D);
      blend(this.running_mean, mean);
      blend(this.running_var, variance);
    });
  }
}
