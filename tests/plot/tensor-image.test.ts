import { beforeAll, describe, expect, it } from 'vitest';
import { createLoader, type RgbImage, tf } from 'detlab';
import { tensorImage, type TensorImageOptions } from '../../lib/plot/tensor-image';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** The bytes of a tensor's image, which is then disposed. */
async function bytesOf(tensor: tf.Tensor, options?: TensorImageOptions): Promise<number[]> {
  const { width, height, data } = await tensorImage(tensor, options);
  expect(data).toHaveLength(width * height * 3);
  tensor.dispose();
  return [...data];
}

describe('tensorImage', () => {
  it('takes colours from 0 to 1 or from 0 to 255', async () => {
    expect(await bytesOf(tf.tensor3d([0, 0.5, 1], [1, 1, 3]))).toEqual([0, 128, 255]);
    expect(await bytesOf(tf.tensor3d([0, 1.5, 200], [1, 1, 3]))).toEqual([0, 2, 200]);
    expect(await bytesOf(tf.tensor3d([7, 8, 9], [1, 1, 3], 'int32'))).toEqual([7, 8, 9]);
    expect(await bytesOf(tf.tensor3d([300, -0, 255], [1, 1, 3]))).toEqual([255, 0, 255]);
  });

  it('spreads what has negative values, and a single channel, over all levels', async () => {
    expect(await bytesOf(tf.tensor3d([-2, 0, 2], [1, 1, 3]))).toEqual([0, 128, 255]);
    expect(await bytesOf(tf.tensor2d([[3, 4, 5]]))).toEqual([0, 0, 0, 128, 128, 128, 255, 255, 255]);
    expect(await bytesOf(tf.tensor2d([[7, 7]]))).toEqual([0, 0, 0, 0, 0, 0]);
    expect(await bytesOf(tf.tensor2d([[true, false]], undefined, 'bool'))).toEqual([255, 255, 255, 0, 0, 0]);
  });

  it('takes the range it is told', async () => {
    expect(await bytesOf(tf.tensor2d([[0, 5, 20]]), { range: [0, 10] })).toEqual([
      0, 0, 0, 128, 128, 128, 255, 255, 255,
    ]);
    expect(await bytesOf(tf.tensor2d([[0, 1]]), { range: [1, 0] })).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('shows NaN in a colour of its own, and infinity as an end of the range', async () => {
    expect(await bytesOf(tf.tensor2d([[1, NaN, Infinity, -Infinity, 3]]))).toEqual([
      ...[0, 0, 0],
      ...[255, 0, 255],
      ...[255, 255, 255],
      ...[0, 0, 0],
      ...[255, 255, 255],
    ]);
    expect(await bytesOf(tf.tensor3d([0.5, 0.5, NaN], [1, 1, 3]))).toEqual([255, 0, 255]);
    expect(await bytesOf(tf.tensor2d([[NaN]]))).toEqual([255, 0, 255]);
  });

  it('takes one image of a batch, drops transparency, and keeps rows and columns', async () => {
    const batch = tf.tensor4d(
      Array.from({ length: 2 * 2 * 3 * 4 }, (_, i) => i),
      [2, 2, 3, 4],
    );
    const image = await tensorImage(batch, { index: 1 });
    expect([image.width, image.height]).toEqual([3, 2]);
    expect([...image.data].slice(0, 6)).toEqual([24, 25, 26, 28, 29, 30]);
    expect([...image.data].slice(9, 12)).toEqual([36, 37, 38]);
    expect(batch.isDisposed).toBe(false);
    batch.dispose();
  });

  it("undoes a loader's normalisation", async () => {
    const data = Uint8Array.from({ length: 4 * 4 * 3 }, (_, i) => i * 5);
    const original: RgbImage = { width: 4, height: 4, data };
    const example = { id: 'a', width: 4, height: 4, objects: [], image: () => Promise.resolve(original) };
    const normalisation = { mean: [123, 117, 104], std: [58, 57, 59] } as const;
    const loader = createLoader(
      { name: 'one', classes: [], examples: [example] },
      { size: 4, batchSize: 1, ...normalisation },
    );
    for await (const { images, shape } of loader.epoch(0)) {
      expect(await bytesOf(tf.tensor4d(images, [...shape]), normalisation)).toEqual([...data]);
    }
  });

  it('refuses what is no image, saying what it got', async () => {
    await expect(tensorImage(tf.zeros([4]))).rejects.toThrow('shape [4] is no image');
    await expect(tensorImage(tf.zeros([1, 8, 8, 64]))).rejects.toThrow(
      /\[1, 8, 8, 64\].*one channel of it by slice/,
    );
    await expect(tensorImage(tf.zeros([0, 4]))).rejects.toThrow('[0, 4] is no image');
    await expect(tensorImage(tf.zeros([2, 4, 4, 3]), { index: 2 })).rejects.toThrow(
      'no image 2 in a batch of 2',
    );
    const gone = tf.zeros([4, 4]);
    gone.dispose();
    await expect(tensorImage(gone)).rejects.toThrow('[4, 4] is disposed');
  });
});
