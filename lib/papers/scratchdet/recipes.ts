/** The recipes of the notebook that reproduces ScratchDet, and of its evidence: one experiment at three sizes. */
import type { SceneDifficulty } from '../../data/scenes/difficulty';
import { sceneDifficulties } from '../../data/scenes/difficulty';
import type { Normalization } from '../../data/transforms/normalization';
import type { DataRecipe } from '../experiment-data';
import type { PretrainingRecipe } from '../pretraining';
import type { ByProfile } from '../profile';
import type { BatchNormPlacement, ScratchDetExtras, ScratchDetTrunk } from './networks';
import { eachArmOnce } from '../study-parts';

/** Which images: `headline` for all comparisons but the stems', which are compared on `small` objects. */
export type ScratchDetImages = 'headline' | 'small';

/** One run of the experiment, as plain values. */
export interface ScratchDetArm {
  /** Unique, and the name of its files. */
  readonly name: string;
  readonly images: ScratchDetImages;
  readonly trunk: ScratchDetTrunk;
  readonly batchNorm: BatchNormPlacement;
  readonly extras: ScratchDetExtras;
  readonly learningRate: number;
  /** Times the recipe's steps. */
  readonly length: number;
  /** Whether the trunk begins with what it learnt as a classifier. */
  readonly pretrained: boolean;
}

/** Everything that fixes the experiment, beside the data. */
export interface ScratchDetRecipe
  extends Omit<DataRecipe, 'difficulty'>, Pick<Normalization, 'mean' | 'std'> {
  /** What a reader may expect of this size, in time and in meaning. */
  readonly expect: string;
  readonly difficulty: Readonly<Record<ScratchDetImages, SceneDifficulty>>;
  /** Whose anchors the published sizes take: the released code has smaller ones for COCO. Default `voc`. */
  readonly anchors?: 'voc' | 'coco';
  /** Side of the network's input, pixels. */
  readonly inputSize: number;
  /** Channels of the four stages, and convolutions or blocks of each stage; left out, the published ones. */
  readonly widths?: readonly [number, number, number, number];
  readonly blocks?: { readonly vgg16: readonly number[]; readonly residual: readonly number[] };
  /** Image pixels a cell of the finest detection map. */
  readonly finestStride: 4 | 8;
  readonly batchSize: number;
  readonly steps: number;
  /** Whether a step runs as one graph, which takes about as long to build as twenty steps. */
  readonly compile: boolean;
  /** Steps over which the rate climbs from a tenth of its value to the whole. */
  readonly warmupSteps: number;
  /** Shares of a run's steps after which the rate drops to a tenth. */
  readonly drops: readonly number[];
  readonly momentum: number;
  readonly weightDecay: number;
  /** The three learning rates of the study of batch norm: one, ten and fifty times as in the paper. */
  readonly learningRates: readonly [low: number, middle: number, high: number];
  /** Of the SSD paper's augmentation: all of it, or mirroring alone. */
  readonly augmentation: 'ssd' | 'mirror';
  /** The classifier that the pretrained trunk comes from. */
  readonly pretraining: PretrainingRecipe['pretraining'];
}

/** SSD's plan at a sixth of its width. */
const smallRecipe: Omit<ScratchDetRecipe, 'expect'> = {
  difficulty: {
    headline: sceneDifficulties.headline,
    // 5 to 28 pixels at the default input, half of them below 12: what is left of them behind the stems is the question
    small: {
      ...sceneDifficulties.headline,
      name: 'small',
      meanObjects: 4,
      maxObjects: 8,
      size: [0.06, 0.15, 0.35],
    },
  },
  trainImages: 1200,
  testImages: 200,
  sceneSize: 192,
  inputSize: 80,
  widths: [16, 32, 64, 96],
  blocks: { vgg16: [1, 1, 2, 2, 1], residual: [1, 1, 1, 1] },
  // a tenth of the paper's pixels a side: cells of 8 would see a small object from one place only
  finestStride: 4,
  batchSize: 16,
  steps: 200,
  compile: true,
  // The paper's code has none: 10 of 100,000 steps would be lost in it, 20 of 200 keep the first ones from blowing up.
  warmupSteps: 20,
  drops: [0.8],
  momentum: 0.9, // the paper's
  weightDecay: 5e-4, // the paper's
  // The paper's are 0.001, 0.01 and 0.05; of a few hundred steps, 0.001 leaves nothing to compare. The ratios are the paper's.
  learningRates: [0.002, 0.02, 0.1],
  mean: [123, 117, 104], // SSD's
  std: [58, 58, 58], // departure: SSD only subtracts the mean; without it, values reach 150 and the arms without batch norm blow up
  augmentation: 'mirror', // departure: the rest costs more steps than a short run has
  pretraining: { classes: 100, perClass: 32, steps: 300, batchSize: 32, learningRate: 0.05 },
};

