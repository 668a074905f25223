/** What a comparison of two backends is made of, and how far two lists of numbers are apart. */

/** One thing that was compared. */
export interface Check {
  readonly group: string;
  readonly name: string;
  /** The largest distance, as a share of 1 + the largest value that was expected; infinite where it could not be told. */
  readonly distance: number;
  readonly tolerance: number;
  readonly ok: boolean;
  /** What was wrong. */
  readonly problem?: string;
}

/** A result: its shape, or any other description, and its numbers. */
export interface Values {
  readonly shape: string;
  readonly numbers: ArrayLike<number>;
}

/** Compares `actual` with `expected`. */
export function compare(
  group: string,
  name: string,
  actual: Values,
  expected: Values,
  tolerance: number,
): Check {
  const failed = (problem: string): Check => ({
    group,
    name,
    distance: Infinity,
    tolerance,
    ok: false,
    problem,
  });
  if (actual.shape !== expected.shape || actual.numbers.length !== expected.numbers.length) {
    return failed(`${actual.shape} in place of ${expected.shape}`);
  }
  let scale = 1;
  for (let i = 0; i < expected.numbers.length; i++)
    scale = Math.max(scale, 1 + Math.abs(expected.numbers[i]));
  let worst = 0;
  let at = 0;
  for (let i = 0; i < expected.numbers.length; i++) {
    const distance = Math.abs(actual.numbers[i] - expected.numbers[i]);
    if (Number.isNaN(distance)) {
      return failed(`value ${i} is ${actual.numbers[i]} in place of ${expected.numbers[i]}`);
    }
    if (distance > worst) [worst, at] = [distance, i];
  }
  const distance = worst / scale;
  if (distance <= tolerance) return { group, name, distance, tolerance, ok: true };
  const problem = `value ${at} is ${actual.numbers[at]} in place of ${expected.numbers[at]}`;
  return { group, name, distance, tolerance, ok: false, problem };
}
