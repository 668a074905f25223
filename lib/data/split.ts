/** Divides data sets at random, reproducibly. */
import { hash32 } from '../tensor/random';
import type { DetectionDataset } from './types';

/**
 * Divides a data set by rank of a seeded hash of each image id: reproducible, and independent of the order of the files.
 * @param fractions share of each part, by name; they must be positive and sum to at most 1.
 * @returns a data set for each name, its examples in the original order. Parts of an empty data set are empty.
 */
export function splitDataset<K extends string>(
  dataset: DetectionDataset,
  fractions: Readonly<Record<K, number>>,
  seed: number | string,
): Record<K, DetectionDataset> {
  const names = Object.keys(fractions) as K[];
  const total = names.reduce((sum, name) => sum + fractions[name], 0);
  const bad = names.find((name) => !(fractions[name] > 0));
  if (bad !== undefined)
    throw new RangeError(`splitDataset: the fraction of ${bad} is ${fractions[bad]}, it must be above 0`);
  if (total > 1 + 1e-9)
    throw new RangeError(`splitDataset: the fractions sum to ${total}, which is more than 1`);

  const order = dataset.examples.map((example, index) => ({ index, key: hash32(`${seed}/${example.id}`) }));
  order.sort((a, b) => a.key - b.key || a.index - b.index);
  const parts = {} as Record<K, DetectionDataset>;
  let share = 0;
  let from = 0;
  for (const name of names) {
    share += fractions[name];
    const to = Math.round(share * order.length);
    const indices = order.slice(from, to).map(({ index }) => index);
    const examples = indices.sort((a, b) => a - b).map((index) => dataset.examples[index]);
    parts[name] = { ...dataset, name: `${dataset.name}/${name}`, examples };
    from = to;
  }
  return parts;
}
