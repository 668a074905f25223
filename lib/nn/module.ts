/** The base of every layer and network: named parameters and buffers, found by walking the object's own fields. */
import type { BatchNormResult } from '../tensor/kernels/batch-norm';
import type { RandomStream } from '../tensor/random-stream';
import { tf } from '../tensor/tf';

/** What one layer saw during a traced forward pass (see `summarize`). */
export interface LayerTrace {
  readonly module: Module;
  readonly inputShape: readonly number[];
  readonly outputShape: readonly number[];
  /** The output itself, for the duration of the call. */
  readonly output: tf.Tensor;
  /** Multiply-adds of this layer for the whole batch; biases, normalisation and activations count as none. */
  readonly multiplyAdds: number;
}

/** The batch statistics one normalisation layer measured in a training step; the trainer folds them into the running ones. */
export interface BatchStatistics {
  readonly layer: { updateRunning(mean: tf.Tensor1D, variance: tf.Tensor1D, share?: tf.Scalar): void };
  /** `[C]`, kept: `applyStatistics` disposes them. */
  readonly mean: tf.Tensor1D;
  readonly variance: tf.Tensor1D;
}

/**
 * How training normalises: `batchNormTraining`, over the whole batch; `batchNormByImages`, over a few images at a time; or over the batches of
 * several devices.
 */
export type TrainingBatchNorm = (
  x: tf.Tensor4D,
  scale: tf.Tensor1D,
  offset: tf.Tensor1D,
  epsilon: number,
) => BatchNormResult;

/** How a forward pass is run. */
export interface ForwardContext {
  /** True: normalise by the batch's own statistics. */
  readonly training: boolean;
  /** How batch normalisation normalises in training. Default `batchNormTraining`: over the whole batch. */
  readonly batchNorm?: TrainingBatchNorm;
  /** Collects the batch statistics of a training pass. Without it they are dropped. */
  readonly statistics?: BatchStatistics[];
  /** What dropout, stochastic depth and the samples of two-stage detectors draw from in training; they refuse to train without. */
  readonly random?: RandomStream;
  /**
   * A detector's trunk is not run, these are its maps, by stage, those that the detector takes at least: for a frozen trunk whose maps have
   * been computed before. Not disposed.
   */
  readonly trunkMaps?: ReadonlyMap<number, tf.Tensor4D>;
  /** Which choice each block of a supernet takes: int32 `[blocks]`. Not disposed. */
  readonly path?: tf.Tensor1D;
  /** Called by every layer that has weights. */
  readonly trace?: (entry: LayerTrace) => void;
}

/** A forward pass for inference: running statistics, nothing recorded. */
export const inference: ForwardContext = { training: false };

/** A tensor of a network that training updates. */
export interface NamedVariable {
  /** Path of field names, e.g. `backbone.stages.0.1.conv.weight`. */
  readonly name: string;
  readonly variable: tf.Variable;
}

/**
 * A layer or network. A field that holds a `tf.Variable` is a parameter (trainable) or a buffer (not trainable), a field that
 * holds a module or an array of modules is a child; the field names make the names, as in PyTorch.
 */
export abstract class Module {
  /** Every variable with its name, depth first, in the order in which the fields were assigned. */
  namedVariables(prefix: string = ''): NamedVariable[] {
    const found: NamedVariable[] = [];
    for (const [field, value] of Object.entries(this)) collect(value, `${prefix}${field}`, found);
    return found;
  }

  /** The variables that gradients are taken of. */
  parameters(): NamedVariable[] {
    return this.namedVariables().filter(({ variable }) => variable.trainable);
  }

  /** State that is not trained: the running statistics of normalisation. */
  buffers(): NamedVariable[] {
    return this.namedVariables().filter(({ variable }) => !variable.trainable);
  }

  /** How many numbers training updates. */
  parameterCount(): number {
    return this.parameters().reduce((sum, { variable }) => sum + variable.size, 0);
  }

  /** Releases every parameter and buffer. The module can't be used afterwards. */
  dispose(): void {
    for (const { variable } of this.namedVariables()) variable.dispose();
  }
}

function collect(value: unknown, name: string, found: NamedVariable[]): void {
  if (value instanceof tf.Variable) found.push({ name, variable: value });
  else if (value instanceof Module) found.push(...value.namedVariables(`${name}.`));
  else if (Array.isArray(value)) value.forEach((item, index) => collect(item, `${name}.${index}`, found));
}

/**
 * A variable that starts as `initial`, which is disposed: `tf.variable` alone would leave it alive beside the variable.
 * @param trainable false for buffers.
 */
export function parameter<R extends tf.Rank>(
  initial: tf.Tensor<R>,
  trainable: boolean = true,
): tf.Variable<R> {
  const variable = tf.variable(initial, trainable);
  initial.dispose();
  return variable;
}

/** Folds the statistics that a training pass collected into the layers' running ones, and disposes them. @param share see `BatchNorm2d.updateRunning` */
export function applyStatistics(statistics: BatchStatistics[], share?: tf.Scalar): void {
  for (const { layer, mean, variance } of statistics) {
    layer.updateRunning(mean, variance, share);
    mean.dispose();
    variance.dispose();
  }
  statistics.length = 0;
}
