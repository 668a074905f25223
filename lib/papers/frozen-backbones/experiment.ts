/** One run of the experiment: the detector of an arm, its training, what it finds. */
import { createLoader, type Loader } from '../../data/loader';
import { type LongTailDataset, longTail } from '../../data/long-tail';
import { repeatFactors } from '../../data/repeat-factors';
import { copyPaste } from '../../data/transforms/copy-paste';
import { flipHorizontal } from '../../data/transforms/geometric';
import { largeScaleJitter } from '../../data/transforms/scale-jitter';
import { compose, type Transform } from '../../data/transforms/transform';
import type { TrainTest } from '../../data/train-test';
import type { DetectionDataset } from '../../data/types';
import { AdaptedBackbone, type ChainedBackbone } from '../../models/backbones/adapted-backbone';
import type { Backbone } from '../../models/backbones/backbone';
import { efficientDetLoss } from '../../losses/dense';
import type { Detector } from '../../models/detector';
import { createRetinaNetDetector, RetinaNet, type RetinaNetDetector } from '../../models/retinanet';
import { reuseTrunk } from '../../models/trunk-reuse';
import { FasterRcnn } from '../../models/two-stage/faster-rcnn';
import {
  createFasterRcnnDetector,
  type FasterRcnnDetector,
} from '../../models/two-stage/faster-rcnn-detector';
import { shuffleWeights } from '../../nn/shuffle-weights';
import { createRandom, type Random } from '../../tensor/random';
import { RandomStream } from '../../tensor/random-stream';
import { stepSchedule } from '../../train/schedule';
import type { TrainResult } from '../../train/train';
import { trainDetector } from '../../train/train-detector';
import { type DetectorEvaluation, evaluateUnlessDiverged } from '../evaluation';
import { type ExperimentDataOptions, openExperimentData } from '../experiment-data';
import type { ExperimentTraining } from '../experiment-training';
import { frozenFasterRcnn, frozenRetinaNet, frozenRetinaNetAnchors, frozenSmallInput } from './networks';
import type { FrozenArm, FrozenAugmentation, FrozenRecipe } from './recipes';
import { frozenTrunk, loadFrozenSource } from './sources';

/** What of an arm makes its detector. */
export type FrozenDetectorArm = Pick<
  FrozenArm,
  'detector' | 'source' | 'reuse' | 'shuffled' | 'capacity' | 'adapters'
>;

/** The detector of an arm. */
export type FrozenDetector = FasterRcnnDetector | RetinaNetDetector;

/**
 * The detector of an arm. Everything but what the trunk has learnt is drawn from `seed`: on trunks of the same widths the rest begins alike.
 * @param classes without the background.
 * @throws RangeError for adapters in a trunk that is no chain of stages; what `loadFrozenSource` throws.
 */
export async function buildFrozen(
  { plan, weights }: Pick<FrozenRecipe, 'plan' | 'weights'>,
  arm: FrozenDetectorArm,
  classes: number,
  seed: number,
): Promise<FrozenDetector> {
  const { source, reuse, capacity } = arm;
  const { build, taps, adaptable } = frozenTrunk(source);
  if (arm.adapters && !adaptable) {
    throw new RangeError(
      `buildFrozen: the trunk of ${source} takes no adapters; take a ResNet or an EfficientNet`,
    );
  }
  // The trunk's numbers are its own: so the rest begins alike with adapters and without.
  const own = createRandom(`frozen-backbones/trunk/${seed}`);
  const backbone = (random: Random): Backbone => {
    const trunk = build(own);
    return arm.adapters ? new AdaptedBackbone(trunk as ChainedBackbone, {}, random.fork('adapters')) : trunk;
  };
  const foundation = { backbone, taps };
  const random = createRandom(`frozen-backbones/${seed}`);
  const size = { width: plan.inputSize, height: plan.inputSize };
  const small = plan.inputSize <= frozenSmallInput;
  const detector: FrozenDetector =
    arm.detector === 'retinanet'
      ? createRetinaNetDetector(new RetinaNet(frozenRetinaNet(plan, capacity, foundation, classes), random), {
          inputSize: size,
          ...frozenRetinaNetAnchors(plan),
          loss: efficientDetLoss, // focal loss with gamma 1.5, Huber with weight 50: the release's numbers are the same
        })
      : createFasterRcnnDetector(
          new FasterRcnn(frozenFasterRcnn(plan, capacity, foundation, classes), random),
          {
            inputSize: size,
            rpnLoss: small ? { sample: { size: 64, positiveFraction: 0.5 } } : undefined,
            regionLoss: small ? { sample: { size: 32, positiveFraction: 0.25 } } : undefined,
          },
        );
  await reuseTrunk(detector, reuse, async (trunk) => {
    await loadFrozenSource(source, trunk, weights);
    if (arm.shuffled) shuffleWeights(trunk, createRandom(`frozen-backbones/shuffled/${seed}`));
  });
  return detector;
}

