/** Numbers that papers published, each with how surely it is known. */

/**
 * How a number is known: `paper` was read in the paper or in its authors' code or account; `secondary` in a review, a port or
 * a note; `arithmetic` follows from a layer table by counting; `unverified` is remembered and was not found again in a source.
 */
export type Confidence = 'paper' | 'secondary' | 'arithmetic' | 'unverified';

/** One published number. */
export interface PublishedNumber {
  /** `null`: published as diverged (NaN). */
  readonly value: number | null;
  readonly confidence: Confidence;
  /** Where it stands. */
  readonly source: string;
}

/** The number as a table shows it: `78.7`, `diverged`, and a mark on what nobody should quote as the paper's. */
export function formatPublished(number: PublishedNumber, digits: number = 1): string {
  const text = number.value === null ? 'diverged' : number.value.toFixed(digits);
  return number.confidence === 'unverified' ? `${text} (unverified)` : text;
}
