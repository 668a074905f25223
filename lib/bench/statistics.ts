/** What a series of measurements says. */
import { median } from '../tensor/median';

export { median } from '../tensor/median';

/** Median, least and greatest. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @throws RangeError without values. */
export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * The spread of a / b, round by round: both were measured one after the other in each round, so what slowed a round down as a
 * whole cancels. @throws RangeError when the two were not measured in the same rounds.
 */
export function ratioSpread(a: readonly number[], b: readonly number[]): Spread {
  if (a.length !== b.length) {
    throw new RangeError(`ratioSpread: ${a.length} rounds of one, ${b.length} of the other`);
  }
  return spread(a.map((value, round) => value / b[round]));
}
