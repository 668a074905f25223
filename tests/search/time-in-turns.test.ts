/** Times taken in turns: every piece its turn, and what slows a whole round down is taken out. */
import { describe, expect, test } from 'vitest';
import { createRandom, timeInTurns, typicalTimes } from 'detlab';

const never = (): Promise<void> => Promise.reject(new Error('not to be run'));

describe('pieces', () => {
  test('take turns, every round beginning with another; the warm-up does not count', async () => {
    const order: string[] = [];
    const progress: string[] = [];
    const pieces = ['a', 'b', 'c'].map((piece) => ({ piece, run: never }));
    const took: Record<string, number> = { a: 1, b: 10, c: 100 };
    const times = await timeInTurns(pieces, {
      rounds: 3,
      warmUps: 1,
      stopwatch: (piece) => Promise.resolve(took[piece] * (order.push(piece) <= 3 ? 1000 : 1)),
      onProgress: (done, total) => progress.push(`${done}/${total}`),
    });
    expect(order.join('')).toBe('abcbcacababc');
    expect(times).toEqual([1, 10, 100]);
    expect(progress).toHaveLength(12);
    expect(progress.at(-1)).toBe('12/12');
  });

  test('are run twice for each of their times', async () => {
    let runs = 0;
    const [time] = await timeInTurns([{ piece: 0, run: () => Promise.resolve(void runs++) }], { rounds: 2 });
    expect(runs).toBe(8);
    expect(time).toBeGreaterThanOrEqual(0);
  });

  test.each([
    [{ rounds: 0 }, /rounds is 0/],
    [{ rounds: 2.5 }, /rounds is 2.5/],
    [{ rounds: 1, warmUps: -1 }, /warmUps is -1/],
  ])('refuse %o', async (options, message) => {
    await expect(timeInTurns([{ piece: 0, run: never }], options)).rejects.toThrow(message);
  });
});

describe('typical times', () => {
  test('are the times themselves in even rounds', () => {
    expect(
      typicalTimes([
        [3, 3, 3],
        [7, 7, 7],
      ]),
    ).toEqual([3, 7]);
    expect(typicalTimes([])).toEqual([]);
    expect(
      typicalTimes([
        [0, 0],
        [0, 0],
      ]),
    ).toEqual([0, 0]);
  });

  test('do not hang on how slow a round was, as the medians do', () => {
    const random = createRandom('turns');
    const took = Array.from({ length: 20 }, (_, i) => 1 + i);
    const slowness = Array.from({ length: 9 }, () => random.uniform(1, 5));
    // One piece was disturbed in most rounds by itself.
    const times = took.map((time, i) => slowness.map((slow) => time * slow * (i === 4 ? 2 : 1)));
    const typical = typicalTimes(times);
    const level = typical[0];
    typical.forEach((time, i) => expect(time / level).toBeCloseTo(took[i] * (i === 4 ? 2 : 1), 9));
  });

  test('a single disturbed time does not count', () => {
    const times = [1, 2, 3, 4, 5].map((time) => new Array<number>(5).fill(time));
    times[2][1] = 1000;
    expect(typicalTimes(times)).toEqual([1, 2, 3, 4, 5]);
  });
});
