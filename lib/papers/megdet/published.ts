/**
 * What MegDet published (Peng et al., CVPR 2018, arXiv 1711.07240), with how surely each number is known: most of it from reviews and
 * notes on the paper. What is `unverified` must not be quoted as the paper's.
 */
import type { Confidence, PublishedNumber } from '../published';

const review = 'reviews of the paper';
const account = 'account of the paper by its first author';
const memory = 'table of batch sizes, from memory';

function cell(
  value: number | null,
  source: string = review,
  confidence: Confidence = 'secondary',
): PublishedNumber {
  return { value, confidence, source };
}

function unverified(value: number, source: string = memory): PublishedNumber {
  return cell(value, source, 'unverified');
}

/** Faster R-CNN with FPN on ResNet-50 is trained on 2 images a GPU; the largest batch takes 128 GPUs. */
export const megDetImagesPerDevice = 2;

/** Hours of training on so many GPUs, 2 images each: 16 images a batch without trained batch norm, and 256 with it. */
export const megDetTimes: Readonly<Record<8 | 128, PublishedNumber>> = { 8: cell(33.2), 128: cell(4.1) };

/** A row of the paper's comparison of batch sizes. */
export interface PublishedBatch {
  readonly batchSize: number;
  /** `frozen`: the statistics and scales of the ImageNet classifier, not trained ("no BN"); or trained across the devices. */
  readonly batchNorm: 'frozen' | 'cross-device';
  /** The learning rate, as a multiple of what the linear scaling rule gives. */
  readonly rate: 1 | 0.5;
  readonly outcome: 'converges' | 'sometimes fails' | 'converges to less' | 'fails';
  /** COCO val2017 mmAP; `null` where training failed; `undefined` where no source has it. */
  readonly ap: PublishedNumber | undefined;
  /** Hours of training. */
  readonly hours: PublishedNumber | undefined;
}

function batch(
  ...[batchSize, batchNorm, rate, outcome, ap, hours]: [
    PublishedBatch['batchSize'],
    PublishedBatch['batchNorm'],
    PublishedBatch['rate'],
    PublishedBatch['outcome'],
    PublishedBatch['ap']?,
    PublishedBatch['hours']?,
  ]
): PublishedBatch {
  return { batchSize, batchNorm, rate, outcome, ap, hours };
}

/** Batch sizes with and without trained batch norm; all with warm-up. */
export const megDetBatches: readonly PublishedBatch[] = [
  batch(16, 'frozen', 1, 'converges', unverified(36.2), megDetTimes[8]),
  batch(32, 'frozen', 1, 'sometimes fails', unverified(36.4), unverified(15.1)),
  batch(64, 'frozen', 1, 'fails', cell(null)),
  batch(64, 'frozen', 0.5, 'converges to less', unverified(36), unverified(7.5)),
  batch(128, 'frozen', 0.5, 'fails', cell(null)),
  batch(16, 'cross-device', 1, 'converges'),
  batch(32, 'cross-device', 1, 'converges', cell(37.3)),
  batch(64, 'cross-device', 1, 'converges'),
  batch(128, 'cross-device', 1, 'converges'),
  // With the long schedule.
  batch(256, 'cross-device', 1, 'converges', unverified(37.7), megDetTimes[128]),
];

/** COCO val2017 mmAP of 32 images a batch by the schedule; where its rates drop was not found in a source. */
export const megDetPolicies: Readonly<Record<'normal' | 'long', PublishedNumber>> = {
  normal: cell(37.3),
  long: cell(37.8),
};

/** COCO val2017 mmAP of 16 images a batch by the number of images whose batch-norm statistics are pooled. */
export const megDetBnSizes: Readonly<Record<2 | 4 | 8, PublishedNumber>> = {
  2: unverified(31.5, 'table of BN sizes, from memory'),
  4: unverified(34.9, 'table of BN sizes, from memory'),
  8: unverified(35.9, 'table of BN sizes, from memory'),
};

/** The best number of images to pool statistics of: 2, 4 and 8 are clearly worse, 64 is worse again. */
export const megDetBestBnSize: PublishedNumber = cell(32);

/** The learning rate by batch size: the linear scaling rule, with warm-up for the larger. */
export const megDetRates: Readonly<Record<16 | 256, PublishedNumber>> = {
  16: cell(0.02, account, 'paper'),
  256: cell(0.32, account, 'paper'),
};

/** What the learning rate is multiplied by at its three drops. */
export const megDetDrops: readonly PublishedNumber[] = [0.1, 0.1, 0.5].map((factor) =>
  cell(factor, account, 'paper'),
);

/** Side of the input, pixels. */
export const megDetInputSize: PublishedNumber = cell(800, account, 'paper');

/** mmAP of the entry that won COCO 2017: one network with everything added, and four together. */
export const megDetEntry: Readonly<Record<'singleVal' | 'singleTest' | 'ensemble', PublishedNumber>> = {
  singleVal: cell(50.5),
  singleTest: cell(50.6),
  ensemble: cell(52.5, 'abstract', 'paper'),
};

/** COCO mmAP of Faster R-CNN at larger and larger batches, as a later paper (AGVM) has it: plain large batches lose. */
export const laterLargeBatches: Readonly<Record<32 | 256 | 512, PublishedNumber>> = {
  32: cell(37.1, 'Sense-X/AGVM, README.md'),
  256: cell(36.7, 'Sense-X/AGVM, README.md'),
  512: cell(36.2, 'Sense-X/AGVM, README.md'),
};

/** Training with and without recomputation, in the units that a row names. */
export interface PublishedRecomputation {
  readonly name: string;
  /** Of memory. */
  readonly unit: 'MiB' | 'GB';
  readonly memory: PublishedNumber;
  readonly recomputedMemory: PublishedNumber;
  /** Share of a step's time that recomputation adds. */
  readonly extraTime: PublishedNumber;
}

const memonger = 'Lyken17/pytorch-memonger, README.md';
const sublinear = 'Chen et al., arXiv 1604.06174, from memory';

/** What recomputation saved elsewhere. */
export const recomputationPublished: readonly PublishedRecomputation[] = [
  {
    name: 'ResNet-152, 16 images',
    unit: 'MiB',
    memory: cell(5459, memonger),
    recomputedMemory: cell(2455, memonger),
    // 2.93 and 2.63 steps a second
    extraTime: cell(2.93 / 2.63 - 1, memonger),
  },
  {
    name: 'residual network of 1,000 layers',
    unit: 'GB',
    memory: unverified(48, sublinear),
    recomputedMemory: unverified(7, sublinear),
    extraTime: unverified(0.3, sublinear),
  },
];