/** The recipes, by profile. */
export const scratchDetRecipes: ByProfile<ScratchDetRecipe> = {
  // Seconds, not minutes: enough to see that everything runs, not how far it gets.
  quick: {
    ...smallRecipe,
    expect:
      'about a minute and a half on two cores; a check that everything runs, the detectors barely begin to learn',
    trainImages: 240,
    testImages: 64,
    sceneSize: 128,
    inputSize: 64,
    widths: [8, 16, 32, 48],
    steps: 12,
    compile: false,
    warmupSteps: 3,
    pretraining: { ...smallRecipe.pretraining, classes: 20, perClass: 16, steps: 12 },
  },
  default: { ...smallRecipe, expect: 'under ten minutes on two cores with TensorFlow' },
  // The released configuration for VOC 2007 and 2012 (caffe/ssd_pascal.py): batch 128, rate 0.05, drops at 40k, 75k and 90k.
  paper: {
    ...smallRecipe,
    expect: 'the published size, for a GPU and Pascal VOC or COCO; it has not been run',
    trainImages: 1e6, // all
    testImages: 1e6,
    sceneSize: 300,
    inputSize: 300,
    widths: undefined,
    blocks: undefined,
    finestStride: 8,
    batchSize: 128,
    steps: 100_000,
    warmupSteps: 0,
    drops: [0.4, 0.75, 0.9],
    std: [1, 1, 1],
    learningRates: [0.001, 0.01, 0.05],
    augmentation: 'ssd',
    pretraining: { classes: 200, perClass: 64, steps: 20_000, batchSize: 128, learningRate: 0.1 },
  },
};

/** The published size on COCO, as the released Caffe code trains it: drops of the rate at 150k, 250k, 310k and 320k of 325k steps. */
export const scratchDetCocoRecipe: ScratchDetRecipe = {
  ...scratchDetRecipes.paper,
  anchors: 'coco',
  steps: 325_000,
  drops: [150 / 325, 250 / 325, 310 / 325, 320 / 325],
};

const base = {
  images: 'headline',
  trunk: 'vgg16',
  batchNorm: 'backbone',
  extras: 'convolutional',
  length: 1,
  pretrained: false,
} as const;

/** The runs of each study of the notebook; one that two of them need is in both. */
export interface ScratchDetStudies {
  /** Batch norm by learning rate. */
  readonly norm: readonly ScratchDetArm[];
  /** The four stems, on small objects. */
  readonly stem: readonly ScratchDetArm[];
  /** Convolutional and residual extra layers. */
  readonly extras: readonly ScratchDetArm[];
  /** From scratch, for as long and for twice as long, and from a pretrained trunk. */
  readonly pretraining: readonly ScratchDetArm[];
}

/** The arms of a recipe, study by study. */
export function scratchDetStudies({
  learningRates,
}: Pick<ScratchDetRecipe, 'learningRates'>): ScratchDetStudies {
  const [, middle] = learningRates;
  const norms: readonly BatchNormPlacement[] = ['none', 'backbone', 'head', 'both'];
  const normArm = (batchNorm: BatchNormPlacement, learningRate: number): ScratchDetArm => ({
    ...base,
    name: `norm-${batchNorm}-${learningRate}`,
    batchNorm,
    learningRate,
  });
  // Longer, since small objects take longer to find.
  const residual = { ...base, images: 'small', learningRate: middle, length: 1.75 } as const;
  const stem = (trunk: ScratchDetTrunk): ScratchDetArm => ({ ...residual, name: `stem-${trunk}`, trunk });
  const root = stem('root-resnet18');
  const scratch = normArm('backbone', middle);
  return {
    norm: norms.flatMap((batchNorm) => learningRates.map((rate) => normArm(batchNorm, rate))),
    stem: [stem('resnet18'), stem('resnet18-a'), stem('resnet18-b'), root],
    extras: [root, { ...root, name: 'extras-residual', extras: 'residual' }],
    pretraining: [
      scratch,
      { ...scratch, name: 'scratch-long', length: 2 },
      { ...scratch, name: 'pretrained', pretrained: true },
    ],
  };
}

/** Every arm of a recipe once. */
export function scratchDetArms(recipe: Pick<ScratchDetRecipe, 'learningRates'>): ScratchDetArm[] {
  const { norm, stem, extras, pretraining } = scratchDetStudies(recipe);
  return eachArmOnce([norm, stem, extras, pretraining]);
}
