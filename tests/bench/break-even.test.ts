/** Who is ahead after how many steps: against counting step by step. */
import { describe, expect, test } from 'vitest';
import { createRandom } from 'detlab';
import { breakEven, leads, type StepCost } from '../../lib/bench/break-even';

/** Who has taken the least time after each step; of equals who led before, else the one named first. */
function counted(costs: readonly StepCost[], steps: number): string[] {
  const total = ({ once, each }: StepCost, step: number): number => once + step * each;
  let leader: StepCost | undefined;
  return Array.from({ length: steps }, (_, i) => {
    const least = Math.min(...costs.map((cost) => total(cost, i + 1)));
    if (!leader || total(leader, i + 1) > least) leader = costs.find((cost) => total(cost, i + 1) === least)!;
    return leader.name;
  });
}

describe('the lead', () => {
  const slow: StepCost = { name: 'slow', once: 0, each: 100 };
  const middle: StepCost = { name: 'middle', once: 500, each: 50 };
  const fast: StepCost = { name: 'fast', once: 2000, each: 10 };

  test('passes on to whoever prepares longer and steps faster', () => {
    expect(leads([slow, middle, fast])).toEqual([
      { name: 'slow', from: 1 },
      { name: 'middle', from: 11 },
      { name: 'fast', from: 38 },
    ]);
    expect(leads([fast, middle])).toEqual([
      { name: 'middle', from: 1 },
      { name: 'fast', from: 38 },
    ]);
  });

  test('skips who is never ahead', () => {
    const never: StepCost = { name: 'never', once: 1900, each: 50 };
    expect(leads([never, slow, fast]).map(({ name }) => name)).toEqual(['slow', 'fast']);
    expect(leads([])).toEqual([]);
  });

  test('at equal times stays where it is, and a break-even is a step later', () => {
    expect(breakEven(middle, slow)).toBe(11);
    expect(middle.once + 10 * middle.each).toBe(10 * slow.each);
    expect(breakEven({ name: 'at once', once: 0, each: 1 }, slow)).toBe(1);
  });

  test('is what counting gives, for costs drawn at random', () => {
    const random = createRandom('leads');
    for (let i = 0; i < 200; i++) {
      const costs = Array.from({ length: 1 + random.integer(5) }, (_, k): StepCost => {
        return { name: String(k), once: random.integer(400), each: 1 + random.integer(40) };
      });
      const found = leads(costs);
      const byStep = counted(costs, 500).map((name, step, all) => (name === all[step - 1] ? '' : name));
      const changes = byStep.flatMap((name, step) => (name === '' ? [] : [{ name, from: step + 1 }]));
      expect(found.filter(({ from }) => from <= 500)).toEqual(changes);
    }
  });
});
