import { describe, expect, test } from 'vitest';
import { rotated, takeTurns } from '../../lib/bench/measure';
import { median, ratioSpread, spread } from '../../lib/bench/statistics';

describe('statistics', () => {
  test('the median is the middle value, or the mean of the two in the middle, in whatever order', () => {
    expect(median([5, 100, 1])).toBe(5);
    expect(median([10, 1, 3, 2])).toBe(2.5);
    expect(() => median([])).toThrow(/no values/);
  });

  test('the spread', () => {
    expect(spread([3, 9, 4])).toEqual({ median: 4, min: 3, max: 9 });
  });

  test('ratios go round by round: a round in which everything was slow changes nothing', () => {
    expect(ratioSpread([10, 200, 30], [20, 400, 60])).toEqual({ median: 0.5, min: 0.5, max: 0.5 });
    // The ratio of the medians would be 30 / 60 as well, but the rounds tell of one that differs.
    expect(ratioSpread([10, 400, 30], [20, 400, 60]).max).toBe(1);
    expect(() => ratioSpread([1], [1, 2])).toThrow(/1 rounds of one, 2 of the other/);
  });
});

describe('turns', () => {
  test('everyone runs once a round, and the first is another each time', () => {
    expect([0, 1, 2, 3].map((round) => rotated(3, round))).toEqual([
      [0, 1, 2],
      [1, 2, 0],
      [2, 0, 1],
      [0, 1, 2],
    ]);
    expect(rotated(3, -1)).toEqual([2, 0, 1]);
    expect(rotated(0, 5)).toEqual([]);
  });

  test('one warm-up is not counted, and who fails is told while the others go on', async () => {
    const ran: string[] = [];
    const found = await takeTurns(2, [
      { name: 'a', run: () => ran.push('a') },
      {
        name: 'b',
        run: () => {
          if (ran.includes('b')) throw new Error('worn out');
          ran.push('b');
        },
      },
    ]);
    expect(ran.filter((name) => name === 'a')).toHaveLength(3);
    expect(found[0].rounds).toHaveLength(2);
    expect(found[1]).toEqual({ name: 'b', rounds: [], missing: 'worn out' });
  });
});
