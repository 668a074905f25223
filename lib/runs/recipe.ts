/** How the small detectors are trained unless told otherwise. */
import { expand, iouCrop } from '../data/transforms/crop';
import { flipHorizontal, resize } from '../data/transforms/geometric';
import { photometricDistortion } from '../data/transforms/photometric';
import { compose, type Transform } from '../data/transforms/transform';
import type { DetectionDataset } from '../data/types';
import type { SmallDetectorName } from '../models/small-detectors';

/** Everything that fixes a run, beside the data. */
export interface Recipe {
  readonly detector: SmallDetectorName;
  /** Of the network's input, pixels. */
  readonly width: number;
  readonly height: number;
  readonly batchSize: number;
  readonly steps: number;
  /** Highest learning rate: reached after a linear warm-up of `warmupSteps`, then lowered by half a cosine to 0. */
  readonly rate: number;
  readonly warmupSteps: number;
  readonly momentum: number;
  readonly weightDecay: number;
  /** Longest gradient, over all parameters together. */
  readonly clipNorm: number;
  /** Share that the moving average of the weights, which is what is measured, keeps at a step. */
  readonly averageDecay: number;
  /** Seed of the first weights, the order of the images and their augmentation. */
  readonly seed: number;
}

/** Rates at which each kind learns in a few thousand steps of 8 images: as high as they go without diverging. */
const rates: Readonly<Record<SmallDetectorName, number>> = {
  ssd: 0.05,
  retinanet: 0.02,
  'faster-rcnn': 0.03,
  'cascade-rcnn': 0.03,
};

/**
 * The recipe of a kind.
 * @param images what it will be trained on, which decides the input: as many pixels as a square of 256, or what the images have if that is
 *   less, in the proportions of the middle image.
 */
export function defaultRecipe(
  detector: SmallDetectorName,
  images: DetectionDataset,
  changes: Partial<Recipe> = {},
): Recipe {
  const { width, height } = defaultInput(images, detector === 'ssd');
  return {
    detector,
    width,
    height,
    batchSize: 8,
    steps: 1500,
    rate: rates[detector],
    warmupSteps: 200,
    momentum: 0.9,
    weightDecay: 5e-4,
    clipNorm: 10,
    averageDecay: 0.998,
    seed: 0,
    ...changes,
  };
}

/** Sides that are multiples of 32, the coarsest stride. */
function defaultInput(images: DetectionDataset, square: boolean): { width: number; height: number } {
  const middle = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 1;
  const aspect = square ? 1 : middle(images.examples.map(({ width, height }) => width / height));
  const pixels = Math.min(256 * 256, middle(images.examples.map(({ width, height }) => width * height)));
  const round = (side: number): number => Math.max(32, 32 * Math.round(side / 32));
  const width = round(Math.sqrt(pixels * aspect));
  return { width, height: round(width / aspect) };
}

/**
 * SSD's augmentation (Liu et al., ECCV 2016, sections 2.2 and 3.6), milder: half of the images zoomed out by 2 at most, crops that keep an
 * object, mirrored, colours distorted. Colours come last, on the small picture: they cost most.
 */
export function augmentation({ width, height }: Pick<Recipe, 'width' | 'height'>): Transform {
  return compose(
    expand({ maxRatio: 2 }),
    iouCrop({ minOverlaps: [null, null, 0.3, 0.5, 0.7, 0.9] }),
    flipHorizontal(),
    resize(width, height),
    photometricDistortion(),
  );
}
