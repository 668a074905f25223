/** One run of the experiment: the detector of an arm, its training, what it finds. */
import { createLoader, type Loader } from '../../data/loader';
import { loadUpstream, type UpstreamOptions } from '../../data/scenes/upstream';
import { expand, iouCrop } from '../../data/transforms/crop';
import { flipHorizontal } from '../../data/transforms/geometric';
import { photometricDistortion } from '../../data/transforms/photometric';
import { compose, type Transform } from '../../data/transforms/transform';
import type { DetectionDataset } from '../../data/types';
import { Ssd } from '../../models/ssd';
import { createSsdDetector, type SsdDetector } from '../../models/ssd-detector';
import { createRandom } from '../../tensor/random';
import { stepSchedule } from '../../train/schedule';
import type { TrainResult } from '../../train/train';
import { trainDetector } from '../../train/train-detector';
import { scratchDetAnchors } from './anchors';
import { scratchDetNetwork } from './networks';
import type { ExperimentTraining } from '../experiment-training';
import { type Pretraining, pretrainTrunk } from '../pretraining';
import type { ScratchDetArm, ScratchDetRecipe } from './recipes';

/**
 * The detector of an arm, its weights drawn from `seed`: arms of the same seed and network start equal as far as their parts are the same.
 * @param classes without the background.
 */
export function buildScratchDet(
  recipe: ScratchDetRecipe,
  arm: Pick<ScratchDetArm, 'trunk' | 'batchNorm' | 'extras'>,
  classes: number,
  seed: number,
): SsdDetector {
  const { inputSize, widths, blocks, finestStride, anchors } = recipe;
  const config = scratchDetNetwork({
    trunk: arm.trunk,
    batchNorm: arm.batchNorm,
    extras: arm.extras,
    classes,
    inputSize,
    finestStride,
    widths,
    blocks: blocks?.[arm.trunk === 'vgg16' ? 'vgg16' : 'residual'],
  });
  const model = new Ssd(config, createRandom(`scratchdet/${seed}`));
  return createSsdDetector(
    model,
    scratchDetAnchors(inputSize, model.mapSizes(), config.anchorsPerCell, anchors),
  );
}

/** Batches to train on: one loader can serve many runs, which then all see the same images in the same order. */
export function scratchDetLoader(recipe: ScratchDetRecipe, images: DetectionDataset, seed: number): Loader {
  const { inputSize: size, batchSize, mean, std } = recipe;
  const augment: Transform =
    recipe.augmentation === 'ssd'
      ? compose(photometricDistortion(), expand(), iouCrop(), flipHorizontal())
      : flipHorizontal();
  return createLoader(images, { size, batchSize, mean, std, augment, shuffle: seed, dropLast: true });
}

/** Options of `trainScratchDet`. */
export interface TrainScratchDetOptions extends ExperimentTraining {
  readonly recipe: ScratchDetRecipe;
  readonly arm: ScratchDetArm;
}

/** Trains the detector of an arm by the recipe: SGD, a short warm-up, drops of the rate to a tenth. */
export function trainScratchDet(options: TrainScratchDetOptions): Promise<TrainResult> {
  const { recipe, arm, ...training } = options;
  const steps = scratchDetSteps(recipe, arm);
  return trainDetector({
    ...training,
    steps,
    schedule: stepSchedule({
      base: arm.learningRate,
      milestones: recipe.drops.map((share) => Math.round(share * steps)),
      warmupSteps: recipe.warmupSteps,
      warmupFrom: 0.1,
    }),
    optimizer: { momentum: recipe.momentum, weightDecay: recipe.weightDecay },
    compile: recipe.compile,
    // one more copy of the weights, for the study of the gradient
    gradientChange: true,
    settings: { recipe, arm },
  });
}

/** Updates of the weights in an arm's run. */
export function scratchDetSteps(
  recipe: Pick<ScratchDetRecipe, 'steps'>,
  { length }: Pick<ScratchDetArm, 'length'>,
): number {
  return Math.round(recipe.steps * length);
}

/** Gives an SSD's trunk what it learns as a classifier of the shipped upstream set, whose classes are none of the detector's. */
export async function pretrainScratchDet(
  recipe: ScratchDetRecipe,
  detector: SsdDetector,
  seed: number,
  options: Pick<TrainScratchDetOptions, 'onStep' | 'onNotice' | 'checkpoint'> &
    Pick<UpstreamOptions, 'onProgress'> = {},
): Promise<Pretraining> {
  const { onProgress, ...training } = options;
  const { classes, perClass } = recipe.pretraining;
  const [images, validation] = [
    await loadUpstream({ split: 'train', classes, perClass, onProgress }),
    await loadUpstream({ split: 'val', classes, onProgress }),
  ];
  return pretrainTrunk({
    ...training,
    recipe,
    experiment: 'scratchdet',
    trunk: detector.model.backbone,
    images,
    validation,
    seed,
  });
}
