/** "Did you mean …?": the choice that is closest to what was typed. */

/**
 * The element of `choices` nearest to `word` by edit distance, case ignored; a prefix counts as near. `undefined` where
 * nothing is close enough to be a likely slip.
 */
export function nearest(word: string, choices: readonly string[]): string | undefined {
  const typed = word.toLowerCase();
  let best: string | undefined;
  let bestDistance = Infinity;
  for (const choice of choices) {
    const name = choice.toLowerCase();
    const isPrefix = typed.length >= 2 && (name.startsWith(typed) || typed.startsWith(name));
    const distance = isPrefix ? 0.5 : editDistance(typed, name);
    if (distance < bestDistance) [best, bestDistance] = [choice, distance];
  }
  const longest = Math.max(typed.length, best?.length ?? 0);
  return bestDistance <= Math.max(2, longest / 3) && bestDistance < longest ? best : undefined;
}

/** Levenshtein's distance, where swapping two neighbours counts once (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = rows[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(rows[i - 1][j] + 1, row[j - 1] + 1, substitute);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j], rows[i - 2][j - 2] + 1);
    }
    rows.push(row);
  }
  return rows[a.length][b.length];
}
