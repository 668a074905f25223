import type { Random } from 'detlab';

/** Draws nothing, for building large networks whose values don't matter. */
export const constantRandom: Random = {
  next: () => 0,
  uniform: () => 0,
  integer: () => 0,
  normal: () => 0,
  shuffle: (items) => [...items],
  pick: (items) => items[0],
  fork: () => constantRandom,
};
