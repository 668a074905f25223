import { describe, expect, test } from 'vitest';
import { classFrequencies } from '../../lib/data/class-frequencies';
import { createLoader, type Batch, type LoaderOptions } from '../../lib/data/loader';
import { repeatFactors } from '../../lib/data/repeat-factors';
import { photometricDistortion } from '../../lib/data/transforms/photometric';
import { defineTransform, type Transform } from '../../lib/data/transforms/transform';
import type { DetectionDataset } from '../../lib/data/types';
import { endlessly } from '../../lib/train/endlessly';

/** An image of one grey for each list of labels. */
function dataset(labels: readonly (readonly number[])[]): DetectionDataset {
  return {
    name: 'tail',
    classes: ['often', 'seldom', 'once', 'never'],
    examples: labels.map((own, i) => ({
      id: `image-${i}`,
      width: 4,
      height: 4,
      objects: own.map((label) => ({ box: [0, 0, 2, 2] as const, label })),
      image: () => Promise.resolve({ width: 4, height: 4, data: new Uint8Array(48).fill(100 + i) }),
    })),
  };
}

/** 20 images: 17 show class 0, 4 class 1, 1 class 2; one shows nothing. */
const tail = dataset([
  [0, 0, 0],
  [0, 1, 1],
  [1],
  [2, 1, 0],
  [],
  [1],
  ...Array.from({ length: 13 }, () => [0]),
  [0],
]);

describe('classFrequencies', () => {
  test('images, objects and groups by label', () => {
    const found = classFrequencies(tail, { rare: 1, common: 4 });
    expect(found).toEqual([
      { class: 'often', images: 17, objects: 19, frequency: 'frequent' },
      { class: 'seldom', images: 4, objects: 5, frequency: 'common' },
      { class: 'once', images: 1, objects: 1, frequency: 'rare' },
      { class: 'never', images: 0, objects: 0, frequency: 'rare' },
    ]);
    expect(classFrequencies(tail).map(({ frequency }) => frequency)).toEqual([
      'common',
      'rare',
      'rare',
      'rare',
    ]);
    expect(() => classFrequencies(dataset([[0], [4]]))).toThrow('tail, image image-1 has label 4');
  });
});

describe('repeatFactors', () => {
  test('by hand: sqrt(t / f) of the rarest class, 1 for frequent ones and for no objects', () => {
    const found = repeatFactors(tail, 0.45);
    // f is 17 / 20, 4 / 20 and 1 / 20.
    const [seldom, once] = [Math.sqrt(0.45 / 0.2), Math.sqrt(0.45 / 0.05)];
    const expected = [1, seldom, seldom, once, 1, seldom, ...new Array<number>(14).fill(1)];
    expected.forEach((value, i) => expect(found[i]).toBeCloseTo(value, 12));
    expect(found).toHaveLength(20);
    expect([seldom, once]).toEqual([expect.closeTo(1.5, 12), expect.closeTo(3, 12)]);
    expect([...repeatFactors(tail, 0)]).toEqual(new Array(20).fill(1));
    expect(() => repeatFactors(tail, 2)).toThrow('threshold is 2');
    expect(repeatFactors(dataset([]), 0.1)).toHaveLength(0);
  });
});

