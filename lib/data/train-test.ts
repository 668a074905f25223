/** The data of an experiment: the shipped scenes, or a folder of the user's own, behind one function. */
import path from 'node:path';
import type { CheckedDataset } from './assemble';
import { findDataset, type FolderFormat } from './folder';
import type { SceneDifficulty, SceneDifficultyName } from './scenes/difficulty';
import { loadScenes, type ScenesProgress } from './scenes/prepare';
import type { DatasetProblem } from './problems';
import { splitDataset } from './split';
import type { DetectionDataset } from './types';

/** What to train and to test on. */
export interface TrainTestOptions {
  /** A folder of your own, in any layout that `findDataset` knows. Left out: the shipped scenes. */
  readonly folder?: string;
  /** Images of the scenes to render, in pixels. A folder's images keep their size. */
  readonly size: number;
  /** At most so many images; a folder may hold fewer. */
  readonly trainImages: number;
  readonly testImages: number;
  /** Of the scenes. */
  readonly difficulty: SceneDifficultyName | SceneDifficulty;
  /** Of the division of a folder that brings no lists of its own. Default 0. */
  readonly seed?: number;
  readonly onProgress?: (progress: ScenesProgress) => void;
}

/** Two sets without an image in common; for the scenes a third. */
export interface TrainTest {
  readonly train: DetectionDataset;
  /** Held-out images; of the scenes, drawings seen in training before backgrounds that were not. */
  readonly test: DetectionDataset;
  /** Only of the scenes: drawings and backgrounds that training never saw. */
  readonly unseen?: DetectionDataset;
  /** What had to be mended in a folder's annotations. */
  readonly problems: readonly DatasetProblem[];
  /** How a folder's annotations are written; undefined for the scenes. */
  readonly format?: FolderFormat;
  /** One sentence: where the images come from. */
  readonly source: string;
}

/**
 * Opens the data, rendering the scenes first where they are not in the cache. What is wrong in a folder is mended or left out, and told.
 * @throws what `findDataset` throws, and Error where no image is left.
 */
export async function loadTrainTest(options: TrainTestOptions): Promise<TrainTest> {
  return options.folder === undefined ? fromScenes(options) : fromFolder(options.folder, options);
}

async function fromScenes(options: TrainTestOptions): Promise<TrainTest> {
  const { size, trainImages, testImages, difficulty, onProgress } = options;
  const shared = { size, difficulty, onProgress };
  const train = await loadScenes({ ...shared, split: 'train', count: trainImages });
  const test = await loadScenes({ ...shared, split: 'test-seen', count: testImages });
  const unseen = await loadScenes({ ...shared, split: 'test', count: testImages });
  return {
    train,
    test,
    unseen,
    problems: [],
    source: 'the shipped scenes: drawings pasted into photographs',
  };
}

/** Pairs of lists that cannot overlap, the fuller ones first. */
const pairs = [
  ['trainval', 'test'],
  ['train', 'test'],
  ['train', 'val'],
  ['train', 'valid'],
  ['train', 'validation'],
  ['train2017', 'val2017'],
];

async function fromFolder(folder: string, options: TrainTestOptions): Promise<TrainTest> {
  const { trainImages, testImages, seed = 0 } = options;
  const found = await findDataset(folder);
  const name = path.basename(path.resolve(folder));
  const read = (rest: { split?: string; classes?: readonly string[] } = {}): Promise<CheckedDataset> =>
    found.read({ ...rest, name, invalid: 'mend' });
  const pair = pairs.find((names) => names.every((one) => found.splits.includes(one)));
  let train: DetectionDataset;
  let test: DetectionDataset;
  let problems: readonly DatasetProblem[];
  let lists: string;
  if (pair) {
    let parts = [await read({ split: pair[0] }), await read({ split: pair[1] })];
    if (parts[0].classes.join('\n') !== parts[1].classes.join('\n')) {
      // Two tables: labels must mean the same in both.
      const classes = [...new Set(parts.flatMap((part) => part.classes))].sort();
      parts = [await read({ split: pair[0], classes }), await read({ split: pair[1], classes })];
    }
    [train, test] = parts;
    problems = parts.flatMap((part) => part.problems);
    lists = `its lists ${pair.join(' and ')}`;
  } else {
    // Files of several splits can't be read as one; lists in VOC's layout can.
    const separate = ['coco', 'csv', 'json'].includes(found.format) && found.splits.length > 1;
    const all = await read(separate ? { split: found.splits[0] } : {});
    ({ train, test } = splitDataset(all, { train: 0.8, test: 0.2 }, seed));
    problems = all.problems;
    lists = `80 % of its ${separate ? `${found.splits[0]} ` : ''}images to train on, 20 % to test on`;
  }
  for (const [name, part] of Object.entries({ train, test })) {
    if (part.examples.length === 0) {
      throw new Error(
        `${folder}: no image is left to ${name} on (${lists}). Add images, or lists in ImageSets/Main.`,
      );
    }
  }
  const first = (set: DetectionDataset, count: number): DetectionDataset => ({
    ...set,
    examples: set.examples.slice(0, count),
  });
  return {
    train: first(train, trainImages),
    test: first(test, testImages),
    problems,
    format: found.format,
    source: `your folder ${train.name.split('/')[0]}: ${lists}`,
  };
}
