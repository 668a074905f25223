import { beforeAll, describe, expect, test } from 'vitest';
import {
  binnedPath,
  createRandom,
  detNasBins,
  detNasCosts,
  detNasSizes,
  pathCost,
  uniformPath,
  useBackend,
} from 'detlab';

beforeAll(async () => {
  await useBackend();
});

describe('paths to train on', () => {
  test('uniform ones take each choice of each block as often', () => {
    const space = { choices: [4, 2, 3] };
    const random = createRandom(1);
    const counts = space.choices.map((count) => new Array<number>(count).fill(0));
    for (let i = 0; i < 6000; i++)
      uniformPath(space, random).forEach((choice, block) => counts[block][choice]++);
    counts.forEach((own) => {
      const expected = 6000 / own.length;
      const chi = own.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
      expect(chi).toBeLessThan(21); // once in ten thousand times with 3 degrees of freedom
    });
  });

  test('binned ones fall into each range of costs as often', () => {
    const costs = detNasCosts(detNasSizes.small);
    const extra = 33_101_824; // of the classifier: 640 to 1024 channels on 7x7 cells, and 1000 classes
    const { from, width, count } = detNasBins;
    const random = createRandom(1);
    const bins = new Array<number>(count).fill(0);
    let outside = 0;
    for (let i = 0; i < 1400; i++) {
      const bin = Math.floor(
        (pathCost(costs, binnedPath(costs, detNasBins, random, extra)).multiplyAdds + extra - from) / width,
      );
      if (bin in bins) bins[bin]++;
      else outside++;
    }
    // The rarest ranges are met within 500 draws nearly always; what is not is any path.
    expect(outside).toBeLessThan(60);
    for (const times of bins) expect(Math.abs(times - 200)).toBeLessThan(5 * 14 + 60);
    // Uniform paths bunch in the middle.
    const uniform = new Array<number>(count).fill(0);
    for (let i = 0; i < 1400; i++) {
      const bin = Math.floor(
        (pathCost(costs, uniformPath(costs.space, random)).multiplyAdds + extra - from) / width,
      );
      if (bin in uniform) uniform[bin]++;
    }
    expect(Math.max(...uniform)).toBeGreaterThan(5 * Math.min(...uniform));
  });
});
