/** The recipes of the notebook that reproduces DetNAS, and of its evidence: one experiment at three sizes. */
import { type DetNasSize, detNasSizes } from '../../models/backbones/detnas';
import type { EvolutionSettings } from '../../search/candidates';
import { type CostBins, detNasBins } from '../../search/sample-paths';
import { type DataRecipe, threeClassScenes } from '../experiment-data';
import type { PretrainingRecipe } from '../pretraining';
import type { ByProfile } from '../profile';
import { detNasEvolution, detNasLimit } from './evolution';
import type { DetNasDetectorKind, DetNasPlan } from './networks';

/** The training of a detector, be it on a supernet or on one network. */
export interface DetNasTraining {
  /** Updates. */
  readonly steps: number;
  readonly batchSize: number;
  /** RetinaNet's is half of FPN's in the paper. */
  readonly learningRate: Readonly<Record<DetNasDetectorKind, number>>;
  /** Shares of the updates after which the rate is divided by 10. */
  readonly drops: readonly number[];
}

/** Everything that fixes the experiment, beside the data. */
export interface DetNasRecipe
  extends DataRecipe, Pick<PretrainingRecipe, 'mean' | 'std' | 'momentum' | 'weightDecay' | 'compile'> {
  /** What a reader may expect of this size, in time and in meaning. */
  readonly expect: string;
  /** Of the training images those that candidates are compared on: nothing is trained on them before the search is over. */
  readonly searchImages: number;
  readonly size: DetNasSize;
  readonly plan: DetNasPlan;
  /** Multiply-adds that a candidate's trunk may have, and the side of the input that they are counted at. */
  readonly limit: { readonly multiplyAdds: number; readonly inputSize: number };
  /** The first step: the supernet as a classifier. */
  readonly pretraining: PretrainingRecipe['pretraining'] & {
    /** Ranges of multiply-adds that its paths are drawn from; left out: all paths alike. */
    readonly bins?: CostBins;
    /** It has been done: the supernet's file lies in data/weights, one for all seeds, as the paper has one. */
    readonly shipped?: true;
  };
  /** The second: the supernet as a detector. */
  readonly supernet: DetNasTraining;
  /** The third. */
  readonly evolution: EvolutionSettings;
  /** Batches that a path's statistics are measured on, and the images of each. */
  readonly recalibration: { readonly batches: number; readonly batchSize: number };
  /** The last: a network on its own, as a classifier for so many steps, then as a detector. */
  readonly alone: { readonly pretrainingSteps: number; readonly training: DetNasTraining };
  /** Paths that are trained on their own, too, to see whether the supernet ranks them rightly. */
  readonly ranked: number;
  readonly warmupSteps: number;
  /** Longest gradient, L2. Left out: not clipped. */
  readonly clipNorm?: number;
}

const coco: DetNasTraining = {
  steps: 90_000,
  batchSize: 16,
  learningRate: { fpn: 0.02, retinanet: 0.01 },
  drops: [60 / 90, 80 / 90],
};

const smallTraining: DetNasTraining = {
  steps: 1500,
  batchSize: 16,
  learningRate: { fpn: 0.1, retinanet: 0.1 },
  drops: coco.drops,
};

/** Eight blocks of four choices: 65,536 networks. */
const smallRecipe: Omit<DetNasRecipe, 'expect'> = {
  difficulty: threeClassScenes, // a few hundred updates need easy ones
  trainImages: 1128,
  testImages: 200,
  searchImages: 128,
  sceneSize: 192,
  size: { stem: 8, widths: [16, 32, 64, 128], blocks: [2, 2, 2, 2], last: 128 },
  plan: {
    inputSize: 64,
    channels: 32,
    features: 64,
    pooled: 4,
    headDepth: 2,
    small: {
      anchors: { fpn: [0.12, 0.22, 0.36, 0.54, 0.76], retinanet: [0.15, 0.3, 0.5, 0.7, 0.9] },
      ratios: [0.6, 1, 1.6],
    },
  },
  // As far from the cheapest to the dearest network as 300 million are in the paper's space.
  limit: { multiplyAdds: 1_050_000, inputSize: 64 },
  pretraining: { classes: 50, perClass: 64, steps: 12_000, batchSize: 32, learningRate: 0.05, shipped: true },
  supernet: smallTraining,
  evolution: {
    population: 20,
    parents: 6,
    generations: 8,
    mutants: 8,
    mutationProbability: 0.2, // of 8 blocks; the paper's 0.1 is of 20
    crossovers: 8,
  },
  recalibration: { batches: 12, batchSize: 16 },
  // As a classifier long enough to be worth it: after 500 steps the detector is no better than from random weights.
  alone: { pretrainingSteps: 3000, training: smallTraining },
  ranked: 8,
  warmupSteps: 40,
  mean: [123, 117, 104],
  std: [58, 58, 58],
  momentum: 0.9,
  weightDecay: 4e-5,
  clipNorm: 10,
  compile: true,
};

/** The recipes, by profile. */
export const detNasRecipes: ByProfile<DetNasRecipe> = {
  // Seconds, not minutes: enough to see that everything runs, not how far it gets.
  quick: {
    ...smallRecipe,
    expect: 'about a minute on two cores; a check that everything runs, the detectors barely begin to learn',
    trainImages: 96,
    testImages: 32,
    searchImages: 32,
    sceneSize: 128,
    size: { ...smallRecipe.size, blocks: [1, 1, 1, 1] },
    limit: { multiplyAdds: 800_000, inputSize: 64 },
    pretraining: { classes: 10, perClass: 16, steps: 6, batchSize: 32, learningRate: 0.05 },
    supernet: { ...smallTraining, steps: 6 },
    evolution: {
      ...smallRecipe.evolution,
      population: 6,
      parents: 3,
      generations: 3,
      mutants: 2,
      crossovers: 2,
    },
    recalibration: { batches: 2, batchSize: 16 },
    alone: { pretrainingSteps: 4, training: { ...smallTraining, steps: 4 } },
    ranked: 3,
    warmupSteps: 2,
    compile: false,
  },
  default: { ...smallRecipe, expect: 'under ten minutes on two cores with TensorFlow' },
  // The small space on COCO, as released. ImageNet's part needs a classifier's data set of one's own.
  paper: {
    ...smallRecipe,
    expect: 'the published sizes, for a GPU and COCO; it has not been run',
    trainImages: 1e6, // all
    testImages: 1e6,
    searchImages: 5000,
    sceneSize: 800,
    size: detNasSizes.small,
    plan: { inputSize: 800, channels: 256, features: 1024, pooled: 7, headDepth: 4 },
    limit: { multiplyAdds: detNasLimit, inputSize: 224 },
    pretraining: {
      classes: 1000,
      perClass: 1281,
      steps: 300_000,
      batchSize: 1024,
      learningRate: 0.5,
      bins: detNasBins,
    },
    supernet: coco,
    evolution: detNasEvolution,
    recalibration: { batches: 500, batchSize: 16 },
    alone: { pretrainingSteps: 300_000, training: coco },
    warmupSteps: 500,
    mean: [0, 0, 0],
    std: [1, 1, 1],
    clipNorm: undefined,
  },
};
