/** A trunk that has learnt to classify before it detects: what most detectors begin with, and ScratchDet does without. */
import type { ClassificationDataset } from '../data/scenes/upstream';
import type { Normalization } from '../data/transforms/normalization';
import { softmaxCrossEntropy } from '../losses/softmax-cross-entropy';
import type { Backbone } from '../models/backbones/backbone';
import type { Architecture, SearchSpace } from '../models/architecture';
import { Classifier } from '../models/classifier';
import { inference } from '../nn/module';
import { pathTraining, type StepParts, withPaths } from '../search/train-paths';
import { createRandom } from '../tensor/random';
import { tf } from '../tensor/tf';
import { stepSchedule } from '../train/schedule';
import { train, type TrainOptions, type TrainResult } from '../train/train';

/** What fixes a classifier's training, beside its data. */
export interface PretrainingRecipe extends Pick<Normalization, 'mean' | 'std'> {
  /** How many of the upstream set's classes, and training pictures of each. */
  readonly pretraining: {
    readonly classes: number;
    readonly perClass: number;
    readonly steps: number;
    readonly batchSize: number;
    /** Drops to a tenth after four fifths of the steps. */
    readonly learningRate: number;
  };
  readonly momentum: number;
  readonly weightDecay: number;
  readonly warmupSteps: number;
  readonly compile: boolean;
}

/** A batch of pictures with one label each. */
export interface LabelledBatch {
  readonly ids: readonly string[];
  /** `[B, size, size, 3]`, normalised. */
  readonly images: Float32Array;
  readonly labels: Int32Array;
  readonly size: number;
}

/** A classifier's step: pictures and labels. (A type, so that a step takes it.) */
export type LabelledInputs = { readonly images: tf.Tensor4D; readonly labels: tf.Tensor1D };

/** Options of `trainClassifier`. */
export interface TrainClassifierOptions extends Pick<
  TrainOptions<LabelledBatch, LabelledInputs>,
  'onStep' | 'checkpoint' | 'onNotice'
> {
  readonly recipe: PretrainingRecipe;
  /** Trained in place. */
  readonly model: Classifier;
  readonly images: ClassificationDataset;
  readonly seed: number;
  /** Where the trunk is a supernet: its space, and the path of each step, from 0. */
  readonly paths?: { readonly space: SearchSpace; readonly sample: (step: number) => Architecture };
}

/** Options of `pretrainTrunk`. */
export interface PretrainOptions extends Omit<TrainClassifierOptions, 'model' | 'paths'> {
  /** Names the stream of random numbers that the classifier's last layer is drawn from: the experiment. */
  readonly experiment: string;
  /** Trained in place. */
  readonly trunk: Backbone;
  /** Of drawings that training does not show. */
  readonly validation: ClassificationDataset;
}

/** How the classifier came out. */
export interface Pretraining {
  readonly training: TrainResult;
  /** Share of the validation's pictures that are classified rightly, 0 to 1. */
  readonly accuracy: number;
}

/** Trains the trunk as a classifier: average pooling and one linear layer behind its last map, which are dropped afterwards. */
export async function pretrainTrunk(options: PretrainOptions): Promise<Pretraining> {
  const { recipe, experiment, trunk, images, validation, seed } = options;
  const random = createRandom(`${experiment}/classifier/${seed}`);
  const model = new Classifier(trunk, { classes: images.classes.length }, random);
  const training = await trainClassifier({ ...options, model });
  const accuracy = classificationAccuracy((pixels) => model.forward(pixels, inference), validation, recipe);
  model.fc.dispose();
  return { training, accuracy };
}

