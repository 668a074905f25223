/**
 * What "Proper Reuse of Image Classification Features Improves Object Detection" published (Vasconcelos, Birodkar and Dumoulin, CVPR
 * 2022, arXiv 2204.00484), with how surely each number is known, most of it from a review of the paper; see `released.ts` for its recipes.
 * All of table 1, the detectors and schedules one by one, was not found.
 */
import type { Confidence, PublishedNumber } from '../published';

const review = 'review of the paper, in Korean';
const translation = 'translation of the paper’s text, which ends before the tables';

function cell(value: number, source: string = review, confidence: Confidence = 'secondary'): PublishedNumber {
  return { value, confidence, source };
}

/** How many images there are: upstream to classify, downstream to detect. */
export const frozenDataSets: Readonly<Record<'imageNet' | 'jft300m' | 'coco' | 'lvis', PublishedNumber>> = {
  imageNet: cell(1_200_000, translation, 'paper'),
  jft300m: cell(300_000_000, translation, 'paper'),
  coco: cell(118_000, translation, 'paper'),
  // "about"
  lvis: cell(100_000, translation, 'paper'),
};

/** Pyramid and head of a Faster R-CNN. */
export type FrozenDetectorParts = 'FPN' | 'NAS-FPN' | 'NAS-FPN + Cascade';

/** A row of table 3. */
export interface FrozenTable3Row {
  readonly parts: FrozenDetectorParts;
  /** Of the whole detector, millions. */
  readonly parameters: PublishedNumber;
  /** Share of them that is trained when the trunk is frozen, 0 to 1. */
  readonly trainableShare: PublishedNumber;
  /** COCO mAP with the trunk frozen, less that with it fine-tuned. */
  readonly delta: PublishedNumber;
}

function table3(
  parts: FrozenDetectorParts,
  parameters: number,
  share: number,
  delta: number,
): FrozenTable3Row {
  const of = (value: number): PublishedNumber => cell(value, `${review}: table 3`);
  return { parts, parameters: of(parameters), trainableShare: of(share), delta: of(delta) };
}

/** Table 3, ResNet-101: the more of a detector is trained behind the frozen trunk, the better freezing does. */
export const frozenTable3: readonly FrozenTable3Row[] = [
  table3('FPN', 83.5, 0.261, -6.5),
  table3('NAS-FPN', 102.6, 0.399, 0.1),
  table3('NAS-FPN + Cascade', 132.9, 0.536, 0.7),
];

/** What is not trained in any row of table 3, millions of parameters: one trunk. */
export const frozenTrunkParameters: PublishedNumber = cell(61.7, 'table 3', 'arithmetic');

/** The trained share from which freezing begins to help; the reviewer's reading of table 3. */
export const frozenHelpfulShare: PublishedNumber = cell(0.4);

/** What a row of the result tables measures; `rare` are LVIS' classes with the fewest images. */
export type FrozenMetric = 'box mAP' | 'box AP50' | 'mask mAP' | 'rare box mAP' | 'rare mask mAP';

/** One network, its trunk fine-tuned and frozen. */
export interface FrozenResult {
  readonly network: string;
  /** What the trunk has learnt to classify; `undefined` where the source does not say. */
  readonly upstream: 'ImageNet' | 'JFT-300M' | undefined;
  readonly metric: FrozenMetric;
  readonly fineTuned: PublishedNumber;
  readonly frozen: PublishedNumber;
  /** Frozen, with residual adapters; `undefined` where it was not tried or not found. */
  readonly adapted?: PublishedNumber;
}

function results(
  network: string,
  upstream: FrozenResult['upstream'],
  rows: readonly (readonly [metric: FrozenMetric, fineTuned: number, frozen: number, adapted?: number])[],
): FrozenResult[] {
  return rows.map(([metric, fineTuned, frozen, adapted]) => ({
    network,
    upstream,
    metric,
    fineTuned: cell(fineTuned),
    frozen: cell(frozen),
    ...(adapted === undefined ? {} : { adapted: cell(adapted) }),
  }));
}

/**
 * COCO. The review prints EfficientNet-B7's second row under a heading AP50. Lower than the mAP of the same boxes, it cannot be that: it
 * is read as the mAP of masks here.
 */
export const frozenCoco: readonly FrozenResult[] = [
  ...results('ResNet-101 + NAS-FPN + Cascade', 'JFT-300M', [
    ['box mAP', 51.1, 52.8, 53.6],
    ['box AP50', 69.0, 71.1, 72.0],
  ]),
  ...results('EfficientNet-B7 + NAS-FPN + Cascade, 1280 pixels, Copy-Paste', 'ImageNet', [
    ['box mAP', 55.9, 57.0],
    ['mask mAP', 47.2, 48.7],
  ]),
];

/** LVIS 1.0; `fineTuned` is what the source calls the baseline. */
export const frozenLvis: readonly FrozenResult[] = results(
  'EfficientNet-B7 + NAS-FPN + Cascade, 1280 pixels, Copy-Paste',
  undefined,
  [
    ['box mAP', 41.6, 43.1],
    ['mask mAP', 38.1, 39.9],
    ['rare box mAP', 31.5, 33.2],
    ['rare mask mAP', 32.1, 33.6],
  ],
);

/** Table 1: frozen JFT-300M trunks over frozen ImageNet trunks, mAP, about, over the architectures. */
export const frozenJftGain: PublishedNumber = cell(0.9, `${review}: table 1`);

/** Table 6: what freezing gains on small objects, mAP, from and to; on larger ones it gains more. */
export const frozenSmallObjectGain: readonly [from: PublishedNumber, to: PublishedNumber] = [
  cell(0.2, `${review}: table 6`),
  cell(0.7, `${review}: table 6`),
];

/** Figure 1: a training step of ResNet-101 + NAS-FPN + Cascade, thousand millions of operations, about. Memory falls, too. */
export const frozenStepOperations: Readonly<Record<'fineTuned' | 'frozen', PublishedNumber>> = {
  fineTuned: cell(5000, `${review}: figure 1`),
  frozen: cell(3500, `${review}: figure 1`),
};
