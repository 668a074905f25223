/** The recipes of the notebook that reproduces EfficientDet, and of its evidence: one experiment at three sizes. */
import type { FusionMethod } from '../../models/necks/fusion';
import type { NeckGraphName } from '../../models/necks/neck-graphs';
import { type DataRecipe, threeClassScenes } from '../experiment-data';
import type { PretrainingRecipe } from '../pretraining';
import type { ByProfile } from '../profile';
import { shippedResNet, type ShippedTrunk } from '../shipped-trunks';
import { efficientDets, type EfficientDetPlan } from './networks';
import { efficientDetPlan, trunkScaling } from './scaling';
import { eachArmOnce } from '../study-parts';

/** The dimensions that are scaled in figure 6, as far as an arm has others than the recipe's plan. */
export type EfficientDetSize = Partial<
  Pick<EfficientDetPlan, 'inputSize' | 'channels' | 'cells' | 'headDepth'>
>;

/** One run of the experiment, as plain values. */
export interface EfficientDetArm {
  /** Unique, and the name of its files. */
  readonly name: string;
  /** Of the swaps: the paper's own, or the one that it replaces. */
  readonly trunk: ShippedTrunk;
  readonly neck: NeckGraphName;
  readonly fusion: FusionMethod;
  readonly size: EfficientDetSize;
  /** What pictures are scaled by in training, uniformly between these two; `null`: not at all. */
  readonly jitter: readonly [from: number, to: number] | null;
  /** Times the recipe's steps. */
  readonly length: number;
  /** Trained by SGD at this rate, whatever the recipe's optimiser; `null`: by the recipe. */
  readonly sgd: number | null;
}

/** Everything that fixes the experiment, beside the data. */
export interface EfficientDetRecipe extends DataRecipe, Omit<PretrainingRecipe, 'momentum' | 'weightDecay'> {
  /** What a reader may expect of this size, in time and in meaning. */
  readonly expect: string;
  /** The network that all arms vary. */
  readonly plan: EfficientDetPlan;
  /** Channels of the ResNet's four stages, and residual blocks of each; left out, ResNet-50. */
  readonly resnet?: { readonly widths: readonly number[]; readonly blocks: readonly number[] };
  /** Scales of figure 6: each costs about as many multiply-adds, whatever it scales. */
  readonly scales: Readonly<Record<EfficientDetScaleName, EfficientDetSize>>;
  readonly batchSize: number;
  readonly steps: number;
  /** Steps over which the rate climbs from a tenth of its value to the whole. */
  readonly warmupSteps: number;
  readonly optimizer: 'sgd' | 'adamw';
  readonly learningRate: number;
  /** Of the arm that is trained by SGD whatever `optimizer` says. */
  readonly sgdRate: number;
  readonly momentum: number;
  /** Of AdamW; SGD has the paper's 4e-5. */
  readonly weightDecay: number;
  /** The gradient is shortened to this length. */
  readonly clipNorm: number;
  /** Decay of the weights' moving average, which is what is evaluated; left out, the weights themselves are. */
  readonly averageDecay?: number;
  /** The ranges of scale jitter that are compared. */
  readonly jitter: Readonly<Record<'mild' | 'wide', readonly [from: number, to: number]>>;
  /** Whether the trunks begin with what the shipped ones learnt as classifiers; they must be of the same sizes. */
  readonly pretrained: boolean;
}

/** What is scaled: one dimension alone, or all together. */
export type EfficientDetScaleName = 'resolution' | 'channels' | 'cells' | 'head' | 'joint';

// The running statistics of a run of a few hundred steps must follow faster than the published 0.99.
const norm = { epsilon: 1e-3, momentum: 0.9 } as const;

/** By the rule at phi = -2, with a trunk of phi = -8 and heads of phi = -4, at 96 pixels (phi = -3.25), where P7 has one cell. */
const smallPlan: EfficientDetPlan = {
  ...efficientDetPlan(-2, { cells: -1, headDepth: -4 }),
  trunk: { ...trunkScaling(-8), norm },
  norm,
  inputSize: 96,
  // A side of 16 pixels at the finest level: 512 / 96 times smaller than D0's would be 6.
  anchorScale: 2,
  redundantBias: false,
};

const smallRecipe: Omit<EfficientDetRecipe, 'expect'> = {
  // Focal loss learns slowly, so that a short run needs easy scenes; sizes over nearly three octaves, since levels are what is studied.
  difficulty: threeClassScenes,
  trainImages: 1200,
  testImages: 200,
  sceneSize: 192,
  plan: smallPlan,
  resnet: { widths: shippedResNet.widths, blocks: shippedResNet.blocks },
  scales: {
    resolution: { inputSize: 112 },
    channels: { channels: 68 },
    cells: { cells: 16 },
    head: { headDepth: 10 },
    joint: { inputSize: 100, channels: 40, cells: 3 },
  },
  batchSize: 16,
  steps: 150,
  compile: true,
  warmupSteps: 20,
  optimizer: 'adamw', // departure: SGD, the paper's, learns more slowly in so few steps; an arm shows by how much
  learningRate: 0.02,
  sgdRate: 0.4, // the best of 0.15, 0.4 and 1.2
  momentum: 0.9,
  weightDecay: 0.01,
  clipNorm: 10, // the release's
  jitter: { mild: [0.8, 1.2], wide: [0.1, 2] }, // two of the paper's
  mean: [123, 117, 104],
  std: [58, 58, 58],
  pretrained: true,
  pretraining: { classes: 200, perClass: 64, steps: 3000, batchSize: 64, learningRate: 0.1 },
};

