/** How alike two rankings are. */

/**
 * Kendall's tau-b of two lists of scores of the same items: 1 where they rank alike, -1 where one is the other turned over, 0 where they have
 * nothing to do with each other. Pairs that are equal in one list count as the b variant has it.
 * @returns NaN where a list has fewer than two different values.
 * @throws RangeError on lists of different lengths, or values that are not numbers.
 */
export function kendallTau(a: readonly number[], b: readonly number[]): number {
  check('kendallTau', a, b);
  let [agree, differ, onlyA, onlyB] = [0, 0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < i; j++) {
      // Infinity less itself is no number.
      const inA = a[i] === a[j] ? 0 : Math.sign(a[i] - a[j]);
      const inB = b[i] === b[j] ? 0 : Math.sign(b[i] - b[j]);
      if (inA * inB > 0) agree++;
      else if (inA * inB < 0) differ++;
      else if (inA !== 0) onlyA++;
      else if (inB !== 0) onlyB++;
    }
  }
  return (agree - differ) / Math.sqrt((agree + differ + onlyA) * (agree + differ + onlyB));
}

/**
 * Spearman's rank correlation: the correlation of the ranks, equal values sharing the mean of theirs.
 * @returns NaN where a list has fewer than two different values.
 * @throws RangeError on lists of different lengths, or values that are not numbers.
 */
export function spearmanRho(a: readonly number[], b: readonly number[]): number {
  check('spearmanRho', a, b);
  const [x, y] = [ranks(a), ranks(b)];
  const mean = (a.length - 1) / 2;
  const sum = (value: (i: number) => number): number => a.reduce((total, _, i) => total + value(i), 0);
  const covariance = sum((i) => (x[i] - mean) * (y[i] - mean));
  return covariance / Math.sqrt(sum((i) => (x[i] - mean) ** 2) * sum((i) => (y[i] - mean) ** 2));
}

/** Of each value, from 0; equal ones have the mean of their ranks. */
function ranks(values: readonly number[]): number[] {
  return values.map(
    (value) =>
      values.filter((other) => other < value).length +
      (values.filter((other) => other === value).length - 1) / 2,
  );
}

function check(where: string, a: readonly number[], b: readonly number[]): void {
  if (a.length !== b.length)
    throw new RangeError(`${where}: ${a.length} scores beside ${b.length}; give one of each item`);
  const wrong = [...a, ...b].findIndex(Number.isNaN);
  if (wrong >= 0) throw new RangeError(`${where}: score ${wrong % a.length} is not a number`);
}
