/**
 * ScratchDet: Training Single-Shot Object Detectors from Scratch (Zhu et al., CVPR 2019, arXiv 1810.08425): what it published,
 * and the recipes of the notebook that reproduces it.
 */
import { type AnchorSet, gridAnchors, ssdAnchors } from '../boxes/anchors';
import { ssd300Voc } from '../boxes/ssd-presets';
import type { SceneDifficultyName } from '../data/scenes/difficulty';
import { Ssd, ssd300Config, type SsdConfig } from '../models/ssd';
import { createSsdDetector, type SsdDetector } from '../models/ssd-detector';
import { createRandom } from '../tensor/random';
import type { ByProfile } from './profile';
import type { PublishedNumber } from './published';

/** Where batch normalisation stands in the detector. */
export type NormPlacement = 'none' | 'backbone';

const account = 'account of the paper by its first author';

/** VOC 2007 test mAP of SSD300 trained from scratch on VOC 2007 and 2012, by placement of batch norm and learning rate. */
export const scratchDetPublished: Readonly<
  Record<NormPlacement, readonly { learningRate: number; map: PublishedNumber }[]>
> = {
  none: [
    { learningRate: 0.001, map: { value: 67.6, confidence: 'paper', source: account } },
    {
      learningRate: 0.01,
      map: { value: null, confidence: 'unverified', source: 'table of batch norm and learning rate' },
    },
    {
      learningRate: 0.05,
      map: { value: null, confidence: 'unverified', source: 'table of batch norm and learning rate' },
    },
  ],
  backbone: [
    { learningRate: 0.001, map: { value: 72.8, confidence: 'paper', source: account } },
    { learningRate: 0.01, map: { value: 77.8, confidence: 'paper', source: account } },
    {
      learningRate: 0.05,
      map: { value: 78.0, confidence: 'secondary', source: 'a reader’s note on the paper' },
    },
  ],
};

/** One run of the experiment. */
export interface ScratchDetArm {
  readonly name: string;
  readonly norm: NormPlacement;
  readonly learningRate: number;
}

/** Everything that fixes the notebook's experiment. */
export interface ScratchDetRecipe {
  /** What a reader may expect of this size, in time and in meaning. */
  readonly expect: string;
  readonly difficulty: SceneDifficultyName;
  /** Images to train and to test on; of a folder at most so many. */
  readonly trainImages: number;
  readonly testImages: number;
  /** Side of the scenes as rendered, pixels: larger than the network's input, so that drawings of the results are sharp. */
  readonly sceneSize: number;
  /** The detector, less its number of classes and its normalisation, which the data and the arm decide. */
  readonly network: Omit<SsdConfig, 'classes' | 'batchNorm'>;
  readonly batchSize: number;
  readonly steps: number;
  /** Steps over which the rate climbs from a tenth of its value to the whole. */
  readonly warmupSteps: number;
  /** Steps at which the rate drops to a tenth. */
  readonly milestones: readonly number[];
  readonly momentum: number;
  readonly weightDecay: number;
  /** Colour that is subtracted, RGB from 0 to 255, and what the rest is divided by. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  readonly arms: readonly ScratchDetArm[];
}

/** SSD's plan at a sixth of its width: detection maps of 24, 12, 6, 3 and 1 cells a side. */
const smallNetwork: ScratchDetRecipe['network'] = {
  inputSize: 96,
  backbone: { stages: [[16], [32], [64, 64], [96, 96]] },
  taps: [2, 3],
  extras: [
    { squeeze: 48, channels: 96, stride: 2, padding: 1 },
    { squeeze: 48, channels: 96, stride: 2, padding: 1 },
    { squeeze: 48, channels: 96, stride: 1, padding: 0 },
  ],
  anchorsPerCell: [4, 6, 6, 6, 4],
};

const defaultRecipe: ScratchDetRecipe = {
  expect: 'about seven minutes on two cores with TensorFlow', // measured: 6:27, and 8:59 on a busier machine
  difficulty: 'headline',
  trainImages: 2000,
  testImages: 300,
  sceneSize: 192,
  network: smallNetwork,
  batchSize: 16,
  steps: 600,
  // The paper's code has none: 10 of 100,000 steps would be lost in it, 20 of 600 keep the first ones from blowing up.
  warmupSteps: 20,
  milestones: [480],
  momentum: 0.9, // the paper's
  weightDecay: 5e-4, // the paper's
  mean: [123, 117, 104], // SSD's
  std: [58, 58, 58], // departure: SSD only subtracts the mean; without it, values reach 150 and the arms without batch norm blow up
  arms: [
    { name: 'no batch norm, rate 0.01', norm: 'none', learningRate: 0.01 },
    { name: 'batch norm, rate 0.01', norm: 'backbone', learningRate: 0.01 },
    { name: 'no batch norm, rate 0.1', norm: 'none', learningRate: 0.1 },
    { name: 'batch norm, rate 0.1', norm: 'backbone', learningRate: 0.1 },
  ],
};

/** The notebook's recipes, by profile. */
export const scratchDetRecipes: ByProfile<ScratchDetRecipe> = {
  // Seconds, not minutes: enough to see which arms learn, not how far they get.
  quick: {
    ...defaultRecipe,
    // Measured: 1:05 with TensorFlow, 2:52 on wasm.
    expect: 'about a minute on two cores; a check that everything runs, the detectors barely begin to learn',
    trainImages: 600,
    testImages: 96,
    network: { ...smallNetwork, inputSize: 80 },
    steps: 100,
    milestones: [80],
  },
  default: defaultRecipe,
  // The released configuration for VOC 2007 and 2012 (caffe/ssd_pascal.py): batch 128, rate 0.05, drops at 40k, 75k and 90k.
  paper: {
    ...defaultRecipe,
    expect: 'the published size, for a GPU and Pascal VOC; it has not been run',
    trainImages: 16551,
    testImages: 4952,
    sceneSize: 300,
    network: ssd300Config(20, { backbone: true, head: false }),
    batchSize: 128,
    steps: 100_000,
    warmupSteps: 0,
    milestones: [40_000, 75_000, 90_000],
    std: [1, 1, 1],
    arms: [
      { name: 'no batch norm, rate 0.001', norm: 'none', learningRate: 0.001 },
      { name: 'batch norm, rate 0.001', norm: 'backbone', learningRate: 0.001 },
      { name: 'batch norm, rate 0.05', norm: 'backbone', learningRate: 0.05 },
    ],
  },
};

/** The recipe's anchors: SSD300's own at its size, the same rule for other maps. */
export function scratchDetAnchors(
  network: ScratchDetRecipe['network'],
  mapSizes: readonly number[],
): AnchorSet {
  const { inputSize, anchorsPerCell } = network;
  if (inputSize === 300) return ssdAnchors(ssd300Voc);
  return gridAnchors({
    imageWidth: inputSize,
    imageHeight: inputSize,
    maps: mapSizes.map((size) => [size, size]),
    scales: [0.15, 0.9],
    ratios: anchorsPerCell.map((count) => (count === 6 ? [2, 3] : [2])),
  });
}

/** The detector of one arm, its weights drawn from `seed`: arms of the same seed and placement start equal. */
export function buildScratchDet(
  recipe: ScratchDetRecipe,
  norm: NormPlacement,
  classes: number,
  seed: number,
): SsdDetector {
  const model = new Ssd(
    { ...recipe.network, classes, batchNorm: { backbone: norm === 'backbone', head: false } },
    createRandom(`scratchdet/${seed}`),
  );
  return createSsdDetector(model, scratchDetAnchors(recipe.network, model.mapSizes()));
}