/** The recipes, by profile. */
export const efficientDetRecipes: ByProfile<EfficientDetRecipe> = {
  // Seconds, not minutes: enough to see that everything runs, not how far it gets.
  quick: {
    ...smallRecipe,
    expect: 'about a minute on two cores; a check that everything runs, the detectors barely begin to learn',
    trainImages: 240,
    testImages: 48,
    sceneSize: 128,
    plan: { ...smallPlan, inputSize: 64 },
    scales: {
      resolution: { inputSize: 80 },
      channels: { channels: 72 },
      cells: { cells: 6 },
      head: { headDepth: 4 },
      joint: { inputSize: 72, channels: 40 },
    },
    steps: 6,
    compile: false,
    warmupSteps: 2,
  },
  default: { ...smallRecipe, expect: 'under ten minutes on two cores with TensorFlow' },
  // D0 as released: batch 128, 300 epochs of COCO's 118,287 images, rate 0.16 with a warm-up of one epoch and a cosine.
  paper: {
    ...smallRecipe,
    expect: 'D0 at its published size, for a GPU and COCO; it has not been run',
    trainImages: 1e6, // all
    testImages: 1e6,
    sceneSize: 512,
    plan: efficientDets.d0,
    resnet: undefined,
    scales: {
      resolution: { inputSize: 640 },
      channels: { channels: 112 },
      cells: { cells: 13 },
      head: { headDepth: 6 },
      joint: { inputSize: 576, channels: 72, cells: 4 },
    },
    batchSize: 128,
    steps: 300 * 924,
    warmupSteps: 924,
    optimizer: 'sgd',
    learningRate: 0.16,
    sgdRate: 0.16,
    averageDecay: 0.9998,
    pretrained: false,
  },
};

/** The runs of each study of the notebook; one that two of them need is in both. */
export interface EfficientDetStudies {
  /** The feature networks of table 5, BiFPN last. */
  readonly neck: readonly EfficientDetArm[];
  /** BiFPN with softmax and with fast fusion (table 6). */
  readonly fusion: readonly EfficientDetArm[];
  /** Trunk and feature network exchanged one after the other (table 4). */
  readonly swap: readonly EfficientDetArm[];
  /** One dimension alone, and all together (figure 6). */
  readonly scaling: readonly EfficientDetArm[];
  /** By SGD, as the paper trains, and by the recipe's optimiser. */
  readonly optimizer: readonly EfficientDetArm[];
  /** Without scale jitter, with a little and with a lot of it, in short runs and in runs twice as long (figure 8). */
  readonly jitter: readonly EfficientDetArm[];
}

/** What of a recipe its arms hang on. */
export type EfficientDetStudyParts = Pick<EfficientDetRecipe, 'plan' | 'scales' | 'jitter' | 'sgdRate'>;

/** The arms of a recipe, study by study. */
export function efficientDetStudies({
  plan,
  scales,
  jitter,
  sgdRate,
}: EfficientDetStudyParts): EfficientDetStudies {
  const base: EfficientDetArm = {
    name: 'bifpn',
    trunk: 'efficientnet',
    neck: 'bifpn',
    fusion: 'fast',
    size: {},
    jitter: null,
    length: 1,
    sgd: null,
  };
  const neck = (name: NeckGraphName): EfficientDetArm => ({ ...base, name, neck: name, fusion: 'sum' });
  const topDown = neck('top-down-fpn');
  const jittered = (['mild', 'wide'] as const).map((range) => ({
    ...base,
    name: `jitter-${range}`,
    jitter: jitter[range],
  }));
  return {
    neck: [
      // The paper repeats it until it costs what FPN+PANet does, which is twice as often.
      { ...topDown, name: 'top-down-fpn-repeated', size: { cells: 2 * plan.cells } },
      neck('panet'),
      neck('nas-fpn'),
      neck('fully-connected-fpn'),
      { ...neck('bifpn'), name: 'bifpn-sum' },
      base,
    ],
    fusion: [{ ...base, name: 'bifpn-softmax', fusion: 'softmax' }, base],
    swap: [{ ...topDown, name: 'resnet-top-down-fpn', trunk: 'resnet' }, topDown, base],
    scaling: [
      base,
      ...(Object.keys(scales) as EfficientDetScaleName[]).map((scale) => ({
        ...base,
        name: `scale-${scale}`,
        size: scales[scale],
      })),
    ],
    optimizer: [{ ...base, name: 'sgd', sgd: sgdRate }, base],
    jitter: [
      base,
      ...jittered,
      ...[base, ...jittered].map((arm) => ({ ...arm, name: `${arm.name}-long`, length: 2 })),
    ],
  };
}

/** Every arm of a recipe once. */
export function efficientDetArms(recipe: EfficientDetStudyParts): EfficientDetArm[] {
  const { neck, fusion, swap, scaling, optimizer, jitter } = efficientDetStudies(recipe);
  return eachArmOnce([neck, fusion, swap, scaling, optimizer, jitter]);
}
