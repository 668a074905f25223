/** How training normalises: over groups of images, or not at all. */
import { describe, expect, test } from 'vitest';
import {
  applyStatistics,
  BatchNorm2d,
  batchNormByImages,
  batchNormLayers,
  type BatchStatistics,
  createRandom,
  freezeBatchNorm,
  ResNet,
  resNetStems,
  tf,
} from 'detlab';
import { backends, expectClose, on, randomTensor } from '../tensor/kernels/backends';

describe.each(backends)('on %s', (backend) => {
  on(backend);

  test('groups of images are normalised as batches of their own: values, statistics and gradients', () => {
    tf.tidy(() => {
      const [whole, alone] = [1, 2].map(() => new BatchNorm2d({ channels: 5 }));
      for (const layer of [whole, alone]) {
        layer.weight.assign(tf.tensor1d([0.5, 1, 2, -1, 3]));
        layer.bias.assign(tf.tensor1d([0, 1, -1, 0.5, 2]));
      }
      const x = randomTensor<tf.Rank.R4>([6, 4, 3, 5], 'x');
      const dy = randomTensor<tf.Rank.R4>([6, 4, 3, 5], 'dy');
      const statistics: BatchStatistics[] = [];
      const batchNorm = batchNormByImages(2);
      const xs = [x, whole.weight, whole.bias];
      const grouped = tf.grads((input) =>
        whole
          .forward(input as tf.Tensor4D, { training: true, batchNorm, statistics })
          .mul(dy)
          .sum(),
      );
      const [dx, dScale, dShift] = grouped(xs);

      const parts = [0, 2, 4].map((from) => {
        const own: BatchStatistics[] = [];
        const [a, b, c] = tf.grads((input) => {
          const y = alone.forward(input as tf.Tensor4D, { training: true, statistics: own });
          return y.mul(tf.slice(dy, [from, 0, 0, 0], [2, 4, 3, 5])).sum();
        })([tf.slice(x, [from, 0, 0, 0], [2, 4, 3, 5]), alone.weight, alone.bias]);
        return { gradients: [a, b, c], own: own[0] };
      });
      expectClose(
        dx.dataSync(),
        tf.concat(parts.map(({ gradients }) => gradients[0])).dataSync(),
        1e-5,
        'dx',
      );
      expectClose(
        dScale.dataSync(),
        tf.addN(parts.map(({ gradients }) => gradients[1])).dataSync(),
        1e-5,
        'scale',
      );
      expectClose(
        dShift.dataSync(),
        tf.addN(parts.map(({ gradients }) => gradients[2])).dataSync(),
        1e-5,
        'shift',
      );
      const mean = tf.addN(parts.map(({ own }) => own.mean)).div(3);
      const variance = tf.addN(parts.map(({ own }) => own.variance)).div(3);
      expectClose(statistics[0].mean.dataSync(), mean.dataSync(), 1e-6, 'mean');
      expectClose(statistics[0].variance.dataSync(), variance.dataSync(), 1e-6, 'variance');
      for (const { own } of parts) tf.dispose([own.mean, own.variance]);
      tf.dispose([statistics[0].mean, statistics[0].variance]);
      whole.dispose();
      alone.dispose();
    });
  });

  test('a frozen layer normalises by its running statistics, which stay, and has no parameters', () => {
    tf.tidy(() => {
      const layer = new BatchNorm2d({ channels: 2 });
      layer.running_mean.assign(tf.tensor1d([1, -1]));
      layer.running_var.assign(tf.tensor1d([4, 0.25]));
      expect(freezeBatchNorm(layer)).toBe(1);
      expect(layer.parameters()).toEqual([]);
      const statistics: BatchStatistics[] = [];
      const x = tf.tensor4d([3, 0, 1, 1], [1, 1, 2, 2]);
      const y = layer.forward(x, { training: true, statistics });
      const root = (v: number): number => Math.sqrt(v + 1e-5);
      expectClose(y.dataSync(), [2 / root(4), 1 / root(0.25), 0, 2 / root(0.25)], 1e-6, 'y');
      expect(statistics).toEqual([]);
      applyStatistics(statistics);
      expect([...layer.running_mean.dataSync()]).toEqual([1, -1]);
      layer.dispose();
    });
  });
});

describe('on cpu', () => {
  on('cpu');

  test('every batch norm of a network is found and frozen; its scale can stay free', () => {
    const config = { stem: resNetStems.half, widths: [4, 8], blocks: [1, 1] };
    const network = new ResNet(config, createRandom(1));
    const layers = batchNormLayers(network);
    const named = network.namedVariables().filter(({ name }) => name.endsWith('running_mean'));
    expect(new Set(layers.map((layer) => layer.running_mean))).toEqual(
      new Set(named.map(({ variable }) => variable)),
    );
    const before = network.parameters().length;
    expect(freezeBatchNorm(network, { affine: false })).toBe(layers.length);
    expect(network.parameters().length).toBe(before);
    freezeBatchNorm(network);
    expect(network.parameters().length).toBe(before - 2 * layers.length);
    expect(layers.every(({ frozen }) => frozen)).toBe(true);
    network.dispose();
  });

  test('a group size that does not fit is named', () => {
    expect(() => batchNormByImages(0)).toThrow('images must be a whole number from 1, got 0');
    const x = tf.zeros<tf.Rank.R4>([3, 1, 1, 1]);
    const one = tf.ones<tf.Rank.R1>([1]);
    expect(() => batchNormByImages(2)(x, one, one, 1e-5)).toThrow('a batch of 3 images');
    tf.dispose([x, one]);
  });
});
