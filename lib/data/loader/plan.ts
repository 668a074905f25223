/** Which images make a batch: all of it follows from the seed, the epoch and the place, so that any thread may make any image. */
import { createRandom, type Random } from '../../tensor/random';

/** One image of a batch, by its index in the data set, and the samples that its augmentation takes in. */
export interface PlannedImage {
  readonly index: number;
  readonly partners: readonly number[];
}

/** An epoch's batches. */
export interface EpochPlan {
  /** Seed of the epoch's random numbers: image `id` is augmented from `createRandom(seed).fork(id)`. */
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
}

/** The plan of an epoch, from 0. */
export function planEpoch({ ids, batchSize, shuffle, partners }: PlanOptions, epoch: number): EpochPlan {
  const seed = `${shuffle ?? 0}/epoch-${epoch}`;
  const random = createRandom(seed);
  const indices = ids.map((_, i) => i);
  const order = shuffle === undefined ? indices : random.fork('order').shuffle(indices);
  return {
    seed,
    batch: (number) =>
      order.slice(number * batchSize, (number + 1) * batchSize).map((index) => ({
        index,
        partners:
          partners === 0
            ? []
            : drawPartners(random.fork(ids[index]).fork('partners'), index, ids.length, partners),
      })),
  };
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
