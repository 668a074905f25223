/** Which images make a batch: all of it follows from the seed, the epoch and the place, so that any thread may make any image. */
import { createRandom, type Random } from '../../tensor/random';
import { drawRepeats } from './repeat';

/** One image of a batch, by its index in the data set, and the samples that its augmentation takes in. */
export interface PlannedImage {
  readonly index: number;
  /** Which of the epoch's copies of the image, from 0: each is augmented in its own way. */
  readonly copy: number;
  readonly partners: readonly number[];
}

/** An epoch's batches. */
export interface EpochPlan {
  /** Seed of the epoch's random numbers: an image is augmented from `imageRandom`. */
  readonly seed: string;
  batch(number: number): readonly PlannedImage[];
}

/** What fixes the plan of every epoch. */
export interface PlanOptions {
  readonly ids: readonly string[];
  readonly batchSize: number;
  /** `undefined`: in the order of the data set. */
  readonly shuffle: number | string | undefined;
  /** How many other samples the augmentation takes. */
  readonly partners: number;
  /** How often an epoch shows each image, on average. Default: once. */
  readonly repeat?: readonly number[];
}

/** The plan of an epoch, from 0. */
export function planEpoch(
  { ids, batchSize, shuffle, partners, repeat }: PlanOptions,
  epoch: number,
): EpochPlan {
  const seed = `${shuffle ?? 0}/epoch-${epoch}`;
  const random = createRandom(seed);
  const times = repeat && drawRepeats(random.fork('repeats'), repeat);
  const images: { readonly index: number; readonly copy: number }[] = [];
  for (let index = 0; index < ids.length; index++) {
    for (let copy = 0; copy < (times?.[index] ?? 1); copy++) images.push({ index, copy });
  }
  const order = shuffle === undefined ? images : random.fork('order').shuffle(images);
  return {
    seed,
    batch: (number) =>
      order.slice(number * batchSize, (number + 1) * batchSize).map(({ index, copy }) => ({
        index,
        copy,
        partners:
          partners === 0
            ? []
            : drawPartners(imageRandom(seed, ids[index], copy).fork('partners'), index, ids.length, partners),
      })),
  };
}

/** What an image of an epoch is augmented from: its own, wherever in the epoch it comes, and another one for each of its copies. */
export function imageRandom(seed: string, id: string, copy: number): Random {
  const random = createRandom(seed).fork(id);
  return copy === 0 ? random : random.fork(`copy-${copy}`);
}

/**
 * Draws other images, all equally likely, none twice while there are enough of them. The only image of a set is its own partner.
 * @param self the index of the image itself, of `total`.
 */
export function drawPartners(random: Random, self: number, total: number, count: number): number[] {
  if (total === 1) return Array.from({ length: count }, () => self);
  const drawn: number[] = [];
  const taken = new Set<number>();
  while (drawn.length < count) {
    const other = random.integer(total - 1);
    const index = other < self ? other : other + 1;
    if (taken.has(index)) continue;
    drawn.push(index);
    taken.add(index);
    if (taken.size === total - 1) taken.clear();
  }
  return drawn;
}
