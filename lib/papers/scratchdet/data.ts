/** The images of the experiment: the shipped scenes, or a folder of the reader's own. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { concatDatasets } from '../../data/filter';
import type { DatasetProblem } from '../../data/problems';
import type { ScenesProgress } from '../../data/scenes/prepare';
import { loadTrainTest, type TrainTest } from '../../data/train-test';
import { readVoc } from '../../data/voc';
import type { ScratchDetImages, ScratchDetRecipe } from './recipes';

/** Options of `openScratchDetData`. */
export interface ScratchDetDataOptions {
  /**
   * A folder in any layout that `findDataset` knows; it then stands for both kinds of images. A `VOCdevkit` with VOC2007 and VOC2012 is taken as
   * the paper takes it: trained on both years' trainval, tested on 2007's test. Left out: the shipped scenes.
   */
  readonly folder?: string;
  readonly onProgress?: (progress: ScenesProgress) => void;
}

/**
 * Opens images to train and to test on, rendering the scenes first where they are not in the cache.
 * @param kind the difficulty of the scenes
 * @throws what `loadTrainTest` throws.
 */
export async function openScratchDetData(
  recipe: ScratchDetRecipe,
  kind: ScratchDetImages,
  { folder, onProgress }: ScratchDetDataOptions = {},
): Promise<TrainTest> {
  const years = folder === undefined ? undefined : await bothYears(folder);
  if (years) return years;
  return loadTrainTest({
    folder,
    size: recipe.sceneSize,
    trainImages: recipe.trainImages,
    testImages: recipe.testImages,
    difficulty: recipe.difficulty[kind],
    onProgress,
  });
}

/** VOC 2007 and 2012 together ("07+12"), where the folder has both. */
async function bothYears(folder: string): Promise<TrainTest | undefined> {
  const [old, recent] = [path.join(folder, 'VOC2007'), path.join(folder, 'VOC2012')];
  const lists = [
    [old, 'trainval'],
    [old, 'test'],
    [recent, 'trainval'],
  ] as const;
  for (const [year, list] of lists) {
    const file = path.join(year, 'ImageSets', 'Main', `${list}.txt`);
    if (!(await fs.stat(file).catch(() => undefined))) return undefined;
  }
  const read = lists.map(([year, split]) =>
    readVoc(year, { split, name: path.basename(year), invalid: 'mend' }),
  );
  const [trainval07, test07, trainval12] = await Promise.all(read);
  const problems: DatasetProblem[] = [trainval07, test07, trainval12].flatMap((set) => set.problems);
  return {
    train: concatDatasets([trainval07, trainval12], 'VOC 07+12 trainval'),
    test: test07,
    problems,
    source: 'Pascal VOC: trained on trainval of 2007 and 2012, tested on test of 2007',
  };
}