/** Trains a classifier by the recipe: SGD with a climb and one drop, softmax and cross-entropy. */
export function trainClassifier(options: TrainClassifierOptions): Promise<TrainResult> {
  const { recipe, model, images, seed, paths, onStep, checkpoint, onNotice } = options;
  const { steps, batchSize, learningRate } = recipe.pretraining;
  const run = {
    steps,
    schedule: stepSchedule({
      base: learningRate,
      milestones: [Math.round(0.8 * steps)],
      warmupSteps: recipe.warmupSteps,
      warmupFrom: 0.1,
    }),
    optimizer: { momentum: recipe.momentum, weightDecay: recipe.weightDecay },
    compile: recipe.compile,
    onStep,
    checkpoint,
    onNotice,
  };
  const parts = classifierTraining(model);
  const source = (from: number): AsyncGenerator<LabelledBatch, void, undefined> =>
    labelledBatches(images, recipe, batchSize, seed, from);
  if (!paths) return train({ ...run, ...parts, batches: source });
  return train({ ...run, ...pathTraining(parts, paths.space), batches: withPaths(source, paths.sample) });
}

/** A classifier's network, inputs and loss, as a training run takes them. */
export function classifierTraining(model: Classifier): StepParts<LabelledBatch, LabelledInputs> {
  return {
    model,
    prepare: (batch) => ({
      images: tf.tensor4d(batch.images, [batch.ids.length, batch.size, batch.size, 3]),
      labels: tf.tensor1d(batch.labels, 'int32'),
    }),
    loss: ({ images, labels }, context) => ({
      total: softmaxCrossEntropy<tf.Tensor1D>(model.forward(images, context), labels).mean(),
      parts: {},
    }),
  };
}

/** Shuffled by seed and epoch, mirrored half of the time. */
export async function* labelledBatches(
  { images, labels, size }: ClassificationDataset,
  recipe: Pick<PretrainingRecipe, 'mean' | 'std'>,
  batchSize: number,
  seed: number,
  from: number,
): AsyncGenerator<LabelledBatch, void, undefined> {
  const perEpoch = Math.floor(labels.length / batchSize);
  if (perEpoch === 0) {
    throw new RangeError(`pretrainTrunk: ${labels.length} pictures are fewer than a batch of ${batchSize}`);
  }
  for (let batch = from; ; batch++) {
    const random = createRandom(`${seed}/${Math.floor(batch / perEpoch)}`);
    const order = random.shuffle(Array.from(labels.keys()));
    const start = (batch % perEpoch) * batchSize;
    const chosen = order.slice(start, start + batchSize);
    const mirrored = createRandom(`${seed}/mirror/${batch}`);
    const pixels = new Float32Array(batchSize * size * size * 3);
    chosen.forEach((picture, i) => {
      normalise(images, picture, size, recipe, mirrored.next() < 0.5, pixels, i);
    });
    yield await Promise.resolve({
      ids: chosen.map(String),
      images: pixels,
      labels: Int32Array.from(chosen, (picture) => labels[picture]),
      size,
    });
  }
}

function normalise(
  images: Uint8Array,
  picture: number,
  size: number,
  { mean, std }: Pick<PretrainingRecipe, 'mean' | 'std'>,
  mirror: boolean,
  to: Float32Array,
  at: number,
): void {
  for (let pixel = 0; pixel < size * size; pixel++) {
    const column = pixel % size;
    const source = mirror ? pixel - column + (size - 1 - column) : pixel;
    for (let c = 0; c < 3; c++) {
      to[(at * size * size + pixel) * 3 + c] =
        (images[(picture * size * size + source) * 3 + c] - mean[c]) / std[c];
    }
  }
}

/**
 * The share of pictures that are classified rightly, 0 to 1.
 * @param scores `[B, size, size, 3]`, normalised, to `[B, classes]`, which are disposed.
 */
export function classificationAccuracy(
  scores: (pixels: tf.Tensor4D) => tf.Tensor2D,
  { images, labels, size }: ClassificationDataset,
  recipe: Pick<PretrainingRecipe, 'mean' | 'std'>,
): number {
  const many = 64;
  let right = 0;
  for (let start = 0; start < labels.length; start += many) {
    const count = Math.min(many, labels.length - start);
    const pixels = new Float32Array(count * size * size * 3);
    for (let i = 0; i < count; i++) normalise(images, start + i, size, recipe, false, pixels, i);
    const guesses = tf.tidy(() =>
      scores(tf.tensor4d(pixels, [count, size, size, 3]))
        .argMax(1)
        .dataSync(),
    );
    for (let i = 0; i < count; i++) if (guesses[i] === labels[start + i]) right++;
  }
  return right / labels.length;
}
