import { describe, expect, test } from 'vitest';
import { createLoader, type Batch, type LoaderOptions } from '../../lib/data/loader';
import { expand, iouCrop } from '../../lib/data/transforms/crop';
import { flipHorizontal, unfitBox } from '../../lib/data/transforms/geometric';
import { normalizations } from '../../lib/data/transforms/normalization';
import { photometricDistortion } from '../../lib/data/transforms/photometric';
import { compose } from '../../lib/data/transforms/transform';
import type { DetectionDataset } from '../../lib/data/types';

/** `count` images of 20 x 10 whose values are their index; counts how often one is decoded. */
function dataset(count: number): DetectionDataset & { decoded: number } {
  const data = { name: 'test', classes: ['x'], decoded: 0, examples: [] as DetectionDataset['examples'] };
  data.examples = Array.from({ length: count }, (_, i) => ({
    id: `image-${i}`,
    width: 20,
    height: 10,
    objects: i % 3 === 2 ? [] : [{ box: [2, 1, 10, 9] as const, label: 0 }],
    image: () => {
      data.decoded++;
      return Promise.resolve({ width: 20, height: 10, data: new Uint8Array(600).fill(i + 1) });
    },
  }));
  return data;
}

async function batches(data: DetectionDataset, options: Partial<LoaderOptions>, epoch = 0): Promise<Batch[]> {
  const all: Batch[] = [];
  for await (const batch of createLoader(data, { size: 8, batchSize: 4, ...options }).epoch(epoch))
    all.push(batch);
  return all;
}

describe('createLoader', () => {
  test('pixels, shapes, boxes in input pixels, and the way back', async () => {
    const all = await batches(dataset(6), {});
    expect(all.map((batch) => batch.shape)).toEqual([
      [4, 8, 8, 3],
      [2, 8, 8, 3],
    ]);
    const [first] = all;
    expect(first.ids).toEqual(['image-0', 'image-1', 'image-2', 'image-3']);
    expect([...first.images].every((value, i) => value === Math.floor(i / 192) + 1)).toBe(true);
    expect(first.groundTruth[0][0].box).toEqual([0.8, 0.8, 4, 7.2]);
    expect(first.groundTruth[2]).toEqual([]);
    unfitBox(first.groundTruth[0][0].box, first.fits[0]).forEach((value, i) =>
      expect(value).toBeCloseTo([2, 1, 10, 9][i], 10),
    );
  });

  test('channels in the order that a network takes, each with its own mean', async () => {
    const data = dataset(1);
    const image = { width: 20, height: 10, data: new Uint8Array(600).map((_, i) => [10, 20, 30][i % 3]) };
    const colours = { ...data, examples: [{ ...data.examples[0], image: () => Promise.resolve(image) }] };
    const first = async (options: Partial<LoaderOptions>) => {
      const [batch] = await batches(colours, options);
      return [...batch.images.subarray(0, 3)];
    };
    expect(await first({ mean: [1, 2, 3] })).toEqual([9, 18, 27]);
    expect(await first({ mean: [1, 2, 3], channels: 'bgr' })).toEqual([27, 18, 9]);
    const caffe = await first({ ...normalizations.caffeSsd });
    expect(caffe).toEqual([30 - 104, 20 - 117, 10 - 123]);
    expect(() => createLoader(data, { size: 8, batchSize: 1, channels: 'grb' as 'bgr' })).toThrow(
      "channels is 'grb'; it must be 'rgb' or 'bgr'",
    );
  });

  test('height and width apart, letterbox, normalisation', async () => {
    const [batch] = await batches(dataset(1), {
      size: [6, 10],
      fit: 'letterbox',
      mean: [1, 2, 3],
      std: [2, 2, 2],
    });
    expect(batch.shape).toEqual([1, 6, 10, 3]);
    expect(batch.groundTruth[0][0].box).toEqual([1, 0.5, 5, 4.5]);
    expect([...batch.images.subarray(0, 3)]).toEqual([0, -0.5, -1]);
    unfitBox(batch.groundTruth[0][0].box, batch.fits[0]).forEach((value, i) =>
      expect(value).toBeCloseTo([2, 1, 10, 9][i], 10),
    );
  });

  test('shuffles by seed and epoch, everything once', async () => {
    const ids = async (shuffle: number | undefined, epoch: number): Promise<string[]> =>
      (await batches(dataset(10), { shuffle }, epoch)).flatMap((batch) => batch.ids);
    expect(await ids(undefined, 3)).toEqual(Array.from({ length: 10 }, (_, i) => `image-${i}`));
    const first = await ids(1, 0);
    expect(await ids(1, 0)).toEqual(first);
    expect(await ids(1, 1)).not.toEqual(first);
    expect(await ids(2, 0)).not.toEqual(first);
    expect(new Set(first).size).toBe(10);
  });

  test('drops the last, decodes once, preloads, takes an empty set', async () => {
    const data = dataset(10);
    const loader = createLoader(data, { size: 8, batchSize: 4, dropLast: true });
    const seen: number[] = [];
    await loader.preload((done) => seen.push(done));
    expect(seen).toEqual([10]);
    expect(loader.batches).toBe(2);
    for (const epoch of [0, 1])
      for await (const batch of loader.epoch(epoch)) expect(batch.ids).toHaveLength(4);
    expect(data.decoded).toBe(10);
    await batches(data, { cacheImages: false });
    expect(data.decoded).toBe(20);
    expect(await batches(dataset(0), {})).toEqual([]);
    expect(createLoader(dataset(0), { size: 8, batchSize: 4 }).batches).toBe(0);
  });

  test('augmentation is fixed by seed, epoch and image, and follows the boxes', async () => {
    for (const augment of [
      compose(flipHorizontal(), photometricDistortion()),
      compose(photometricDistortion(), expand(), iouCrop(), flipHorizontal()),
    ]) {
      const one = await batches(dataset(9), { augment, shuffle: 4 });
      expect(await batches(dataset(9), { augment, shuffle: 4 })).toEqual(one);
      expect(await batches(dataset(9), { augment, shuffle: 4 }, 1)).not.toEqual(one);
      // Another batch size gives the same image at another place.
      const other = await batches(dataset(9), { augment, shuffle: 4, batchSize: 3 });
      expect(other.flatMap((batch) => batch.groundTruth)).toEqual(one.flatMap((batch) => batch.groundTruth));
      for (const { box } of one.flatMap((batch) => batch.groundTruth.flat())) {
        expect(box[0] >= 0 && box[1] >= 0 && box[2] <= 8.001 && box[3] <= 8.001).toBe(true);
      }
    }
    const [flipped] = await batches(dataset(1), { augment: flipHorizontal(1) });
    expect(flipped.groundTruth[0][0].box).toEqual([4, 0.8, 7.2, 7.2]);
  });

  test('refuses sizes that make no sense and images of another size than annotated', async () => {
    expect(() => createLoader(dataset(1), { size: 0, batchSize: 4 })).toThrow('height is 0');
    expect(() => createLoader(dataset(1), { size: 8, batchSize: 1.5 })).toThrow('batchSize is 1.5');
    const wrong = dataset(1);
    const examples = wrong.examples.map((example) => ({ ...example, width: 21 }));
    await expect(batches({ ...wrong, examples }, {})).rejects.toThrow(
      'test, image image-0: it is 20 x 10, its annotation says 21 x 10',
    );
  });
});
