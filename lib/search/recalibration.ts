/** Batch normalisation's running statistics of one path of a supernet, measured anew: those that training left are of all paths mixed. */
import type { Loss } from '../losses/loss';
import { applyStatistics, type BatchStatistics, type ForwardContext } from '../nn/module';
import { compile } from '../tensor/compile/compile';
import type { RandomStream } from '../tensor/random-stream';
import { tf } from '../tensor/tf';

/** What `createRecalibration` is told. */
export interface RecalibrationOptions<Inputs extends Record<string, tf.Tensor>> {
  /** A training step's function, such as a detector's loss: nothing is differentiated, and what no normalisation hangs on is not computed. */
  readonly loss: (inputs: Inputs, context: ForwardContext) => Loss;
  /** Where the loss draws samples. It is put back before each recalibration: the same path gets the same statistics each time. */
  readonly random?: RandomStream;
  /** Whether it runs as a graph, which pays from some tens of paths on. Default true. */
  readonly compile?: boolean;
}

/** Measures statistics, again and again. */
export interface Recalibration<Inputs> {
  /**
   * Sets the running mean and variance of every normalisation that a path uses to the mean over the batches; others are left as they are. What the
   * statistics were before plays no part.
   * @param batches a training step's inputs, each disposed when it has been used.
   * @param path int32 `[blocks]`; left out for a network without choices. Not disposed.
   * @returns how many batches there were.
   * @throws RangeError where there were none: then the statistics are unchanged.
   */
  run(batches: AsyncIterable<Inputs> | Iterable<Inputs>, path?: tf.Tensor1D): Promise<number>;
  dispose(): void;
}

/**
 * Recalibration as DetNAS does it (section 3.3; Single Path One-Shot before it): images run through the path in training mode, without
 * gradients. The release runs 500 iterations and takes their exponential mean with momentum 0.1, from a mean of 0 and a variance of 1; this is the
 * plain mean over however many batches there are, which a few of them determine as well as they can.
 *
 * The path is an input of the compiled step: all paths are one graph.
 */
export function createRecalibration<Inputs extends Record<string, tf.Tensor>>({
  loss,
  random,
  compile: asGraph = true,
}: RecalibrationOptions<Inputs>): Recalibration<Inputs> {
  const start = random && tf.keep(random.state.clone());
  type StepTensors = Record<string, tf.Tensor> & { readonly share: tf.Scalar; readonly path?: tf.Tensor1D };
  const measure = ({ share, path, ...inputs }: StepTensors): void => {
    tf.tidy(() => {
      const statistics: BatchStatistics[] = [];
      loss(inputs as unknown as Inputs, { training: true, statistics, random, path });
      applyStatistics(statistics, share);
    });
  };
  const step = asGraph ? compile(measure) : undefined;
  return {
    async run(batches, path) {
      if (start) random.state.assign(start as tf.Tensor1D);
      let count = 0;
      for await (const inputs of batches) {
        try {
          const share = 1 / ++count;
          const given = { ...inputs, ...(path && { path }) };
          if (step) step({ ...given, share });
          else tf.tidy(() => measure({ ...given, share: tf.scalar(share) }));
        } finally {
          tf.dispose(inputs);
        }
      }
      if (count === 0)
        throw new RangeError(
          'recalibration: there are no batches to measure statistics on; give at least one',
        );
      return count;
    },
    dispose() {
      step?.dispose();
      start?.dispose();
    },
  };
}
