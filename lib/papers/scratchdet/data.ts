/** The images of the experiment: the shipped scenes, or a folder of the reader's own; and the recipe that they want. */
import { findDataset } from '../../data/folder';
import type { TrainTest } from '../../data/train-test';
import { missingVocYears, readVocYears, type VocYears } from '../../data/voc-years';
import { type ExperimentDataOptions, openExperimentData } from '../experiment-data';
import type { Profile } from '../profile';
import {
  scratchDetCocoRecipe,
  type ScratchDetImages,
  type ScratchDetRecipe,
  scratchDetRecipes,
} from './recipes';

/** Options of `openScratchDetData`. */
export interface ScratchDetDataOptions extends ExperimentDataOptions {
  /**
   * A folder in any layout that `findDataset` knows; it then stands for both kinds of images. A `VOCdevkit` with VOC2007 and VOC2012 is taken as
   * the paper takes it. Left out: the shipped scenes.
   */
  readonly folder?: string;
  /** Which of a `VOCdevkit`'s lists. Default: 07+12, where it has them; else those of the one year that is there. */
  readonly years?: VocYears;
}

/**
 * Opens images to train and to test on, rendering the scenes first where they are not in the cache.
 * @param kind the difficulty of the scenes
 * @throws what `loadTrainTest` throws, and Error where the folder lacks lists of `years`.
 */
export async function openScratchDetData(
  recipe: ScratchDetRecipe,
  kind: ScratchDetImages,
  { folder, years, onProgress }: ScratchDetDataOptions = {},
): Promise<TrainTest> {
  if (folder !== undefined && (years !== undefined || !(await missingVocYears(folder))))
    return readVocYears(folder, years);
  return openExperimentData({ ...recipe, difficulty: recipe.difficulty[kind] }, { folder, onProgress });
}

/** The recipe of a profile; at the paper's size COCO has one of its own. */
export async function scratchDetRecipeFor(profile: Profile, folder?: string): Promise<ScratchDetRecipe> {
  const recipe = scratchDetRecipes[profile];
  if (profile !== 'paper' || folder === undefined || !(await missingVocYears(folder))) return recipe;
  const { format } = await findDataset(folder);
  return format === 'coco' ? scratchDetCocoRecipe : recipe;
}
