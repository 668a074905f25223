/** Which of several ways is ahead after how many steps, where some prepare themselves first and then go faster. */

/** What a way of taking steps costs. */
export interface StepCost {
  readonly name: string;
  /** Before the first step: milliseconds. */
  readonly once: number;
  /** Of every step, what is prepared anew for each included: milliseconds. */
  readonly each: number;
}

/** The way that has taken the least time when `from` steps are done, and until the next one does. */
export interface Lead {
  readonly name: string;
  /** A whole number of steps, from 1. */
  readonly from: number;
}

/** Who leads from the first step on, in order; the last one keeps the lead. Of equals, the one that led before. */
export function leads(costs: readonly StepCost[]): Lead[] {
  const found: Lead[] = [];
  const total = ({ once, each }: StepCost, steps: number): number => once + steps * each;
  let steps = 1;
  let waiting = [...costs];
  while (waiting.length > 0) {
    const leader = waiting.reduce((a, b) => (total(b, steps) < total(a, steps) ? b : a));
    found.push({ name: leader.name, from: steps });
    // Only a faster step can catch up; the next to do so is the one that needs the fewest steps.
    waiting = waiting.filter(({ each }) => each < leader.each);
    steps = Math.min(...waiting.map((way) => breakEven(way, leader)));
  }
  return found;
}

/** The first whole number of steps after which `way`, whose step is the faster one, has taken less time than `other`. At least 1. */
export function breakEven(way: StepCost, other: StepCost): number {
  return Math.max(1, Math.floor((way.once - other.once) / (other.each - way.each)) + 1);
}
