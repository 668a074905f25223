/** The plan of recomputation that costs least within a memory budget, exactly. */
import type { ChainLayer, ChainSurroundings, PlanSegment, RecomputePlan } from './recompute-plan';

/** The beginning of a plan. */
interface Start {
  /** Bytes that its segments keep. */
  readonly before: number;
  /** What it is judged by: its cost so far, or its peak. */
  readonly value: number;
  readonly segment?: PlanSegment;
  readonly rest?: Start;
}

/**
 * The plan that computes the least twice among those whose peak (`planPeakBytes`) is within a budget; of several, one that keeps least at
 * the end.
 *
 * Dynamic programming over the layers: of all plans for the first layers that fit, only those are continued to which no other is superior
 * in both what it keeps and what it costs. A stored layer is a segment of its own while planning; neighbours are joined in the result.
 * @throws RangeError when no plan fits; it names the smallest budget that one fits into.
 */
export function planForBudget(
  layers: readonly ChainLayer[],
  budgetBytes: number,
  surroundings: ChainSurroundings = {},
): RecomputePlan {
  const { afterBytes = 0, ends = [] } = surroundings;
  const cheapest = best(layers, ends, (before, { kept, cost, recompute }) =>
    before.before + kept <= budgetBytes ? before.value + (recompute ? cost : 0) : undefined,
  ).filter(({ before }) => before + afterBytes <= budgetBytes);
  // The fronts are in the order of bytes kept, and so of falling cost.
  const found = cheapest[cheapest.length - 1];
  if (found) return joined(found, new Set(ends));
  const smallest = planPeakLimit(layers, surroundings);
  throw new RangeError(
    `planForBudget: no plan fits into ${budgetBytes} bytes; ` +
      `the smallest peak of this chain of ${layers.length} layers is ${smallest} bytes`,
  );
}

/** The smallest peak that any plan for the layers has. */
export function planPeakLimit(
  layers: readonly ChainLayer[],
  { afterBytes = 0, ends = [] }: ChainSurroundings = {},
): number {
  const plans = best(layers, ends, (before, { kept }) => Math.max(before.value, before.before + kept));
  return Math.min(...plans.map(({ before, value }) => Math.max(value, before + afterBytes)));
}

/** A segment that could come next. */
interface Next {
  /** Bytes that its layers keep together while their gradient is taken. */
  readonly kept: number;
  readonly cost: number;
  readonly recompute: boolean;
}

/** All plans worth having, by the bytes that they keep, from few to many, each better in `value` than those before. */
function best(
  layers: readonly ChainLayer[],
  ends: readonly number[],
  valueOf: (before: Start, next: Next) => number | undefined,
): Start[] {
  const fronts: Start[][] = layers.map(() => []);
  fronts.unshift([{ before: 0, value: 0 }]);
  layers.forEach((_, start) => {
    const front = (fronts[start] = superior(fronts[start]));
    let [kept, cost] = [0, 0];
    const limit = Math.min(layers.length, ...ends.filter((end) => end > start));
    for (let end = start; end < limit; end++) {
      kept += layers[end].keptBytes;
      cost += layers[end].cost;
      const length = end - start + 1;
      const ways = length === 1 ? [false, true] : [true];
      for (const rest of front) {
        for (const recompute of ways) {
          const value = valueOf(rest, { kept, cost, recompute });
          if (value === undefined) continue;
          const before = rest.before + (recompute ? layers[end].outputBytes : kept);
          fronts[end + 1].push({ before, value, segment: { length, recompute }, rest });
        }
      }
    }
  });
  return superior(fronts[layers.length]);
}

/** Those to which no other is superior, or equal, in both numbers. */
function superior(starts: Start[]): Start[] {
  starts.sort((a, b) => a.before - b.before || a.value - b.value);
  let least = Infinity;
  return starts.filter(({ value }) => {
    if (value >= least) return false;
    least = value;
    return true;
  });
}

/** The segments from the first to the last, stored neighbours as one, unless one ends where it must. */
function joined(last: Start, ends: ReadonlySet<number>): RecomputePlan {
  const plan: PlanSegment[] = [];
  let count = 0;
  for (let at: Start | undefined = last; at?.segment; at = at.rest) plan.unshift(at.segment);
  return plan.reduce<PlanSegment[]>((all, segment) => {
    const before = all[all.length - 1];
    const join = before && !before.recompute && !segment.recompute && !ends.has(count);
    count += segment.length;
    if (!join) return [...all, segment];
    return [...all.slice(0, -1), { length: before.length + segment.length, recompute: false }];
  }, []);
}
