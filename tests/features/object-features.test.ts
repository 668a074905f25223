import { beforeAll, describe, expect, test } from 'vitest';
import type { Box, GroundTruth } from '../../lib/boxes/types';
import type { DetectionDataset } from '../../lib/data/types';
import { objectFeatures } from '../../lib/features/object-features';
import type { Backbone } from '../../lib/models/backbones/backbone';
import { Module } from '../../lib/nn/module';
import { useBackend } from '../../lib/tensor/backend';
import { createRandom } from '../../lib/tensor/random';
import { tf } from '../../lib/tensor/tf';

beforeAll(() => useBackend({ backend: 'cpu' }));

/** Means of 4 x 4 and of 8 x 8 pixels: features that can be had by hand. */
class Means extends Module implements Backbone {
  readonly channels: readonly number[] = [3, 3];
  forward(x: tf.Tensor4D): tf.Tensor4D[] {
    return [4, 8].map((size) => tf.avgPool(x, size, size, 'valid'));
  }
  mapSizes(inputSize: number): number[] {
    return [inputSize / 4, inputSize / 8];
  }
}

const size = 16;

function dataset(objects: readonly (readonly GroundTruth[])[]): DetectionDataset & { read: string[] } {
  const read: string[] = [];
  const examples = objects.map((own, i) => ({
    id: `image-${i}`,
    width: size,
    height: size,
    objects: own,
    image: () => {
      read.push(`image-${i}`);
      const random = createRandom(i);
      const data = Uint8Array.from({ length: size * size * 3 }, () => random.integer(256));
      return Promise.resolve({ width: size, height: size, data });
    },
  }));
  return { name: 'test', classes: ['a', 'b'], examples, read };
}

/** The mean over a box, of sides in quarters of pixels: each sixteenth of a pixel has its cell's feature. */
async function byHand(data: DetectionDataset, image: number, box: Box, cell: number): Promise<number[]> {
  const pixels = (await data.examples[image].image()).data;
  const at = (x: number, y: number, c: number): number => pixels[(y * size + x) * 3 + c];
  const mean = (row: number, col: number, c: number): number => {
    let sum = 0;
    for (let y = 0; y < cell; y++)
      for (let x = 0; x < cell; x++) sum += at(col * cell + x, row * cell + y, c);
    return sum / (cell * cell);
  };
  const [x1, y1, x2, y2] = box;
  return [0, 1, 2].map((c) => {
    let [sum, count] = [0, 0];
    for (let y = y1 + 0.125; y < y2; y += 0.25) {
      for (let x = x1 + 0.125; x < x2; x += 0.25, count++) {
        sum += mean(Math.floor(y / cell), Math.floor(x / cell), c);
      }
    }
    return sum / count;
  });
}

describe('objectFeatures', () => {
  const objects: GroundTruth[][] = [
    [
      { box: [0, 0, 8, 8], label: 0 },
      { box: [5.5, 9, 15, 13.25], label: 1 },
    ],
    [],
    [
      { box: [1, 1, 2, 3], label: 0 },
      { box: [0, 0, 16, 16], label: 0, crowd: true },
      { box: [20, 2, 30, 9], label: 0 },
      { box: [6, 2, 16, 16], label: 1 },
    ],
  ];

  test.each([
    [0, 4],
    [undefined, 8],
  ])('stage %s: the mean over the box of cells of %d pixels', async (stage, cell) => {
    const data = dataset(objects);
    const tensors = tf.memory().numTensors;
    const found = await objectFeatures(new Means(), data, { size, batchSize: 2, stage });
    expect(tf.memory().numTensors).toBe(tensors);
    expect(found.dimensions).toBe(3);
    expect(data.read).toEqual(['image-0', 'image-2']);
    expect(found.objects.map(({ imageId, label, box }) => [imageId, label, ...box])).toEqual([
      ['image-0', 0, 0, 0, 8, 8],
      ['image-0', 1, 5.5, 9, 15, 13.25],
      ['image-2', 0, 1, 1, 2, 3],
      ['image-2', 1, 6, 2, 16, 16],
    ]);
    for (const [i, { imageId, box }] of found.objects.entries()) {
      const expected = await byHand(data, Number(imageId.slice(6)), box, cell);
      expected.forEach((value, c) => expect(found.features[i * 3 + c]).toBeCloseTo(value, 3));
    }
  });

  test('normalised, and scaled to the input: boxes go along', async () => {
    const data = dataset(objects);
    const plain = await objectFeatures(new Means(), data, { size, batchSize: 4, stage: 0 });
    const options = { size: [32, 48] as const, batchSize: 1, stage: 0, method: 'nearest' as const };
    const larger = await objectFeatures(new Means(), data, { ...options, mean: [1, 2, 3], std: [2, 4, 5] });
    expect(larger.objects).toEqual(plain.objects);
    // The first box covers whole cells in both.
    [0, 1, 2].forEach((c) =>
      expect(larger.features[c]).toBeCloseTo((plain.features[c] - (c + 1)) / [2, 4, 5][c], 3),
    );
  });

  test('at most so many, and only their images are read', async () => {
    const data = dataset(objects);
    const one = await objectFeatures(new Means(), data, { size, batchSize: 4, perClass: 1 });
    expect(one.objects.map(({ imageId, label }) => [imageId, label])).toEqual([
      ['image-0', 0],
      ['image-0', 1],
    ]);
    expect(data.read).toEqual(['image-0']);
    const three = await objectFeatures(new Means(), data, { size, batchSize: 4, limit: 3 });
    expect(three.objects.map(({ label }) => label)).toEqual([0, 1, 0]);
    expect(three.features).toHaveLength(9);
    const none = await objectFeatures(new Means(), dataset([[]]), { size, batchSize: 4 });
    expect([none.features.length, none.objects.length]).toEqual([0, 0]);
  });

  test('refuses stages and limits that make no sense', async () => {
    const run = (options: object) =>
      objectFeatures(new Means(), dataset(objects), { size, batchSize: 1, ...options });
    await expect(run({ stage: 2 })).rejects.toThrow('stage is 2; the trunk has stages 0 to 1');
    await expect(run({ limit: 0 })).rejects.toThrow('limit is 0');
    await expect(run({ perClass: 1.5 })).rejects.toThrow('perClass is 1.5');
  });
});
