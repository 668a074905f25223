/** Measuring: parts of the work, and several ways to do one part, in turns. */
import { performance } from 'node:perf_hooks';

/** One way to do a part. */
export interface Contestant {
  /** As the table calls it. */
  readonly name: string;
  /** Milliseconds of one run, a number a round. Empty where it could not be measured. */
  readonly rounds: readonly number[];
  /** Why it could not be measured. */
  readonly missing?: string;
  /** What it computed at first, so that one sees that all computed the same. */
  readonly values?: readonly number[];
  /** Bytes of its process: before the first run, and the most ever. */
  readonly memory?: { readonly start: number; readonly peak: number };
}

/** A part of the work, done by one or several contestants in the same rounds. */
export interface Comparison {
  readonly part: string;
  readonly size: string;
  /** Images of one run, where that is meaningful. */
  readonly images?: number;
  readonly contestants: readonly Contestant[];
}

/** A way to do something. */
export interface Way {
  readonly name: string;
  readonly run: () => unknown;
}

/** Times `work` after one warm-up run: milliseconds of each round. */
export async function time(rounds: number, work: () => unknown): Promise<number[]> {
  const [{ rounds: times }] = await takeTurns(rounds, [{ name: '', run: work }]);
  return [...times];
}

/** Times several ways in this process, each once a round after one warm-up; a way that throws is told as missing. */
export async function takeTurns(rounds: number, ways: readonly Way[]): Promise<Contestant[]> {
  const times = ways.map((): number[] => []);
  const missing = new Map<number, string>();
  for (let round = -1; round < rounds; round++) {
    for (const way of rotated(ways.length, round)) {
      if (missing.has(way)) continue;
      const started = performance.now();
      try {
        await ways[way].run();
      } catch (error) {
        missing.set(way, error instanceof Error ? error.message : String(error));
        continue;
      }
      if (round >= 0) times[way].push(performance.now() - started);
    }
  }
  return ways.map(({ name }, way) => {
    const why = missing.get(way);
    return why === undefined ? { name, rounds: times[way] } : { name, rounds: [], missing: why };
  });
}

/** Indices 0 to count - 1, beginning elsewhere in each round, so that nobody always runs after the same neighbour. */
export function rotated(count: number, round: number): number[] {
  const first = count === 0 ? 0 : ((round % count) + count) % count;
  return Array.from({ length: count }, (_, i) => (first + i) % count);
}