/** The data of an experiment: all classes alike, and a long tail of classes, with a test set in which they are alike. */
export interface FrozenData {
  readonly even: TrainTest;
  readonly longTail: TrainTest & { readonly train: LongTailDataset };
}

/** Opens both sets of images, rendering the scenes first where they are not in the cache; a folder's images are both. */
export async function openFrozenData(
  recipe: FrozenRecipe,
  options: ExperimentDataOptions = {},
): Promise<FrozenData> {
  const even = await openExperimentData(recipe, options);
  const all = await openExperimentData(recipe.longTail, options);
  const train = longTail(all.train, {
    imbalance: recipe.longTail.imbalance,
    seed: 0,
    order: all.train.classes,
  });
  return { even, longTail: { ...all, train } };
}

/** The images that an arm is about. */
export function frozenArmData(data: FrozenData, arm: Pick<FrozenArm, 'data'>): TrainTest {
  return arm.data === 'even' ? data.even : data.longTail;
}

/** Batches to train on: arms of one augmentation see the same images in the same order. */
export function frozenLoader(
  recipe: Pick<FrozenRecipe, 'plan' | 'batchSize' | 'learningRate' | 'retinaNet' | 'jitter' | 'longTail'>,
  arm: Pick<FrozenArm, 'detector' | 'source' | 'augmentation' | 'data'>,
  images: DetectionDataset,
  seed: number,
): Loader {
  const { plan, jitter, longTail: tail } = recipe;
  const { batchSize } = frozenBatch(recipe, arm);
  return createLoader(images, {
    ...frozenTrunk(arm.source).pixels,
    size: plan.inputSize,
    batchSize,
    augment: augmentation(arm.augmentation, plan.inputSize, jitter),
    repeat: arm.data === 'long-tail-repeated' ? repeatFactors(images, tail.threshold) : undefined,
    shuffle: seed,
    dropLast: true,
  });
}

function augmentation(
  name: FrozenAugmentation,
  size: number,
  scale: readonly [number, number],
): Transform | undefined {
  if (name === 'none') return undefined;
  if (name === 'flip') return flipHorizontal();
  const jittered = compose(flipHorizontal(), largeScaleJitter({ width: size, height: size, scale }));
  return name === 'jitter' ? jittered : compose(jittered, copyPaste({ before: jittered }));
}

/** An arm's images an update, and its rate: they are the detector's. */
export function frozenBatch(
  { batchSize, learningRate, retinaNet }: Pick<FrozenRecipe, 'batchSize' | 'learningRate' | 'retinaNet'>,
  { detector }: Pick<FrozenArm, 'detector'>,
): { readonly batchSize: number; readonly learningRate: number } {
  return detector === 'retinanet' ? retinaNet : { batchSize, learningRate };
}

/** Updates of the weights in an arm's run. */
export function frozenSteps(
  recipe: Pick<FrozenRecipe, 'images' | 'batchSize' | 'learningRate' | 'retinaNet'>,
  arm: Pick<FrozenArm, 'detector' | 'length'>,
): number {
  return Math.max(1, Math.round((recipe.images * arm.length) / frozenBatch(recipe, arm).batchSize));
}

/** Options of `trainFrozen`. */
export interface TrainFrozenOptions extends ExperimentTraining {
  readonly recipe: FrozenRecipe;
  readonly arm: FrozenArm;
  /** Of the samples that the losses are taken of. */
  readonly seed: number;
}

/** Trains the detector of an arm by the recipe: SGD, with the released schedule's drops. */
export async function trainFrozen(options: TrainFrozenOptions): Promise<TrainResult> {
  const { recipe, arm, seed, ...training } = options;
  const { warmupSteps, momentum, weightDecay, clipNorm } = recipe;
  const { learningRate: base } = frozenBatch(recipe, arm);
  const { warmupFrom = base / 10 } = recipe;
  const steps = frozenSteps(recipe, arm);
  const drops = arm.length >= recipe.long ? recipe.drops.long : recipe.drops.short;
  const random = new RandomStream(seed);
  try {
    return await trainDetector({
      ...training,
      steps,
      schedule: stepSchedule({
        base,
        milestones: drops.map((share) => Math.round(share * steps)),
        warmupSteps,
        warmupFrom: warmupFrom / base,
      }),
      optimizer: { momentum, weightDecay },
      clipNorm,
      random,
      compile: recipe.compile,
      settings: { recipe, arm },
    });
  } finally {
    random.dispose();
  }
}

/** Detects in every image of a set, and compares with its annotations: see `evaluateUnlessDiverged`. */
export function evaluateFrozen(
  recipe: Pick<FrozenRecipe, 'plan' | 'batchSize' | 'sceneSize'>,
  { source }: Pick<FrozenArm, 'source'>,
  detector: Detector,
  images: DetectionDataset,
): Promise<DetectorEvaluation | undefined> {
  const { pixels } = frozenTrunk(source);
  return evaluateUnlessDiverged({ ...recipe, ...pixels, inputSize: recipe.plan.inputSize }, detector, images);
}
