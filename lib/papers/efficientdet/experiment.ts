/** One run of the experiment: the detector of an arm, its training, what it finds. */
import { createLoader, type Loader } from '../../data/loader';
import { flipHorizontal } from '../../data/transforms/geometric';
import { largeScaleJitter } from '../../data/transforms/scale-jitter';
import { compose, type Transform } from '../../data/transforms/transform';
import type { DetectionDataset } from '../../data/types';
import type { Detector } from '../../models/detector';
import {
  createEfficientDetDetector,
  EfficientDet,
  type EfficientDetDetector,
} from '../../models/efficientdet';
import { createRandom } from '../../tensor/random';
import { AdamW } from '../../train/adamw';
import { cosineSchedule } from '../../train/schedule';
import type { TrainResult } from '../../train/train';
import { trainDetector } from '../../train/train-detector';
import { type DetectorEvaluation, evaluateDetector } from '../evaluation';
import type { ExperimentTraining } from '../experiment-training';
import { loadShippedTrunk } from '../shipped-trunks';
import { efficientDetConfig, efficientDetDetectorOptions, type EfficientDetPlan } from './networks';
import type { EfficientDetArm, EfficientDetRecipe } from './recipes';
import { efficientDetTrunk } from './trunks';

/** The network of an arm, less its trunk where that is no EfficientNet. */
export function efficientDetArmPlan(
  { plan }: Pick<EfficientDetRecipe, 'plan'>,
  { neck, fusion, size }: Pick<EfficientDetArm, 'neck' | 'fusion' | 'size'>,
): EfficientDetPlan {
  return { ...plan, ...size, neck, fusion };
}

/**
 * The detector of an arm. Its trunk is the shipped one where the recipe says so, everything else is drawn from `seed`.
 * @param classes without the background.
 */
export async function buildEfficientDet(
  recipe: EfficientDetRecipe,
  arm: EfficientDetArm,
  classes: number,
  seed: number,
): Promise<EfficientDetDetector> {
  const plan = efficientDetArmPlan(recipe, arm);
  const backbone = efficientDetTrunk(recipe, arm.trunk);
  const config = { ...efficientDetConfig(plan, classes), backbone };
  const model = new EfficientDet(config, createRandom(`efficientdet/${seed}`));
  if (recipe.pretrained) await loadShippedTrunk(arm.trunk, model.backbone);
  return createEfficientDetDetector(model, efficientDetDetectorOptions(plan));
}

/** Batches to train on: one loader can serve many runs, which then all see the same images in the same order. */
export function efficientDetLoader(
  recipe: EfficientDetRecipe,
  arm: Pick<EfficientDetArm, 'jitter' | 'size'>,
  images: DetectionDataset,
  seed: number,
): Loader {
  const { plan, batchSize, mean, std } = recipe;
  const { inputSize: size = plan.inputSize } = arm.size;
  const augment: Transform = arm.jitter
    ? compose(flipHorizontal(), largeScaleJitter({ width: size, height: size, scale: arm.jitter }))
    : flipHorizontal();
  return createLoader(images, { size, batchSize, mean, std, augment, shuffle: seed, dropLast: true });
}

/** The paper's (section 5.1). */
const sgdWeightDecay = 4e-5;

/** Options of `trainEfficientDet`. */
export interface TrainEfficientDetOptions extends ExperimentTraining {
  readonly recipe: EfficientDetRecipe;
  readonly arm: EfficientDetArm;
}

/** Trains the detector of an arm by the recipe: a warm-up, half a cosine, clipped gradients. */
export async function trainEfficientDet(options: TrainEfficientDetOptions): Promise<TrainResult> {
  const { recipe, arm, ...training } = options;
  const { warmupSteps, momentum, averageDecay } = recipe;
  const base = arm.sgd ?? recipe.learningRate;
  const steps = efficientDetSteps(recipe, arm);
  const bySgd = recipe.optimizer === 'sgd' || arm.sgd !== null;
  const weightDecay = bySgd ? sgdWeightDecay : recipe.weightDecay;
  const adamw = bySgd ? undefined : new AdamW(training.detector.model.parameters(), { weightDecay });
  try {
    return await trainDetector({
      ...training,
      steps,
      schedule: cosineSchedule({ base, steps, warmupSteps, warmupFrom: 0.1 }),
      optimizer: adamw ?? { momentum, weightDecay },
      clipNorm: recipe.clipNorm,
      average: averageDecay === undefined ? undefined : { decay: averageDecay },
      compile: recipe.compile,
      settings: { recipe, arm },
    });
  } finally {
    adamw?.dispose();
  }
}

/** Updates of the weights in an arm's run. */
export function efficientDetSteps(
  recipe: Pick<EfficientDetRecipe, 'steps'>,
  { length }: Pick<EfficientDetArm, 'length'>,
): number {
  return Math.round(recipe.steps * length);
}

/** Detects in every image of a set at the arm's resolution, and compares with its annotations. */
export function evaluateEfficientDet(
  recipe: EfficientDetRecipe,
  arm: Pick<EfficientDetArm, 'size'>,
  detector: Detector,
  images: DetectionDataset,
): Promise<DetectorEvaluation> {
  const { inputSize = recipe.plan.inputSize } = arm.size;
  return evaluateDetector({ ...recipe, inputSize }, detector, images);
}
