/** A chain cut by a plan of recomputation. */
import type { RecomputePlan } from './recompute-plan';

/**
 * The layers of each segment of a plan.
 * @param caller for the message
 * @throws RangeError when the plan is not one for these layers.
 */
export function segmentsOf<T>(
  caller: string,
  layers: readonly T[],
  plan: RecomputePlan,
): { readonly layers: readonly T[]; readonly recompute: boolean }[] {
  const lengths = plan.map(({ length }) => length);
  if (!lengths.every((length) => Number.isInteger(length) && length > 0)) {
    throw new RangeError(`${caller}: a segment has one layer or more, got lengths ${lengths.join(', ')}`);
  }
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (total !== layers.length) {
    throw new RangeError(
      `${caller}: the plan's segments have ${total} layers (${lengths.join(' + ')}), ` +
        `the chain has ${layers.length}; make the plan for this chain`,
    );
  }
  let start = 0;
  return plan.map(({ length, recompute }) => ({ layers: layers.slice(start, (start += length)), recompute }));
}
