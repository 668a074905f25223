/** DetNAS's steps, one function each: the supernet as a classifier, then as a detector; what its paths detect; a network on its own. */
import { createLoader, type Loader } from '../../data/loader';
import { loadUpstream, type ClassificationDataset } from '../../data/scenes/upstream';
import { flipHorizontal } from '../../data/transforms/geometric';
import type { TrainTest } from '../../data/train-test';
import type { DetectionDataset } from '../../data/types';
import type { Architecture } from '../../models/architecture';
import type { Backbone, BackboneBuilder } from '../../models/backbones/backbone';
import { DetNasNet, detNasSpace } from '../../models/backbones/detnas';
import { Classifier } from '../../models/classifier';
import type { Detector } from '../../models/detector';
import type { SearchLimit } from '../../search/candidates';
import { detNasCosts, pathCost } from '../../search/path-costs';
import { PathEvaluator } from '../../search/path-evaluator';
import { binnedPath, uniformPath } from '../../search/sample-paths';
import { DetNasSupernet } from '../../search/supernet';
import { pathTraining, withPaths } from '../../search/train-paths';
import { createRandom } from '../../tensor/random';
import { RandomStream } from '../../tensor/random-stream';
import { stepSchedule } from '../../train/schedule';
import { train, type TrainOptions, type TrainResult } from '../../train/train';
import { detectorTraining } from '../../train/train-detector';
import { type DetectorEvaluation, evaluateUnlessDiverged } from '../evaluation';
import { type ExperimentDataOptions, openExperimentData } from '../experiment-data';
import { trainClassifier, type TrainClassifierOptions } from '../pretraining';
import { buildDetNasDetector, type DetNasDetector, type DetNasDetectorKind } from './networks';
import type { DetNasRecipe, DetNasTraining } from './recipes';

/** The images of the experiment. */
export interface DetNasData extends TrainTest {
  /** A part of the training images, which `train` lacks: candidates are compared on them. */
  readonly search: DetectionDataset;
}

/** Opens the images, rendering the scenes first where they are not in the cache, and holds some back for the search. */
export async function openDetNasData(
  recipe: DetNasRecipe,
  options: ExperimentDataOptions = {},
): Promise<DetNasData> {
  const all = await openExperimentData(recipe, options);
  const { examples } = all.train;
  const kept = examples.length - recipe.searchImages;
  if (kept < recipe.supernet.batchSize) {
    throw new RangeError(
      `openDetNasData: ${examples.length} training images less ${recipe.searchImages} to search on leave fewer than a batch of ` +
        `${recipe.supernet.batchSize}; give more images, or a recipe with a smaller searchImages`,
    );
  }
  return {
    ...all,
    train: { ...all.train, examples: examples.slice(0, kept) },
    search: { ...all.train, examples: examples.slice(kept) },
  };
}

/** The limit of the recipe's search: multiply-adds of the trunk. */
export function detNasSearchLimit({ size, limit }: Pick<DetNasRecipe, 'size' | 'limit'>): SearchLimit {
  const costs = detNasCosts(size, limit.inputSize);
  return {
    cost: (architecture) => pathCost(costs, architecture).multiplyAdds,
    most: limit.multiplyAdds,
  };
}

/** A detector of the recipe, from random weights, on a supernet or on one network. */
export function buildDetNas(
  recipe: Pick<DetNasRecipe, 'plan' | 'size'>,
  kind: DetNasDetectorKind,
  architecture: Architecture | undefined,
  classes: number,
  seed: number,
): DetNasDetector {
  const { plan, size } = recipe;
  const trunk: BackboneBuilder = (random) =>
    architecture ? new DetNasNet(size, architecture, random) : new DetNasSupernet(size, random);
  return buildDetNasDetector(plan, kind, trunk, classes, seed);
}

/** The pictures that trunks learn to classify first, and others of the same classes, drawn by another hand. */
export async function openDetNasUpstream({
  pretraining: { classes, perClass },
}: Pick<DetNasRecipe, 'pretraining'>): Promise<Record<'train' | 'validation', ClassificationDataset>> {
  return {
    train: await loadUpstream({ split: 'train', classes, perClass }),
    validation: await loadUpstream({ split: 'val', classes }),
  };
}

/** Options of `pretrainDetNas`. */
export interface PretrainDetNasOptions extends Pick<
  TrainClassifierOptions,
  'onStep' | 'checkpoint' | 'onNotice' | 'images' | 'seed'
> {
  readonly recipe: DetNasRecipe;
  /** Trained in place: a supernet, or one network. */
  readonly trunk: Backbone;
  /** Updates. Default: the recipe's of a supernet, or of a network on its own. */
  readonly steps?: number;
}

