/** The images that a published network is evaluated on, and which of their classes it knows. */
import path from 'node:path';
import type { GroundTruth } from '../boxes/types';
import type { CocoDataset } from '../data/coco';
import { findDataset } from '../data/folder';
import type { DatasetProblem } from '../data/problems';
import type { DetectionDataset } from '../data/types';
import type { PublishedNetwork } from './network';

/** A data set in the network's terms. */
export interface EvaluationData {
  readonly name: string;
  /** Its whole path. */
  readonly folder: string;
  /** One of the data set's own, where it has any. */
  readonly split?: string;
  /** Classes that both have: `classes[label]` as the data set names it. Objects of the examples have these labels. */
  readonly classes: readonly string[];
  /** The label of each of the network's classes, `undefined` where the data set has no such class. */
  readonly labels: readonly (number | undefined)[];
  /** For each label the category's id in the COCO file, or COCO's own. */
  readonly categoryIds: readonly number[];
  readonly dataset: DetectionDataset;
  /** The images' ids for a results file, in the order of the examples. */
  readonly imageIds: readonly (number | string)[];
  /** Classes of the data set that the network does not predict; their objects are left out. */
  readonly unknown: readonly string[];
  /** Images and objects that were left out as wrong. */
  readonly problems: readonly DatasetProblem[];
}

/** Options of `openEvaluationData`. */
export interface EvaluationDataOptions {
  /** A folder or file that `findDataset` knows. */
  readonly folder: string;
  /** Default: `val2017`, or what is there of `val`, `valid`, `validation` and `test`, or all. */
  readonly split?: string;
  /** The first so many images only. */
  readonly limit?: number;
  readonly network: Pick<PublishedNetwork, 'name' | 'classes' | 'categoryId'>;
}

const usualSplits = ['val2017', 'val', 'valid', 'validation', 'test'];

/** COCO's names of classes that Pascal VOC calls otherwise. */
const otherNames: Readonly<Record<string, string>> = {
  aeroplane: 'airplane',
  motorbike: 'motorcycle',
  sofa: 'couch',
  tvmonitor: 'tv',
};

/** Lower case, letters alone, by COCO's word: `dining_table` and `diningtable` are the same. */
function classKey(name: string): string {
  const key = name.toLowerCase().replace(/[\s_-]+/g, '');
  return otherNames[key] ?? key;
}

/**
 * Opens a data set and goes from its classes to the network's by their names. What is wrong in the annotations is left out and listed.
 * @throws what `findDataset` and its readers throw; Error where no class is known to the network, or no image is left.
 */
export async function openEvaluationData(options: EvaluationDataOptions): Promise<EvaluationData> {
  const { folder, limit, network } = options;
  const found = await findDataset(folder);
  const split = options.split ?? usualSplits.find((one) => found.splits.includes(one));
  const name = path.basename(path.resolve(folder));
  const read = await found.read({ split, name, limit, invalid: 'drop' });
  if (read.examples.length === 0) {
    const reasons = read.problems.length > 0 ? ` (${read.problems[0].problem})` : '';
    throw new Error(
      `${folder}: no image is left to evaluate on${reasons}. Is ${split ?? 'the folder'} complete?`,
    );
  }

  const networkLabels = new Map<string, number>();
  network.classes.forEach((one, label) => one !== undefined && networkLabels.set(classKey(one), label));
  const classes: string[] = [];
  const unknown: string[] = [];
  const labels: (number | undefined)[] = network.classes.map(() => undefined);
  const categoryIds: number[] = [];
  const shared = read.classes.map((one, own) => {
    const known = networkLabels.get(classKey(one));
    if (known === undefined || labels[known] !== undefined) {
      unknown.push(one);
      return undefined;
    }
    const id = (read as Partial<CocoDataset>).categoryIds?.[own];
    categoryIds.push(typeof id === 'number' ? id : network.categoryId(known));
    labels[known] = classes.length;
    return classes.push(one) - 1;
  });
  if (classes.length === 0) {
    throw new Error(
      `${folder}: ${network.name} knows none of its classes (${shortList(read.classes)}); it predicts ` +
        `${shortList(network.classes.filter((one) => one !== undefined))}`,
    );
  }
  const renamed = (objects: readonly GroundTruth[]): GroundTruth[] =>
    objects.flatMap((object) => {
      const label = shared[object.label];
      return label === undefined ? [] : [{ ...object, label }];
    });
  const examples = read.examples.map((example) => ({ ...example, objects: renamed(example.objects) }));
  return {
    name,
    folder: path.resolve(folder),
    split,
    classes,
    labels,
    categoryIds,
    dataset: { name: read.name, classes, examples },
    imageIds: read.examples.map(
      (example) => (example as { imageId?: number | string }).imageId ?? example.id,
    ),
    unknown,
    problems: read.problems,
  };
}

function shortList(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(', ');
  return names.length > 10 ? `${shown} and ${names.length - 10} more` : shown;
}
