/** The recipes that the authors of the paper on frozen trunks released (arXiv 2204.00484): schedules, rates, settings. */
import type { Confidence, PublishedNumber } from '../published';

/** Where the rate drops. */
export interface FrozenDrop {
  readonly epoch: number;
  readonly step: number;
}

/** Batch, length and rates of a released configuration. */
export interface FrozenReleasedRecipe {
  readonly detector: 'Faster R-CNN' | 'RetinaNet';
  readonly epochs: 72 | 600;
  readonly batchSize: number;
  readonly steps: number;
  /** As released; the long schedules name none, and count the images of an epoch exactly. */
  readonly stepsPerEpoch: number | undefined;
  /** After the warm-up, and after each drop. */
  readonly rates: readonly [number, number, number];
  readonly drops: readonly [FrozenDrop, FrozenDrop];
  /** Side of the input, pixels. */
  readonly inputSize: number;
  readonly confidence: Confidence;
  readonly source: string;
}

const common = {
  confidence: 'paper',
  source: 'tensorflow/models, official/projects/backbone_reuse/configs/experiments',
} as const;
const fasterRcnn = {
  ...common,
  detector: 'Faster R-CNN',
  batchSize: 64,
  rates: [0.16, 0.016, 0.0016],
  // the cascades' is 1280
  inputSize: 1024,
} as const;
const retinaNet = {
  ...common,
  detector: 'RetinaNet',
  batchSize: 256,
  rates: [0.32, 0.032, 0.0032],
  inputSize: 640,
} as const;

function drops(
  ...[first, second]: [readonly [number, number], readonly [number, number]]
): [FrozenDrop, FrozenDrop] {
  return [
    { epoch: first[0], step: first[1] },
    { epoch: second[0], step: second[1] },
  ];
}

/**
 * The released configurations: the paper's short and long schedule. After the short one more upstream images help fine-tuning, too;
 * after the long one the frozen trunk alone (another review of the paper).
 */
export const frozenReleasedRecipes: readonly FrozenReleasedRecipe[] = [
  {
    ...fasterRcnn,
    epochs: 72,
    steps: 133_056,
    stepsPerEpoch: 1848,
    drops: drops([48, 88_704], [68, 125_664]),
  },
  {
    ...fasterRcnn,
    epochs: 600,
    steps: 1_108_940,
    stepsPerEpoch: undefined,
    drops: drops([575, 1_062_734], [590, 1_090_458]),
  },
  {
    ...retinaNet,
    epochs: 72,
    steps: 33_264,
    stepsPerEpoch: 462,
    drops: drops([48, 22_176], [68, 31_416]),
  },
  {
    ...retinaNet,
    epochs: 600,
    steps: 277_235,
    stepsPerEpoch: undefined,
    drops: drops([575, 265_684], [590, 272_615]),
  },
];

/** How surely a group of settings is known, and from where. */
interface Sourced {
  readonly confidence: Confidence;
  readonly source: string;
}

const inherited: Sourced = { confidence: 'paper', source: 'tensorflow/models, official/vision/configs' };

/** What all released configurations have in common. */
export interface FrozenReleasedCommon extends Sourced {
  readonly trunk: string;
  /** Share of the channels that squeeze-and-excitation squeezes to. */
  readonly squeezeExcitation: number;
  /** Of pyramid and heads. */
  readonly activation: string;
  /** Pictures are scaled between these two and flipped from left to right. */
  readonly scaleJitter: readonly [from: number, to: number];
  /** Of NAS-FPN: strides 2^3 to 2^7. */
  readonly levels: readonly [finest: number, coarsest: number];
}

/** What all released configurations have in common. */
export const frozenReleasedCommon: FrozenReleasedCommon = {
  ...common,
  trunk: 'ResNet-RS-101',
  squeezeExcitation: 0.25,
  activation: 'swish',
  scaleJitter: [0.1, 2],
  levels: [3, 7],
};

/** What the Faster R-CNN configurations have, most of it inherited from the library's own. */
export interface FrozenReleasedFasterRcnn extends Sourced {
  readonly optimizer: 'SGD';
  readonly momentum: number;
  /** L2. */
  readonly weightDecay: number;
  /** Linear, from this rate. */
  readonly warmup: { readonly steps: number; readonly from: number };
  /** Synchronised over the devices; what it keeps of its statistics a step. Of a frozen trunk it is not used. */
  readonly batchNorm: { readonly momentum: number; readonly epsilon: number };
  readonly proposalIou: { readonly positive: number; readonly negative: number };
  readonly anchorSample: { readonly size: number; readonly positiveFraction: number };
  readonly regionSample: { readonly size: number; readonly positiveFraction: number };
  readonly boxHead: {
    readonly convolutions: number;
    readonly filters: number;
    readonly fullyConnected: number;
    readonly features: number;
  };
  readonly detection: {
    readonly iouThreshold: number;
    readonly scoreThreshold: number;
    readonly maxOutput: number;
  };
  /** IoU of each stage, side of the input; one box for all classes, and the stages' class probabilities put together. */
  readonly cascade: { readonly ious: readonly number[]; readonly inputSize: number };
}

/** What the Faster R-CNN configurations have beside their schedules. */
export const frozenReleasedFasterRcnn: FrozenReleasedFasterRcnn = {
  ...inherited,
  optimizer: 'SGD',
  momentum: 0.9,
  weightDecay: 4e-5,
  warmup: { steps: 500, from: 0.0067 },
  batchNorm: { momentum: 0.997, epsilon: 1e-4 },
  proposalIou: { positive: 0.7, negative: 0.3 },
  anchorSample: { size: 256, positiveFraction: 0.5 },
  regionSample: { size: 512, positiveFraction: 0.25 },
  boxHead: { convolutions: 4, filters: 256, fullyConnected: 2, features: 1024 },
  detection: { iouThreshold: 0.5, scoreThreshold: 0.05, maxOutput: 100 },
  cascade: { ious: [0.5, 0.7, 0.8], inputSize: 1280 },
};

/** What the RetinaNet configurations inherit; their optimiser and warm-up were not read. */
export interface FrozenReleasedRetinaNet extends Sourced {
  /** L2. */
  readonly weightDecay: number;
  readonly focal: { readonly alpha: number; readonly gamma: number };
  /** Where the box loss' parabola meets the line. */
  readonly huberDelta: number;
  /** Of the box loss. */
  readonly boxWeight: number;
  readonly head: { readonly convolutions: number; readonly filters: number };
}

/** What the RetinaNet configurations have beside their schedules. */
export const frozenReleasedRetinaNet: FrozenReleasedRetinaNet = {
  ...inherited,
  weightDecay: 1e-4,
  focal: { alpha: 0.25, gamma: 1.5 },
  huberDelta: 0.1,
  boxWeight: 50,
  head: { convolutions: 4, filters: 256 },
};

/** The first rate of Faster R-CNN at 64 images: the release and a review of the paper disagree by a factor of 2. */
export const frozenRateConflict: Readonly<Record<'released' | 'reviewed', PublishedNumber>> = {
  released: { value: fasterRcnn.rates[0], ...common },
  reviewed: { value: 0.08, confidence: 'secondary', source: 'another review of the paper' },
};