/** The first step: the trunk as a classifier, a supernet one path a step. The caller disposes the classifier's last layer, `fc`. */
export async function pretrainDetNas(options: PretrainDetNasOptions): Promise<Classifier> {
  const { recipe, trunk, images, seed, steps, ...rest } = options;
  const model = new Classifier(
    trunk,
    { classes: images.classes.length },
    createRandom(`detnas/classifier/${seed}`),
  );
  const supernet = trunk instanceof DetNasSupernet;
  const usual = supernet ? recipe.pretraining.steps : recipe.alone.pretrainingSteps;
  await trainClassifier({
    ...rest,
    recipe: { ...recipe, pretraining: { ...recipe.pretraining, steps: steps ?? usual } },
    model,
    images,
    seed,
    paths: supernet ? { space: trunk.space, sample: pretrainingPaths(recipe, seed) } : undefined,
  });
  return model;
}

/** The paths of the classifier's steps: from ranges of costs, or all alike. */
export function pretrainingPaths(
  { size, pretraining: { bins } }: Pick<DetNasRecipe, 'size' | 'pretraining'>,
  seed: number,
): (step: number) => Architecture {
  const space = detNasSpace(size);
  const costs = bins && detNasCosts(size);
  return (step) => {
    const random = createRandom(`detnas/paths/classifier/${seed}/${step}`);
    return bins && costs ? binnedPath(costs, bins, random) : uniformPath(space, random);
  };
}

/** The paths of the detector's steps: all alike. */
export function detectionPaths(
  { size }: Pick<DetNasRecipe, 'size'>,
  seed: number,
): (step: number) => Architecture {
  const space = detNasSpace(size);
  return (step) => uniformPath(space, createRandom(`detnas/paths/detector/${seed}/${step}`));
}

/** Batches to train on, mirrored at random: runs of one seed see the same images in the same order. */
export function detNasLoader(
  { plan, mean, std }: Pick<DetNasRecipe, 'plan' | 'mean' | 'std'>,
  { batchSize }: Pick<DetNasTraining, 'batchSize'>,
  images: DetectionDataset,
  seed: number,
): Loader {
  const options = { size: plan.inputSize, batchSize, mean, std };
  return createLoader(images, { ...options, augment: flipHorizontal(), shuffle: seed, dropLast: true });
}

/** Options of `trainDetNas`. */
export interface TrainDetNasOptions extends Pick<
  TrainOptions<never, never>,
  'onStep' | 'evaluate' | 'onNotice' | 'checkpoint'
> {
  readonly recipe: DetNasRecipe;
  readonly kind: DetNasDetectorKind;
  /** Trained in place. */
  readonly detector: Detector;
  readonly batches: Loader;
  /** The recipe's `supernet`, or `alone.training`. */
  readonly training: DetNasTraining;
  /** Where the trunk is a supernet: the path of each step. */
  readonly paths?: (step: number) => Architecture;
  /** Of the samples that the losses are taken of. */
  readonly seed: number;
}

/** The second step, and the last one: a detector's training, on a supernet one path a step. */
export async function trainDetNas(options: TrainDetNasOptions): Promise<TrainResult> {
  const { recipe, kind, detector, batches, training, paths, seed, ...rest } = options;
  const { steps, learningRate, drops } = training;
  const { momentum, weightDecay, warmupSteps, clipNorm, compile } = recipe;
  const random = new RandomStream(seed);
  const run = {
    ...rest,
    steps,
    schedule: stepSchedule({
      base: learningRate[kind],
      milestones: drops.map((share) => Math.round(share * steps)),
      warmupSteps,
      warmupFrom: 1 / 3,
    }),
    optimizer: { momentum, weightDecay },
    clipNorm,
    random,
    compile,
    settings: { recipe, kind, seed },
  };
  const parts = detectorTraining(detector);
  try {
    if (!paths) return await train({ ...run, ...parts, batches });
    const space = detNasSpace(recipe.size);
    return await train({ ...run, ...pathTraining(parts, space), batches: withPaths(batches, paths) });
  } finally {
    random.dispose();
  }
}

/** What evaluates paths of a trained supernet on the images that the search holds back. */
export function detNasEvaluator(
  recipe: Pick<DetNasRecipe, 'plan' | 'mean' | 'std' | 'recalibration' | 'size' | 'compile'>,
  detector: Detector,
  { train: images, search }: Pick<DetNasData, 'train' | 'search'>,
): PathEvaluator {
  const { plan, mean, std, recalibration } = recipe;
  const { batchSize, batches } = recalibration;
  const loader = (set: DetectionDataset): Loader =>
    createLoader(set, { size: plan.inputSize, batchSize, mean, std });
  return new PathEvaluator({
    detector,
    space: detNasSpace(recipe.size),
    statistics: loader(images),
    batches,
    images: loader(search),
    compile: recipe.compile,
  });
}

/** Detects in every image of a set, and compares with its annotations: see `evaluateUnlessDiverged`. */
export function evaluateDetNas(
  { plan, alone, sceneSize, mean, std }: DetNasRecipe,
  detector: Detector,
  images: DetectionDataset,
): Promise<DetectorEvaluation | undefined> {
  const { batchSize } = alone.training;
  return evaluateUnlessDiverged(
    { inputSize: plan.inputSize, batchSize, sceneSize, mean, std },
    detector,
    images,
  );
}
