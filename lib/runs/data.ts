/** The three lists of a training run: to learn from, to choose by, to measure on. */
import path from 'node:path';
import { findDataset } from '../data/folder';
import type { DatasetProblem } from '../data/problems';
import type { SceneSplit } from '../data/scenes/cast';
import { loadScenes, type ScenesProgress } from '../data/scenes/prepare';
import { splitDataset } from '../data/split';
import type { DetectionDataset } from '../data/types';

/** Three sets without an image in common. */
export interface RunData {
  readonly name: string;
  readonly train: DetectionDataset;
  readonly val: DetectionDataset;
  readonly test: DetectionDataset;
  /** Harder ones to measure on besides, by name: of the scenes, `unseen`. */
  readonly others: Readonly<Record<string, DetectionDataset>>;
  /** What was mended in the annotations, or left out. */
  readonly problems: readonly DatasetProblem[];
  /** One sentence: where the images come from, and by what they are divided. */
  readonly source: string;
}

/** Options of `openRunData`. */
export interface RunDataOptions {
  /** A folder of annotated images in any layout that `findDataset` knows. Left out: the shipped scenes. */
  readonly folder?: string;
  /** Side in pixels at which the scenes are rendered. */
  readonly sceneSize: number;
  /** At most so many images of each list. */
  readonly limit?: number;
  /** Of a division where the folder brings no lists. Default 0. */
  readonly seed?: number;
  readonly onProgress?: (progress: ScenesProgress) => void;
}

/**
 * Opens the data. A folder's own lists train, val and test are taken; where it has train and val alone, val is measured on and a tenth of
 * train chosen by; where it has none, 70, 10 and 20 % by the seed.
 * @throws what `findDataset` throws, and Error where a list is empty.
 */
export async function openRunData(options: RunDataOptions): Promise<RunData> {
  const data = options.folder === undefined ? await scenes(options) : await folder(options.folder, options);
  for (const part of ['train', 'val', 'test'] as const) {
    if (data[part].examples.length === 0) {
      throw new Error(
        `${data.source}: the list ${part} has no image. Add images, or lists in ImageSets/Main.`,
      );
    }
  }
  const { limit = Infinity } = options;
  const cut = (set: DetectionDataset): DetectionDataset => ({
    ...set,
    examples: set.examples.slice(0, limit),
  });
  const others = Object.fromEntries(Object.entries(data.others).map(([name, set]) => [name, cut(set)]));
  return { ...data, train: cut(data.train), val: cut(data.val), test: cut(data.test), others };
}

async function scenes({ sceneSize, limit, onProgress }: RunDataOptions): Promise<RunData> {
  const load = (split: SceneSplit): Promise<DetectionDataset> =>
    loadScenes({ split, size: sceneSize, difficulty: 'headline', count: limit, onProgress });
  return {
    name: 'scenes',
    train: await load('train'),
    val: await load('val'),
    test: await load('test-seen'),
    others: { unseen: await load('test') },
    problems: [],
    source:
      'the shipped scenes (headline); test: drawings of the training set before other backgrounds; unseen: neither was in training',
  };
}

async function folder(place: string, { seed = 0 }: RunDataOptions): Promise<RunData> {
  const found = await findDataset(place);
  const name = path.basename(path.resolve(place));
  const has = (...names: string[]): string | undefined => names.find((one) => found.splits.includes(one));
  const [trainList, valList] = [has('train', 'train2017'), has('val', 'valid', 'validation', 'val2017')];
  const testList = has('test');
  const problems: DatasetProblem[] = [];
  const first = await found.read({ split: trainList, name, invalid: 'mend', seed });
  problems.push(...first.problems);
  const more = async (split: string): Promise<DetectionDataset> => {
    const set = await found.read({ split, name, invalid: 'mend', seed, classes: first.classes });
    problems.push(...set.problems);
    return set;
  };
  const rest = { name, others: {}, problems };
  if (trainList && valList && testList) {
    const [val, test] = [await more(valList), await more(testList)];
    const source = `${name}: its lists ${trainList}, ${valList} and ${testList}`;
    return { ...rest, train: first, val, test, source };
  }
  const heldOut = testList ?? valList;
  if (trainList && heldOut) {
    const { train, val } = splitDataset(first, { train: 0.9, val: 0.1 }, seed);
    const source = `${name}: its lists ${trainList} (a tenth of it to choose by) and ${heldOut}`;
    return { ...rest, train, val, test: await more(heldOut), source };
  }
  const { train, val, test } = splitDataset(first, { train: 0.7, val: 0.1, test: 0.2 }, seed);
  return { ...rest, train, val, test, source: `${name}: 70, 10 and 20 % of its images, by seed ${seed}` };
}
