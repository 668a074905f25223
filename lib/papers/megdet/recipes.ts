/** The recipes of the notebook that reproduces MegDet, and of its evidence: one experiment at three sizes. */
import type { Normalization } from '../../data/transforms/normalization';
import { resNet50, type ResNetConfig } from '../../models/backbones/resnet';
import type { FasterRcnnConfig } from '../../models/two-stage/faster-rcnn';
import { type DataRecipe, threeClassScenes } from '../experiment-data';
import type { ByProfile } from '../profile';
import { shippedResNet } from '../shipped-trunks';
import { eachArmOnce } from '../study-parts';

/**
 * How batch norm normalises in training: over the batch, as devices do that synchronise; over so many images at a time, as devices do that
 * have so many each and do not; or by the classifier's statistics, with its scales and shifts, and nothing of it trained.
 *
 * Where it stands beside the trunk, no source at hand says. Here: in the pyramid, too, where it is trained (trained in the trunk alone, the
 * small recipe's largest batch diverged at its rate, in the one run tried, and at 2.5 times that); where it is frozen, in the trunk
 * alone, since new layers have no statistics to freeze; never in the heads. Frozen and trained arms so differ in the pyramid, too.
 */
export type MegDetBatchNorm = 'batch' | 'frozen' | number;

/** One run of the experiment, as plain values. */
export interface MegDetArm {
  /** Unique, and the name of its files. */
  readonly name: string;
  /** Images of an update. */
  readonly batchSize: number;
  /** The learning rate, as a multiple of what the linear scaling rule gives for the batch. */
  readonly rate: number;
  /** Whether the rate climbs to that, update by update, from the rate of the smallest batch. */
  readonly warmup: boolean;
  readonly batchNorm: MegDetBatchNorm;
  /** Times the recipe's images. */
  readonly length: number;
}

/** The network, as plain values. */
export interface MegDetPlan extends Omit<FasterRcnnConfig, 'backbone' | 'batchNorm' | 'classes'> {
  readonly trunk: ResNetConfig;
  /** Side of the square input, pixels. */
  readonly inputSize: number;
  /** Anchors and regions an image that the losses are taken of. Left out: 256 and 512. */
  readonly samples?: { readonly anchors: number; readonly regions: number };
}

/** Everything that fixes the experiment, beside the data. */
export interface MegDetRecipe extends DataRecipe, Pick<Normalization, 'mean' | 'std'> {
  /** What a reader may expect of this size, in time and in meaning. */
  readonly expect: string;
  readonly plan: MegDetPlan;
  /**
   * Whether the trunk begins with what the shipped one has learnt as a classifier; it must be of the same size. Or a file of weights that
   * `importWeights` reads, such as torchvision's ResNet-50.
   */
  readonly pretrained: boolean | (string & {});
  /** The smallest batch: the baseline that the others are scaled from. */
  readonly batchSize: number;
  /** Its learning rate. */
  readonly learningRate: number;
  /** The larger batches, in multiples of the smallest. */
  readonly scales: readonly number[];
  /** A rate near the edge of what trains at the largest of them, in multiples of what the linear scaling rule gives. */
  readonly edge: number;
  /** The batch at which numbers of images are compared that batch norm sees, and those numbers beside none and all. */
  readonly bnBatch: number;
  readonly bnSizes: readonly number[];
  /** Images of a run's updates together, repetitions counted: equal for all batch sizes. */
  readonly images: number;
  /** Times that of the long schedule. */
  readonly long: number;
  /** Share of a run's updates in which the rate climbs. */
  readonly warmup: number;
  /** Shares of a run's updates after which the rate is divided by 10, by 10 and by 2. */
  readonly drops: readonly [number, number, number];
  readonly momentum: number;
  readonly weightDecay: number;
  /** Whether a step runs as one graph, which takes about as long to build as twenty steps. */
  readonly compile: boolean;
}

const smallPlan: MegDetPlan = {
  trunk: shippedResNet,
  inputSize: 96,
  // Of stride 8, 16 and 32, and a fourth level of 64 by max-pool.
  taps: [1, 2, 3],
  outChannels: 48,
  anchorSizes: [[14], [28], [48], [72]],
  anchorRatios: [0.6, 1, 1.6],
  proposals: {
    training: { preNmsTop: 150, postNmsTop: 64 },
    inference: { preNmsTop: 150, postNmsTop: 40 },
  },
  // The paper's 224 is for inputs of 800 pixels.
  pooling: { outputSize: 5, canonicalSize: 48 },
  features: 128,
  samples: { anchors: 64, regions: 32 },
};

