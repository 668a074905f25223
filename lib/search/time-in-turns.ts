/** Timing many small pieces of work on a machine that others use, too. */
import { interruptSignal } from '../tensor/interrupt';
import { median } from '../tensor/median';

/** Milliseconds that a run of a piece of work takes; it need not be run for them. */
export type Stopwatch<Piece> = (piece: Piece, run: () => Promise<void>) => Promise<number>;

/** A piece of work. */
export interface TimedPiece<Piece> {
  /** What the stopwatch is told. */
  readonly piece: Piece;
  readonly run: () => Promise<void>;
}

/** Options of `timeInTurns`. */
export interface TimeInTurnsOptions<Piece> {
  /** Times that are taken of each piece. */
  readonly rounds: number;
  /** Turns of each piece before: the first may have something to build. Default 2. */
  readonly warmUps?: number;
  /** Default `wallClock`. */
  readonly stopwatch?: Stopwatch<Piece>;
  /** Called after every turn; those of the warm-up take longest. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Runs it twice and times the second: the first brings what it needs back into the caches. */
export const wallClock: Stopwatch<unknown> = async (_, run) => {
  await run();
  const started = performance.now();
  await run();
  return performance.now() - started;
};

/**
 * The time of each piece of work, milliseconds. The pieces take turns in rounds, each round beginning with another one, and what slowed a
 * round down as a whole is taken out: see `typicalTimes`.
 * @throws RangeError on counts that are none; the reason of the kernel's interrupt.
 */
export async function timeInTurns<Piece>(
  pieces: readonly TimedPiece<Piece>[],
  { rounds, warmUps = 2, stopwatch = wallClock, onProgress }: TimeInTurnsOptions<Piece>,
): Promise<number[]> {
  if (!(Number.isInteger(rounds) && rounds >= 1))
    throw new RangeError(`timeInTurns: rounds is ${rounds}; it must be a whole number above 0`);
  if (!(Number.isInteger(warmUps) && warmUps >= 0))
    throw new RangeError(`timeInTurns: warmUps is ${warmUps}; it must be a whole number from 0`);
  const times = pieces.map((): number[] => []);
  const total = pieces.length * (warmUps + rounds);
  let done = 0;
  for (let round = -warmUps; round < rounds; round++) {
    for (let turn = 0; turn < pieces.length; turn++) {
      interruptSignal()?.throwIfAborted();
      const i = (turn + round + warmUps) % pieces.length;
      const { piece, run } = pieces[i];
      const time = await stopwatch(piece, run);
      if (round >= 0) times[i].push(time);
      onProgress?.(++done, total);
    }
    // A turn of the event loop: displays are sent and an interrupt is seen.
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return typicalTimes(times);
}

/**
 * What each piece of work takes in a typical round: the median of its times, each divided by how slow its round was, which the round's
 * other pieces tell. Other programs come and go in seconds, a round takes about one: so a busy spell hardly moves what pieces take beside
 * each other.
 * @param times `[piece][round]`.
 */
export function typicalTimes(times: readonly (readonly number[])[]): number[] {
  const usual = times.map(median);
  const rounds = times[0]?.map((_, round) => round) ?? [];
  // Pieces that take no time tell nothing.
  const telling = times.map((_, i) => i).filter((i) => usual[i] > 0);
  if (telling.length === 0) return usual;
  const slowness = rounds.map((round) => median(telling.map((i) => times[i][round] / usual[i])));
  // A round in which most pieces took no time has nothing to be divided by.
  return times.map((own) => median(own.map((time, round) => time / (slowness[round] || 1))));
}
