/** How the experiments measure a detector: VOC's mAP and COCO's figures on a set of images. */
import { NanPrediction } from '../boxes/nan-prediction';
import { createLoader } from '../data/loader';
import type { Normalization } from '../data/transforms/normalization';
import type { DetectionDataset } from '../data/types';
import { evaluateCoco } from '../eval/coco/evaluate';
import type { CocoResult } from '../eval/coco/types';
import { evaluateVoc, type VocResult } from '../eval/voc';
import type { Detector } from '../models/detector';
import { type DatasetDetections, detectAll } from '../train/evaluate';

/** What a detector finds in a set, measured. */
export interface DetectorEvaluation {
  readonly found: DatasetDetections;
  /** AP at IoU 0.5, by VOC's rule from 2010 on: the whole area under the curve. */
  readonly voc: VocResult;
  /** COCO's figures; `small` is up to 1/8 of the image's side, `medium` to 1/4. */
  readonly coco: CocoResult;
}

/** What of a recipe an evaluation needs. */
export interface EvaluationRecipe extends Pick<Normalization, 'mean' | 'std'> {
  /** Side of the network's input, pixels. */
  readonly inputSize: number;
  readonly batchSize: number;
  /** Side of the images, pixels. */
  readonly sceneSize: number;
}

/** Detects in every image of a set, and compares with its annotations. */
export async function evaluateDetector(
  recipe: EvaluationRecipe,
  detector: Detector,
  images: DetectionDataset,
): Promise<DetectorEvaluation> {
  const { inputSize: size, batchSize, mean, std, sceneSize: side } = recipe;
  const found = await detectAll(detector, createLoader(images, { size, batchSize, mean, std }));
  const { classes } = images;
  const areaRanges = [
    { name: 'small', from: 0, to: (side / 8) ** 2 },
    { name: 'medium', from: (side / 8) ** 2, to: (side / 4) ** 2 },
    { name: 'large', from: (side / 4) ** 2, to: 1e10 },
  ];
  return {
    found,
    voc: evaluateVoc({ ...found, classes, method: 'all-point' }),
    coco: evaluateCoco({ ...found, classes, areaRanges }),
  };
}

/**
 * `evaluateDetector` of a detector that may have diverged.
 * @returns `undefined` where the scores are not finite. The loss, which comes before the update, may not have shown it.
 */
export async function evaluateUnlessDiverged(
  recipe: EvaluationRecipe,
  detector: Detector,
  images: DetectionDataset,
): Promise<DetectorEvaluation | undefined> {
  try {
    return await evaluateDetector(recipe, detector, images);
  } catch (error) {
    if (error instanceof NanPrediction) return undefined;
    throw error;
  }
}
