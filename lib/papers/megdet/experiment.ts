/** One run of the experiment: the detector of an arm, its training, what it finds. */
import { createLoader, type Loader } from '../../data/loader';
import { flipHorizontal } from '../../data/transforms/geometric';
import type { DetectionDataset } from '../../data/types';
import { ResNet } from '../../models/backbones/resnet';
import type { Detector } from '../../models/detector';
import { FasterRcnn } from '../../models/two-stage/faster-rcnn';
import {
  createFasterRcnnDetector,
  type FasterRcnnDetector,
} from '../../models/two-stage/faster-rcnn-detector';
import { batchNormByImages } from '../../nn/batch-norm-by-images';
import { freezeBatchNorm } from '../../nn/freeze-batch-norm';
import { createRandom } from '../../tensor/random';
import { RandomStream } from '../../tensor/random-stream';
import { megDetSchedule, type Schedule } from '../../train/schedule';
import type { TrainResult } from '../../train/train';
import { trainDetector } from '../../train/train-detector';
import { importWeights } from '../../weights/import-weights';
import { type DetectorEvaluation, evaluateUnlessDiverged } from '../evaluation';
import type { ExperimentTraining } from '../experiment-training';
import { loadShippedTrunk } from '../shipped-trunks';
import type { MegDetArm, MegDetRecipe } from './recipes';

/**
 * The detector of an arm. Its trunk is the shipped one where the recipe says so, everything else is drawn from `seed`: arms of the same
 * seed start equal.
 * @param classes without the background.
 */
export async function buildMegDet(
  recipe: Pick<MegDetRecipe, 'plan' | 'pretrained'>,
  { batchNorm }: Pick<MegDetArm, 'batchNorm'>,
  classes: number,
  seed: number,
): Promise<FasterRcnnDetector> {
  const { trunk, inputSize, samples, ...config } = recipe.plan;
  const frozen = batchNorm === 'frozen';
  const model = new FasterRcnn(
    // New layers have no statistics to freeze.
    { ...config, classes, batchNorm: !frozen, backbone: (random) => new ResNet(trunk, random) },
    createRandom(`megdet/${seed}`),
  );
  const { body } = model.backbone;
  if (typeof recipe.pretrained === 'string') await importWeights(body, recipe.pretrained);
  else if (recipe.pretrained) await loadShippedTrunk('resnet', body);
  if (frozen) freezeBatchNorm(body);
  return createFasterRcnnDetector(model, {
    inputSize: { width: inputSize, height: inputSize },
    rpnLoss: samples && { sample: { size: samples.anchors, positiveFraction: 0.5 } },
    regionLoss: samples && { sample: { size: samples.regions, positiveFraction: 0.25 } },
  });
}

/** Batches to train on: arms of the same batch size then all see the same images in the same order. */
export function megDetLoader(
  recipe: Pick<MegDetRecipe, 'plan' | 'mean' | 'std'>,
  { batchSize }: Pick<MegDetArm, 'batchSize'>,
  images: DetectionDataset,
  seed: number,
): Loader {
  const { plan, mean, std } = recipe;
  const size = plan.inputSize;
  return createLoader(images, {
    size,
    batchSize,
    mean,
    std,
    augment: flipHorizontal(),
    shuffle: seed,
    dropLast: true,
  });
}

/** Updates of the weights in an arm's run: the fewer, the larger its batches. */
export function megDetSteps(
  { images }: Pick<MegDetRecipe, 'images'>,
  { batchSize, length }: Pick<MegDetArm, 'batchSize' | 'length'>,
): number {
  return Math.max(1, Math.round((images * length) / batchSize));
}

/** An arm's learning rates: the paper's schedule, in which the recipe's smallest batch has the place of the paper's 16 images. */
export function megDetArmSchedule(
  recipe: Pick<MegDetRecipe, 'images' | 'batchSize' | 'learningRate' | 'warmup' | 'drops'>,
  arm: Pick<MegDetArm, 'batchSize' | 'rate' | 'warmup' | 'length'>,
): Schedule {
  const steps = megDetSteps(recipe, arm);
  const [first, second, third] = recipe.drops.map((share) => Math.round(share * steps));
  // In a run of a few updates they would fall together.
  const milestones = [first, Math.max(first + 1, second), Math.max(first + 2, third)] as const;
  return megDetSchedule({
    batchSize: (16 * arm.rate * arm.batchSize) / recipe.batchSize,
    ratePer16: recipe.learningRate,
    warmupSteps: arm.warmup ? Math.round(recipe.warmup * steps) : 0,
    milestones,
  });
}

/** Options of `trainMegDet`. */
export interface TrainMegDetOptions extends ExperimentTraining {
  readonly recipe: MegDetRecipe;
  readonly arm: MegDetArm;
  /** Of the samples that the losses are taken of. */
  readonly seed: number;
}

/** Trains the detector of an arm by the recipe: SGD, by the paper's schedule. */
export async function trainMegDet(options: TrainMegDetOptions): Promise<TrainResult> {
  const { recipe, arm, seed, ...training } = options;
  const random = new RandomStream(seed);
  try {
    return await trainDetector({
      ...training,
      steps: megDetSteps(recipe, arm),
      schedule: megDetArmSchedule(recipe, arm),
      optimizer: { momentum: recipe.momentum, weightDecay: recipe.weightDecay },
      random,
      batchNorm: typeof arm.batchNorm === 'number' ? batchNormByImages(arm.batchNorm) : undefined,
      compile: recipe.compile,
      settings: { recipe, arm },
    });
  } finally {
    random.dispose();
  }
}

/** Detects in every image of a set, and compares with its annotations: see `evaluateUnlessDiverged`. */
export function evaluateMegDet(
  recipe: Pick<MegDetRecipe, 'plan' | 'batchSize' | 'sceneSize' | 'mean' | 'std'>,
  detector: Detector,
  images: DetectionDataset,
): Promise<DetectorEvaluation | undefined> {
  return evaluateUnlessDiverged({ ...recipe, inputSize: recipe.plan.inputSize }, detector, images);
}
