/** What a path of a supernet classifies: the fitness of a search for classification, DetNAS's rival (ClsNASNet). */
import type { ClassificationDataset } from '../../data/scenes/upstream';
import type { Architecture, SearchSpace } from '../../models/architecture';
import type { Classifier } from '../../models/classifier';
import { inference } from '../../nn/module';
import { createRecalibration, type Recalibration } from '../../search/recalibration';
import { pathTensor } from '../../search/supernet';
import { compile, type CompiledStep } from '../../tensor/compile/compile';
import type { tf } from '../../tensor/tf';
import {
  classificationAccuracy,
  classifierTraining,
  labelledBatches,
  type LabelledInputs,
} from '../pretraining';
import type { DetNasRecipe } from './recipes';

/** What a `ClassifierPaths` is made of. */
export interface ClassifierPathsOptions {
  readonly recipe: DetNasRecipe;
  /** A classifier whose trunk is a supernet, trained. */
  readonly model: Classifier;
  readonly space: SearchSpace;
  /** Pictures to measure the statistics on, and pictures to classify. */
  readonly images: ClassificationDataset;
  readonly validation: ClassificationDataset;
}

type PathInputs = { readonly images: tf.Tensor4D; readonly path: tf.Tensor1D };

/** Evaluates paths of one supernet, whichever and in whatever order, each with statistics of its own. */
export class ClassifierPaths {
  private readonly recalibration: Recalibration<LabelledInputs>;
  private readonly graph: CompiledStep<PathInputs, tf.Tensor2D> | undefined;

  constructor(private readonly options: ClassifierPathsOptions) {
    const { model, recipe } = options;
    const { loss } = classifierTraining(model);
    this.recalibration = createRecalibration({ loss, compile: recipe.compile });
    this.graph = recipe.compile ? compile((inputs: PathInputs) => this.scores(inputs)) : undefined;
  }

  /** The share of the validation's pictures that a path classifies rightly. @throws RangeError for an architecture that the space does not have. */
  async accuracy(architecture: Architecture): Promise<number> {
    const { recipe, space, validation } = this.options;
    const path = pathTensor(architecture, space);
    try {
      await this.recalibration.run(this.batches(), path);
      return classificationAccuracy(
        (images) => (this.graph ?? this.scores)({ images, path }),
        validation,
        recipe,
      );
    } finally {
      path.dispose();
    }
  }

  /** Releases the graphs. The statistics stay those of the last path. */
  dispose(): void {
    this.recalibration.dispose();
    this.graph?.dispose();
  }

  private readonly scores = ({ images, path }: PathInputs): tf.Tensor2D =>
    this.options.model.forward(images, { ...inference, path });

  private async *batches(): AsyncGenerator<LabelledInputs, void, undefined> {
    const { recipe, images, model } = this.options;
    const { prepare } = classifierTraining(model);
    const { batches, batchSize } = recipe.recalibration;
    let number = 0;
    for await (const batch of labelledBatches(images, recipe, batchSize, 0, 0)) {
      if (number++ === batches) return;
      yield prepare(batch);
    }
  }
}