describe('createLoader with repeat', () => {
  const factors = repeatFactors(tail, 0.35); // 1, 1.32..., 2.64...
  const sum = factors.reduce((a, b) => a + b);

  const loaderOf = (options: Partial<LoaderOptions>, data = tail) =>
    createLoader(data, { size: 4, batchSize: 6, shuffle: 1, workers: 0, repeat: factors, ...options });
  const collect = async (batches: AsyncIterable<Batch>): Promise<Batch[]> => {
    const all: Batch[] = [];
    for await (const batch of batches) all.push(batch);
    return all;
  };
  const idsOf = (batches: readonly Batch[]): string[] => batches.flatMap(({ ids }) => [...ids]);

  test('every epoch has the same length; counts are near their factor in each, and equal on average', async () => {
    const loader = loaderOf({});
    const length = Math.ceil(sum);
    expect(sum).toBeGreaterThan(22);
    expect(loader.batches).toBe(Math.ceil(length / 6));
    const epochs = 400;
    const totals = new Array<number>(20).fill(0);
    let differ = 0;
    let before = '';
    for (let epoch = 0; epoch < epochs; epoch++) {
      const ids = idsOf(await collect(loader.epoch(epoch)));
      expect(ids).toHaveLength(length);
      const counts = tail.examples.map(({ id }) => ids.filter((one) => one === id).length);
      counts.forEach((count, i) => {
        const wanted = (factors[i] * length) / sum;
        expect(Math.abs(count - wanted)).toBeLessThan(1 + 1e-9);
        expect(count).toBeGreaterThanOrEqual(1);
        totals[i] += count;
      });
      differ += Number(String(counts) !== before);
      before = String(counts);
    }
    expect(differ).toBeGreaterThan(epochs / 2);
    // A count is rounded up or down: its deviation is at most 1/2 an epoch. 4.5 of 400 epochs' mean: 0.1125.
    totals.forEach((total, i) =>
      expect(Math.abs(total / epochs - (factors[i] * length) / sum)).toBeLessThan(0.1125),
    );
  });

  test('the same by seed and epoch, from any batch on, and as one endless row', async () => {
    const ids = async (epoch: number, from = 0, options: Partial<LoaderOptions> = {}) =>
      idsOf(await collect(loaderOf(options).epoch(epoch, from)));
    expect(await ids(3)).toEqual(await ids(3));
    expect(await ids(3, 2)).toEqual((await ids(3)).slice(12));
    expect(await ids(3, 0, { shuffle: 2 })).not.toEqual(await ids(3));
    expect(await ids(4)).not.toEqual(await ids(3));
    const loader = loaderOf({ dropLast: true });
    expect(loader.batches).toBe(Math.floor(Math.ceil(sum) / 6));
    const seen: string[][] = [];
    for await (const { ids: batch } of endlessly(loader, loader.batches + 1)) {
      seen.push([...batch]);
      if (seen.length === loader.batches) break;
    }
    const expected = [...(await collect(loader.epoch(1, 1))), ...(await collect(loader.epoch(2)))];
    expect(seen).toEqual(expected.slice(0, seen.length).map((batch) => [...batch.ids]));
  });

  test('factors of 1 change nothing; without shuffle, copies stand side by side', async () => {
    const augment = photometricDistortion();
    const plain = await collect(loaderOf({ repeat: undefined, augment }).epoch(2));
    expect(await collect(loaderOf({ repeat: new Array<number>(20).fill(1), augment }).epoch(2))).toEqual(
      plain,
    );
    const thirds = loaderOf({ repeat: new Array<number>(20).fill(1 / 3), batchSize: 1 }, tail);
    expect(thirds.batches).toBe(7);
    const three = dataset([[0], [1], [2]]);
    const ordered = loaderOf({ repeat: [1, 3, 0], shuffle: undefined, batchSize: 2 }, three);
    expect(idsOf(await collect(ordered.epoch(0)))).toEqual(['image-0', 'image-1', 'image-1', 'image-1']);
  });

  test('copies of an image are augmented differently, and have other partners', async () => {
    const partners: string[] = [];
    const watch = defineTransform(
      (sample, _, others) => {
        partners.push(`${sample.image.data[0]} with ${others.map(({ image }) => image.data[0])}`);
        return sample;
      },
      { partners: 3 },
    );
    const options = { repeat: [...new Array<number>(19).fill(0), 4] };
    await collect(loaderOf({ ...options, augment: watch }).epoch(0));
    expect(partners).toHaveLength(4);
    expect(new Set(partners).size).toBe(4);
    const noise: Transform = defineTransform(({ image, objects }, random) => ({
      image: { ...image, data: image.data.map(() => random.integer(256)) },
      objects,
    }));
    const [batch] = await collect(loaderOf({ ...options, augment: noise }).epoch(0));
    expect(batch.ids).toEqual(new Array(4).fill('image-19'));
    const pictures = [0, 1, 2, 3].map((i) => String(batch.images.subarray(i * 48, (i + 1) * 48)));
    expect(new Set(pictures).size).toBe(4);
  });

  test('refuses factors that fit no image, or leave none', () => {
    expect(() => loaderOf({ repeat: [1, 2] })).toThrow('repeat has 2 numbers for 20 images');
    const wrong = Float64Array.from(factors);
    wrong[7] = -1;
    expect(() => loaderOf({ repeat: wrong })).toThrow('repeat[7] is -1');
    wrong[7] = NaN;
    expect(() => loaderOf({ repeat: wrong })).toThrow('repeat[7] is NaN');
    expect(() => loaderOf({ repeat: new Array<number>(20).fill(0) })).toThrow('0 for every image');
    expect(loaderOf({ repeat: [] }, dataset([])).batches).toBe(0);
  });
});
