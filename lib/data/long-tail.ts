/** Makes a long tail of a data set: class frequencies that fall exponentially. */
import { createRandom } from '../tensor/random';
import type { DetectionDataset } from './types';

/** Options of `longTail`. */
export interface LongTailOptions {
  /** How many times as frequent the most frequent class is as the rarest, at least 1. */
  readonly imbalance: number;
  readonly seed: number | string;
  /** Classes from the most frequent to the rarest. Default: as they are in the data set, the most frequent first. */
  readonly order?: readonly string[];
  /** What is counted: images that show the class (default, as LVIS does), or objects. */
  readonly count?: 'images' | 'objects';
  /** Keeps images without objects. Default true. */
  readonly keepEmpty?: boolean;
}

/** A data set with a long tail. */
export interface LongTailDataset extends DetectionDataset {
  /** A class each, by label: how often it was there, may be there, and is there. */
  readonly tail: readonly {
    readonly class: string;
    readonly before: number;
    readonly target: number;
    readonly after: number;
  }[];
}

/**
 * Leaves out images until class frequencies fall exponentially: of K classes, number k from the front keeps at most
 * `floor(n * imbalance ** (-k / (K - 1)))`, where n is the front class's own frequency (Cui et al., CVPR 2019, section 5.1, who
 * make long-tailed CIFAR so). Whole images go, never single objects, which would leave unlabelled ones behind. So an image with
 * several classes needs room in all of them: no class exceeds its target, and some may stay below; `tail` says by how much. Images
 * are taken in a seeded random order, those with the rarest classes first, and returned in the original order.
 * @throws RangeError on an imbalance below 1, or an order that is not one of all classes.
 */
export function longTail(dataset: DetectionDataset, options: LongTailOptions): LongTailDataset {
  const { imbalance, seed, count = 'images', keepEmpty = true } = options;
  const { classes, examples } = dataset;
  if (!(imbalance >= 1 && imbalance < Infinity)) {
    throw new RangeError(`longTail: imbalance is ${imbalance}; it must be 1 or more`);
  }
  const counts = examples.map(({ objects }) => {
    const shown = new Map<number, number>();
    for (const { label } of objects) {
      shown.set(label, count === 'objects' ? (shown.get(label) ?? 0) + 1 : 1);
    }
    return shown;
  });
  const before = new Array<number>(classes.length).fill(0);
  for (const shown of counts) for (const [label, n] of shown) before[label] += n;

  const order = orderOf(classes, before, options.order);
  const target = new Array<number>(classes.length).fill(0);
  order.forEach((label, k) => {
    const share = imbalance ** (-k / Math.max(1, order.length - 1));
    // The rarest of 1000 at an imbalance of 100 is 10, and not 9 by rounding.
    target[label] = Math.min(before[label], Math.floor(before[order[0]] * share + 1e-9));
  });

  const rank = new Array<number>(classes.length);
  order.forEach((label, k) => (rank[label] = k));
  const rarest = counts.map((shown) => Math.max(-1, ...[...shown.keys()].map((label) => rank[label])));
  const queue = createRandom(seed).shuffle(examples.map((_, index) => index));
  queue.sort((a, b) => rarest[b] - rarest[a]); // stable: random within a class
  const after = new Array<number>(classes.length).fill(0);
  const kept = new Uint8Array(examples.length);
  for (const index of queue) {
    const shown = [...counts[index]];
    if (shown.length === 0 ? !keepEmpty : shown.some(([label, n]) => after[label] + n > target[label]))
      continue;
    kept[index] = 1;
    for (const [label, n] of shown) after[label] += n;
  }
  const tail = classes.map((name, label) => ({
    class: name,
    before: before[label],
    target: target[label],
    after: after[label],
  }));
  return {
    ...dataset,
    name: `${dataset.name}/tail-${imbalance}`,
    examples: examples.filter((_, i) => kept[i]),
    tail,
  };
}

/** Labels from the most frequent to the rarest. */
function orderOf(
  classes: readonly string[],
  before: readonly number[],
  wanted: readonly string[] | undefined,
): number[] {
  if (wanted === undefined)
    return classes.map((_, label) => label).sort((a, b) => before[b] - before[a] || a - b);
  const labels = wanted.map((name) => classes.indexOf(name));
  if (labels.includes(-1) || new Set(labels).size !== classes.length || labels.length !== classes.length) {
    throw new RangeError(`longTail: order must name each class once: ${classes.join(', ')}`);
  }
  return labels;
}
