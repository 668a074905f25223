import { expect, test } from 'vitest';
import type { Batch } from '../../lib/data/loader';
import { createLoader } from '../../lib/data/loader';
import type { DetectionDataset } from '../../lib/data/types';
import { endlessly } from '../../lib/train/endlessly';

function dataset(read: string[]): DetectionDataset {
  const examples = Array.from({ length: 7 }, (_, i) => ({
    id: `image-${i}`,
    width: 4,
    height: 4,
    objects: [],
    image: () => {
      read.push(`image-${i}`);
      return Promise.resolve({ width: 4, height: 4, data: new Uint8Array(48).fill(i) });
    },
  }));
  return { name: 'seven', classes: ['x'], examples };
}

async function take(batches: AsyncGenerator<Batch, void, undefined>, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) ids.push(((await batches.next()).value as Batch).ids.join());
  await batches.return();
  return ids;
}

test('a run that starts later sees what it would have seen, and reads nothing else', async () => {
  const options = { size: 4, batchSize: 2, shuffle: 'seed', cacheImages: false } as const;
  const whole = await take(endlessly(createLoader(dataset([]), options)), 10);
  expect(new Set(whole).size).toBe(10); // every epoch has an order of its own
  for (const from of [0, 1, 3, 4, 7]) {
    const read: string[] = [];
    const rest = await take(endlessly(createLoader(dataset(read), options), from), 2);
    expect(rest).toEqual(whole.slice(from, from + 2));
    expect(read.sort()).toEqual(rest.join().split(',').sort());
  }
});

test.each([-1, 0.5, NaN])('fromStep %d is refused', async (from) => {
  await expect(
    take(endlessly(createLoader(dataset([]), { size: 4, batchSize: 2 }), from), 1),
  ).rejects.toThrow(`fromStep is ${from}`);
});