const smallRecipe: Omit<MegDetRecipe, 'expect'> = {
  difficulty: threeClassScenes, // a few hundred updates need easy ones
  trainImages: 1200,
  testImages: 200,
  sceneSize: 192,
  plan: smallPlan,
  pretrained: true,
  batchSize: 8,
  // Single runs: mAP 53.9 at 0.01, 59.6 at 0.02; in half the updates 49.5 at 0.02, 53.2 at 0.1. But 8 times 0.04 breaks the largest batch.
  learningRate: 0.02,
  scales: [2, 4, 8],
  // At 1.5 times, six runs with warm-up of 10 or 30 % or none all trained, to mAP 10 to 50; at 2 times none of five came above 17.
  edge: 1.5,
  bnBatch: 16,
  bnSizes: [1, 2, 4, 8],
  // 150 updates at the largest batch: in 75 it finds next to nothing.
  images: 9600,
  long: 2,
  warmup: 0.2,
  drops: [0.7, 0.85, 0.95],
  momentum: 0.9,
  weightDecay: 1e-4, // Detectron's; the paper's was not found
  compile: true,
  mean: [123, 117, 104],
  std: [58, 58, 58],
};

/** The recipes, by profile. */
export const megDetRecipes: ByProfile<MegDetRecipe> = {
  // Seconds, not minutes: enough to see that everything runs, not how far it gets.
  quick: {
    ...smallRecipe,
    expect: 'about a minute on two cores; a check that everything runs, the detectors barely begin to learn',
    trainImages: 240,
    testImages: 48,
    sceneSize: 128,
    plan: { ...smallPlan, inputSize: 64, anchorSizes: [[10], [20], [32], [48]] },
    images: 128,
    compile: false,
  },
  default: { ...smallRecipe, expect: 'under ten minutes on two cores with TensorFlow' },
  paper: {
    ...smallRecipe,
    expect: 'the published size, for many GPUs and COCO; it has not been run',
    trainImages: 1e6, // all
    testImages: 1e6,
    sceneSize: 800,
    plan: { trunk: resNet50, inputSize: 800 },
    // The paper begins with a classifier of ImageNet: give a file of its weights. From random ones frozen batch norm makes no sense.
    pretrained: false,
    batchSize: 16,
    learningRate: 0.02,
    scales: [2, 4, 8, 16],
    bnBatch: 16,
    bnSizes: [1, 2, 4, 8],
    // Its schedules' lengths and drops were not found; these are Detectron's 12 and 24 epochs, and the small recipe's drops.
    images: 12 * 118_287,
    long: 2,
    compile: true,
    mean: [123.675, 116.28, 103.53],
    std: [58.395, 57.12, 57.375],
  },
};

/** The runs of each study of the notebook; one that two of them need is in both. */
export interface MegDetStudies {
  /** Batches from the smallest to the largest, each at the rate of the linear scaling rule. */
  readonly batch: readonly MegDetArm[];
  /** The largest batch without warm-up and with it: at its rate, and at a higher one near the edge of what trains. */
  readonly warmup: readonly MegDetArm[];
  /** Without trained batch norm: the smallest batch, and the largest at its rate, half of it and the edge's; and the largest with it. */
  readonly frozen: readonly MegDetArm[];
  /** How many images batch norm sees, at one batch size: none, from one to half of them, all. */
  readonly bnSize: readonly MegDetArm[];
  /** The largest batch, and that for longer. */
  readonly schedule: readonly MegDetArm[];
}

/** What of a recipe its arms hang on. */
export type MegDetStudyParts = Pick<
  MegDetRecipe,
  'batchSize' | 'scales' | 'edge' | 'bnBatch' | 'bnSizes' | 'long'
>;

/** The arms of a recipe, study by study. */
export function megDetStudies({
  batchSize,
  scales,
  edge,
  bnBatch,
  bnSizes,
  long,
}: MegDetStudyParts): MegDetStudies {
  const trained = (images: number): MegDetArm => ({
    name: `batch-${images}`,
    batchSize: images,
    rate: 1,
    warmup: true,
    batchNorm: 'batch',
    length: 1,
  });
  const frozen = (images: number): MegDetArm => ({
    ...trained(images),
    name: `frozen-${images}`,
    batchNorm: 'frozen',
  });
  const batch = [1, ...scales].map((scale) => trained(scale * batchSize));
  const largest = batch[batch.length - 1];
  const { batchSize: most } = largest;
  return {
    batch,
    warmup: [largest, { ...largest, name: `${largest.name}-edge`, rate: edge }].flatMap((arm) => [
      { ...arm, name: `${arm.name}-no-warmup`, warmup: false },
      arm,
    ]),
    frozen: [
      frozen(batchSize),
      frozen(most),
      { ...frozen(most), name: `frozen-${most}-half`, rate: 0.5 },
      { ...frozen(most), name: `frozen-${most}-edge`, rate: edge },
      largest,
    ],
    bnSize: [
      frozen(bnBatch),
      ...bnSizes.map((size) => ({ ...trained(bnBatch), name: `bn-${size}`, batchNorm: size })),
      trained(bnBatch),
    ],
    schedule: [largest, { ...largest, name: `${largest.name}-long`, length: long }],
  };
}

/** Every arm of a recipe once. */
export function megDetArms(recipe: MegDetStudyParts): MegDetArm[] {
  const { batch, warmup, frozen, bnSize, schedule } = megDetStudies(recipe);
  return eachArmOnce([batch, warmup, frozen, bnSize, schedule]);
}
