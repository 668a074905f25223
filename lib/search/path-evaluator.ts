/** What a path of a trained supernet detects: the fitness of DetNAS's search, without training anything. */
import type { Loader } from '../data/loader';
import type { Architecture, SearchSpace } from '../models/architecture';
import type { DetectionOptions, Detector, Predictions } from '../models/detector';
import { batchNormLayers } from '../nn/freeze-batch-norm';
import { compile, type CompiledStep } from '../tensor/compile/compile';
import { RandomStream } from '../tensor/random-stream';
import { tf } from '../tensor/tf';
import { type DatasetDetections, detectAll } from '../train/evaluate';
import { type DetectorInputs, detectorTraining } from '../train/train-detector';
import { createRecalibration, type Recalibration } from './recalibration';
import { pathTensor } from './supernet';

/** What a `PathEvaluator` is made of. */
export interface PathEvaluatorOptions {
  /** A detector whose trunk is a supernet, trained. Its weights are left as they are, its running statistics are not. */
  readonly detector: Detector;
  readonly space: SearchSpace;
  /** Images to measure the statistics on, neither shuffled nor augmented; the release takes training images. */
  readonly statistics: Loader;
  /** How many of its batches, of the first epoch. */
  readonly batches: number;
  /** Images to detect in, neither shuffled nor augmented. */
  readonly images: Loader;
  /** Whether paths run as graphs, two for all of them, which pays from some tens of paths on. Default true. */
  readonly compile?: boolean;
}

/**
 * Evaluates paths of one supernet, whichever and in whatever order: the same path gives the same detections each time. Two graphs serve all paths.
 *
 *     const evaluator = new PathEvaluator({ detector, space, statistics: loader, batches: 8, images: held });
 *     const { groundTruth, detections } = await evaluator.detect(architecture);
 */
export class PathEvaluator {
  private readonly recalibration: Recalibration<DetectorInputs>;
  private readonly random = new RandomStream(0);
  private readonly graph: CompiledStep<PredictionInputs, Predictions> | undefined;
  private readonly trained: readonly { readonly variable: tf.Variable; readonly value: tf.Tensor }[];

  constructor(private readonly options: PathEvaluatorOptions) {
    const { detector, compile: asGraph = true } = options;
    this.recalibration = createRecalibration({
      loss: detectorTraining(detector).loss,
      random: this.random,
      compile: asGraph,
    });
    this.graph = asGraph
      ? compile(({ images, path }: PredictionInputs) => detector.predict(images, { path }))
      : undefined;
    this.trained = batchNormLayers(detector.model)
      .filter(({ frozen }) => !frozen)
      .flatMap((layer) => [layer.running_mean, layer.running_var])
      .map((variable) => ({ variable, value: tf.tidy(() => tf.keep(variable.clone())) }));
  }

  /**
   * Detects with a path's own statistics, or, to see what that is worth, with those that the supernet's training left.
   * @throws RangeError for an architecture that the space does not have, and where there are no images to measure statistics on.
   */
  async detect(
    architecture: Architecture,
    { recalibrate = true, ...options }: DetectionOptions & { readonly recalibrate?: boolean } = {},
  ): Promise<DatasetDetections> {
    const path = pathTensor(architecture, this.options.space);
    try {
      if (recalibrate) await this.recalibration.run(this.statisticsBatches(), path);
      else for (const { variable, value } of this.trained) variable.assign(value);
      return await detectAll(this.options.detector, this.options.images, {
        ...options,
        predict: (images) =>
          this.graph ? this.graph({ images, path }) : this.options.detector.predict(images, { path }),
      });
    } finally {
      path.dispose();
    }
  }

  /** Gives the supernet the statistics back that it had, and releases the graphs. */
  dispose(): void {
    this.recalibration.dispose();
    this.graph?.dispose();
    this.random.dispose();
    for (const { variable, value } of this.trained) {
      if (!variable.isDisposed) variable.assign(value);
      value.dispose();
    }
  }

  private async *statisticsBatches(): AsyncGenerator<DetectorInputs, void, undefined> {
    const { detector, statistics, batches } = this.options;
    const { prepare } = detectorTraining(detector);
    let number = 0;
    for await (const batch of statistics.epoch(0)) {
      if (number++ === batches) return;
      yield prepare(batch);
    }
  }
}

type PredictionInputs = { readonly images: tf.Tensor4D; readonly path: tf.Tensor1D };
