/** The gradient of a detector's loss as plain numbers, for measurements. */
import type { Batch } from '../data/loader';
import type { Detector } from '../models/detector';
import type { ForwardContext } from '../nn/module';
import { compile } from '../tensor/compile/compile';
import { tf } from '../tensor/tf';
import type { BatchGradient } from './gradient-noise';
import { gradientPass, releasePass } from './gradient-pass';
import { type DetectorInputs, detectorTraining } from './train-detector';

/** Options of `detectorGradient`. */
export interface DetectorGradientOptions {
  /**
   * How the forward pass is run, besides that it is for training: a two-stage detector needs `random`; `batchNorm` says how it normalises.
   */
  readonly context?: Omit<ForwardContext, 'training' | 'statistics'>;
  /** Runs it as one graph, which pays from some twenty batches of a size on. Default false. */
  readonly compiled?: boolean;
}

/** A batch's gradient, until it is disposed. */
export interface DetectorGradient {
  /** Of all trained parameters, in the order of `model.parameters()`. Weights and running statistics stay as they are. */
  readonly gradient: BatchGradient<Batch>;
  /** Releases the graphs. */
  dispose(): void;
}

/**
 * The gradient of a detector's loss in its trained parameters.
 * @throws while it runs, when the loss does not depend on one of them.
 */
export function detectorGradient(
  detector: Detector,
  options: DetectorGradientOptions = {},
): DetectorGradient {
  const { context, compiled = false } = options;
  const { model, prepare, loss } = detectorTraining(detector);
  const step = (inputs: DetectorInputs): tf.Tensor1D =>
    tf.tidy(() => {
      const pass = gradientPass(model.parameters(), (given) => loss(inputs, given), { ...context });
      releasePass(pass);
      return tf.concat1d(pass.gradients.map((gradient) => gradient.flatten()));
    });
  const graph = compiled ? compile(step) : undefined;
  return {
    async gradient(batch) {
      const inputs = tf.tidy(() => prepare(batch));
      try {
        const result = (graph ?? step)(inputs);
        const values = (await result.data()) as Float32Array;
        result.dispose();
        return values;
      } finally {
        tf.dispose(inputs);
      }
    },
    dispose: () => graph?.dispose(),
  };
}
