/** The images of the experiment: the shipped scenes, or a folder of the reader's own. */
import type { ScenesProgress } from '../../data/scenes/prepare';
import { loadTrainTest, type TrainTest } from '../../data/train-test';
import type { EfficientDetRecipe } from './recipes';

/** Options of `openEfficientDetData`. */
export interface EfficientDetDataOptions {
  /** A folder in any layout that `findDataset` knows. Left out: the shipped scenes. */
  readonly folder?: string;
  readonly onProgress?: (progress: ScenesProgress) => void;
}

/**
 * Opens images to train and to test on, rendering the scenes first where they are not in the cache.
 * @throws what `loadTrainTest` throws.
 */
export async function openEfficientDetData(
  recipe: Pick<EfficientDetRecipe, 'sceneSize' | 'trainImages' | 'testImages' | 'difficulty'>,
  { folder, onProgress }: EfficientDetDataOptions = {},
): Promise<TrainTest> {
  const { sceneSize: size, trainImages, testImages, difficulty } = recipe;
  return loadTrainTest({ folder, size, trainImages, testImages, difficulty, onProgress });
}
