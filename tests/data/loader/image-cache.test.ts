import { expect, test } from 'vitest';
import { createLoader } from '../../../lib/data/loader';
import { ImageCache } from '../../../lib/data/loader/image-cache';
import type { Sample } from '../../../lib/data/transforms/transform';
import type { DetectionDataset } from '../../../lib/data/types';

const sampleOf = (value: number): Sample => ({
  image: { width: 2, height: 1, data: new Uint8Array(6).fill(value) },
  objects: [{ box: [0, 0, 1, 1], label: value }],
});

test('keeps what comes first, to the byte, and nothing beyond', () => {
  const cache = new ImageCache(12);
  expect(cache.open).toBe(true);
  for (const i of [5, 3, 3, 9]) cache.add(i, sampleOf(i));
  expect([5, 3, 9].map((i) => cache.get(i)?.image.data[0])).toEqual([5, 3, undefined]);
  expect(cache.bytes).toBe(12);
  expect(cache.open).toBe(false);
  cache.clear();
  expect(cache.open).toBe(true);
  expect(cache.get(5)).toBeUndefined();
  expect(new ImageCache(0).open).toBe(false);
});

test('shares a sample with threads once, the same pixels', () => {
  const cache = new ImageCache(100);
  cache.add(1, sampleOf(7));
  const shared = cache.getShared(1)!;
  expect(shared.image.data.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect(shared).toEqual(sampleOf(7));
  expect(cache.getShared(1)).toBe(shared);
  expect(cache.get(1)).toBe(shared);
});

test('a loader decodes again only what does not fit, in any order', async () => {
  let decoded = 0;
  const examples = Array.from({ length: 10 }, (_, i) => ({
    id: `${i}`,
    width: 4,
    height: 4,
    objects: [],
    image: () => {
      decoded++;
      return Promise.resolve({ width: 4, height: 4, data: new Uint8Array(48).fill(i) });
    },
  }));
  const dataset: DetectionDataset = { name: 'ten', classes: [], examples };
  const counts = async (cacheBytes: number): Promise<number[]> => {
    const loader = createLoader(dataset, { size: 4, batchSize: 3, shuffle: 1, cacheBytes });
    const epochs: number[] = [];
    for (const epoch of [0, 1, 2]) {
      decoded = 0;
      for await (const batch of loader.epoch(epoch)) expect(batch.images).toHaveLength(batch.ids.length * 48);
      epochs.push(decoded);
    }
    return epochs;
  };
  expect(await counts(480)).toEqual([10, 0, 0]);
  expect(await counts(4 * 48)).toEqual([10, 6, 6]);
  expect(await counts(0)).toEqual([10, 10, 10]);
  const loader = createLoader(dataset, { size: 4, batchSize: 3, cacheBytes: 5 * 48 });
  decoded = 0;
  await loader.preload();
  expect(decoded).toBe(10); // in one part of 32; a larger set stops where the cache is full
  expect(() => createLoader(dataset, { size: 4, batchSize: 3, cacheBytes: NaN })).toThrow(
    'cacheBytes is NaN',
  );
});
