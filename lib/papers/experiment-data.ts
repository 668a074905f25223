/** The images of an experiment: the shipped scenes, or a folder of the reader's own. */
import { sceneDifficulties, type SceneDifficulty } from '../data/scenes/difficulty';
import type { ScenesProgress } from '../data/scenes/prepare';
import { loadTrainTest, type TrainTest } from '../data/train-test';

/** Scenes that a short run learns: three distinct classes, large and small, nothing that distracts. */
export const threeClassScenes: SceneDifficulty = {
  ...sceneDifficulties.headline,
  name: 'three-classes',
  classes: ['car', 'cat', 'person'],
  size: [0.12, 0.35, 0.8],
  meanObjects: 2.4,
  distractors: [0, 0],
  jitter: 0.3,
};

/** What of a recipe its images hang on. */
export interface DataRecipe {
  readonly difficulty: SceneDifficulty;
  /** Images to train and to test on; of a folder at most so many. */
  readonly trainImages: number;
  readonly testImages: number;
  /** Side of the scenes as rendered, pixels: larger than the network's input, so that drawings of the results are sharp. */
  readonly sceneSize: number;
}

/** Options of `openExperimentData`. */
export interface ExperimentDataOptions {
  /** A folder in any layout that `findDataset` knows. Left out: the shipped scenes. */
  readonly folder?: string;
  readonly onProgress?: (progress: ScenesProgress) => void;
}

/**
 * Opens images to train and to test on, rendering the scenes first where they are not in the cache.
 * @throws what `loadTrainTest` throws.
 */
export async function openExperimentData(
  recipe: DataRecipe,
  { folder, onProgress }: ExperimentDataOptions = {},
): Promise<TrainTest> {
  const { sceneSize: size, trainImages, testImages, difficulty } = recipe;
  return loadTrainTest({ folder, size, trainImages, testImages, difficulty, onProgress });
}
