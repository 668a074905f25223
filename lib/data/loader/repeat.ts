/** Draws how often an epoch shows each image, such that all epochs are equally long. */
import type { Random } from '../../tensor/random';

/** Images of an epoch with such factors: their sum, rounded up. */
export function repeatedLength(factors: readonly number[]): number {
  const sum = factors.reduce((total, factor) => total + factor, 0);
  return Math.ceil(sum - 1e-9 * sum); // a sum of 1/3s is whole but for rounding
}

/**
 * How often each image comes: as near to its factor as whole numbers can be, and equal to it on average, but for one scale that makes
 * the sum the whole number `repeatedLength`. The scale is 1 or a little more, so that an image of factor 1 is never left out.
 *
 * Rounding each factor by a coin of its own, as Detectron2's `RepeatFactorTrainingSampler` does, has the same average, but another
 * length every time. Systematic sampling (Madow, 1949) rounds all of them by one random number: factors lie end to end on a line,
 * in random order, and an image comes as often as marks at distance 1 fall into its part.
 */
export function drawRepeats(random: Random, factors: readonly number[]): number[] {
  const total = repeatedLength(factors);
  const scale = total / factors.reduce((sum, factor) => sum + factor, 0);
  const order = random.shuffle(factors.map((_, index) => index));
  const first = random.next();
  const counts = new Array<number>(factors.length).fill(0);
  let end = 0;
  let before = 0;
  order.forEach((index, place) => {
    end += factors[index];
    const marks = place === order.length - 1 ? total : Math.min(total, Math.floor(end * scale + first));
    counts[index] = marks - before;
    before = marks;
  });
  return counts;
}

/** @throws RangeError unless there is one number from 0 an image, and not all are 0. */
export function checkRepeats(factors: readonly number[], images: number): void {
  if (factors.length !== images) {
    throw new RangeError(
      `createLoader: repeat has ${factors.length} numbers for ${images} images; give one an image, in the data set's order`,
    );
  }
  const wrong = factors.findIndex((factor) => !(factor >= 0 && factor < Infinity));
  if (wrong >= 0) {
    throw new RangeError(
      `createLoader: repeat[${wrong}] is ${factors[wrong]}; it must be a number from 0 (1 shows the image once an epoch)`,
    );
  }
  if (images > 0 && factors.every((factor) => factor === 0)) {
    throw new RangeError(
      'createLoader: repeat is 0 for every image, which leaves nothing; give some image more',
    );
  }
}
