/** Divides data sets at random, reproducibly. */
import { hash32 } from '../tensor/random';
import type { DetectionDataset, Example } from './types';

/** Options of `splitDataset`. */
export interface SplitOptions {
  /**
   * Gives each part its share of every class, rare ones first, as far as images can be dealt out (iterative stratification:
   * Sechidis et al., ECML PKDD 2011, algorithm 1; counts are of images that show the class). Default false.
   */
  readonly stratify?: boolean;
}

/**
 * Divides a data set by rank of a seeded hash of each image id: reproducible, and independent of the order of the files.
 * @param fractions share of each part, by name; they must be positive and sum to at most 1.
 * @returns a data set for each name, its examples in the original order; sizes are the same with and without `stratify`. Parts
 *   of an empty data set are empty.
 * @throws RangeError on fractions that make no sense.
 */
export function splitDataset<K extends string>(
  dataset: DetectionDataset,
  fractions: Readonly<Record<K, number>>,
  seed: number | string,
  { stratify = false }: SplitOptions = {},
): Record<K, DetectionDataset> {
  const names = Object.keys(fractions) as K[];
  const shares = names.map((name) => fractions[name]);
  const total = shares.reduce((sum, share) => sum + share, 0);
  const bad = names.find((name) => !(fractions[name] > 0));
  if (bad !== undefined)
    throw new RangeError(`splitDataset: the fraction of ${bad} is ${fractions[bad]}, it must be above 0`);
  if (total > 1 + 1e-9)
    throw new RangeError(`splitDataset: the fractions sum to ${total}, which is more than 1`);

  const { examples } = dataset;
  const order = seededOrder(
    examples.map(({ id }) => id),
    seed,
  );
  const sizes = partSizes(shares, examples.length);
  const chosen = stratify ? dealByClass(examples, order, shares, sizes, seed) : dealInOrder(order, sizes);
  const parts = {} as Record<K, DetectionDataset>;
  names.forEach((name, part) => {
    const indices = chosen[part].sort((a, b) => a - b);
    parts[name] = {
      ...dataset,
      name: `${dataset.name}/${name}`,
      examples: indices.map((index) => examples[index]),
    };
  });
  return parts;
}

/** Stands in where a folder brings no lists of its own. */
const substituteSplits = { train: 0.7, val: 0.1, test: 0.2 };

/**
 * Indices of the ids in a part of the division that stands in where there are no lists.
 * @param reason begins the error about an unknown name: why the names are these.
 */
export function substituteIndices(
  ids: readonly string[],
  split: string,
  seed: number | string = 0,
  reason: string,
): number[] {
  const names = Object.keys(substituteSplits);
  const part = names.indexOf(split);
  if (part < 0) throw new Error(`${reason}, so the splits are ${names.join(', ')}; there is no "${split}".`);
  const sizes = partSizes(Object.values(substituteSplits), ids.length);
  return dealInOrder(seededOrder(ids, seed), sizes)[part].sort((a, b) => a - b);
}

function seededOrder(ids: readonly string[], seed: number | string): number[] {
  const keyed = ids.map((id, index) => ({ index, key: hash32(`${seed}/${id}`) }));
  return keyed.sort((a, b) => a.key - b.key || a.index - b.index).map(({ index }) => index);
}

/** How many images each part gets, so that the parts' ends are where the summed shares round to. */
function partSizes(shares: readonly number[], count: number): number[] {
  let share = 0;
  let from = 0;
  return shares.map((fraction) => {
    share += fraction;
    const to = Math.round(share * count);
    const size = to - from;
    from = to;
    return size;
  });
}

function dealInOrder(order: readonly number[], sizes: readonly number[]): number[][] {
  let from = 0;
  return sizes.map((size) => order.slice(from, (from += size)));
}

/** Rarest class first, each image goes to the part that lacks most of that class. The last part is what no name asks for. */
function dealByClass(
  examples: readonly Example[],
  order: readonly number[],
  shares: readonly number[],
  sizes: readonly number[],
  seed: number | string,
): number[][] {
  const rest = examples.length - sizes.reduce((sum, size) => sum + size, 0);
  const room = [...sizes, rest];
  const fractions = [...shares, rest / Math.max(1, examples.length)];
  const labelsOf = examples.map(({ objects }) => [...new Set(objects.map(({ label }) => label))]);
  const left = new Map<number, number>();
  for (const labels of labelsOf) for (const label of labels) left.set(label, (left.get(label) ?? 0) + 1);
  const wanted = new Map([...left].map(([label, count]) => [label, fractions.map((f) => f * count)]));
  const dealt = new Uint8Array(examples.length);
  const parts: number[][] = room.map(() => []);
  const deal = (index: number, lack: readonly number[]): void => {
    // Of equal lacks the part with more room; of equal room a hash decides.
    const turn = hash32(`${seed}/${examples[index].id}/part`) % room.length;
    let best = -1;
    for (let k = 0; k < room.length; k++) {
      const part = (k + turn) % room.length;
      if (room[part] <= 0) continue;
      if (best < 0 || lack[part] > lack[best] || (lack[part] === lack[best] && room[part] > room[best]))
        best = part;
    }
    parts[best].push(index);
    room[best]--;
    dealt[index] = 1;
    for (const label of labelsOf[index]) {
      (wanted.get(label) as number[])[best]--;
      left.set(label, (left.get(label) as number) - 1);
    }
  };
  for (;;) {
    let rarest: number | undefined;
    for (const [label, count] of left) {
      if (count > 0 && (rarest === undefined || count < (left.get(rarest) as number))) rarest = label;
    }
    if (rarest === undefined) break;
    const lack = wanted.get(rarest) as number[];
    for (const index of order) if (!dealt[index] && labelsOf[index].includes(rarest)) deal(index, lack);
  }
  for (const index of order) if (!dealt[index]) deal(index, room);
  return parts.slice(0, -1);
}
