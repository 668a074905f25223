/** Pascal VOC 2007 and 2012 together, as detection papers train on them. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { concatDatasets } from './filter';
import type { TrainTest } from './train-test';
import { readVoc } from './voc';

/**
 * `07+12`: trained on both years' trainval, tested on 2007's test. `07++12`: trained on all that is published but 2012's test, tested on that;
 * its annotations are kept by the evaluation server, which takes what `writeVocResults` writes.
 */
export type VocYears = '07+12' | '07++12';

type List = readonly [year: 'VOC2007' | 'VOC2012', split: string];

const lists: Readonly<Record<VocYears, { readonly train: readonly List[]; readonly test: List }>> = {
  '07+12': {
    train: [
      ['VOC2007', 'trainval'],
      ['VOC2012', 'trainval'],
    ],
    test: ['VOC2007', 'test'],
  },
  '07++12': {
    train: [
      ['VOC2007', 'trainval'],
      ['VOC2007', 'test'],
      ['VOC2012', 'trainval'],
    ],
    test: ['VOC2012', 'test'],
  },
};

/** The first of the lists that a `VOCdevkit` lacks, relative to it; undefined where all are there. */
export async function missingVocYears(
  folder: string,
  years: VocYears = '07+12',
): Promise<string | undefined> {
  const { train, test } = lists[years];
  for (const [year, split] of [...train, test]) {
    const file = path.join(year, 'ImageSets', 'Main', `${split}.txt`);
    if (!(await fs.stat(path.join(folder, file)).catch(() => undefined))) return file;
  }
  return undefined;
}

/**
 * Both years of a `VOCdevkit`. Annotations that are wrong are mended or left out, and told.
 * @throws Error that names the list that is missing, and what `readVoc` throws.
 */
export async function readVocYears(folder: string, years: VocYears = '07+12'): Promise<TrainTest> {
  const missing = await missingVocYears(folder, years);
  if (missing !== undefined)
    throw new Error(`${folder} has no ${missing}, which VOC ${years} needs. \`npm run data\` can fetch it.`);
  const read = ([year, split]: List) =>
    readVoc(path.join(folder, year), {
      split,
      name: year,
      invalid: 'mend',
      unannotated: years === '07++12' && split === 'test' && year === 'VOC2012',
    });
  const train = await Promise.all(lists[years].train.map(read));
  const test = await read(lists[years].test);
  const told = ([year, split]: List): string => `${split} of ${year.slice(3)}`;
  return {
    train: concatDatasets(train, `VOC ${years}`),
    test,
    problems: [...train, test].flatMap(({ problems }) => problems),
    format: 'voc',
    source: `Pascal VOC ${years}: trained on ${lists[years].train.map(told).join(', ')}; tested on ${told(lists[years].test)}`,
  };
}
