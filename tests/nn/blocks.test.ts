/** Layers and blocks against PyTorch (`tests/reference/networks.py`, in float64). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  createRandom,
  DepthwiseConv2d,
  type DepthwiseConv2dOptions,
  globalAveragePool2d,
  inference,
  kaimingNormalFanOut,
  MBConv,
  type MBConvOptions,
  Module,
  ShuffleBlock,
  type ShuffleBlockOptions,
  shuffleSplit,
  summarize,
  tf,
} from 'detlab';
import { backends, expectClose, on, randomTensor } from '../tensor/kernels/backends';
import { expectAsTorch, type TorchCase } from './torch-case';

const fixture = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'blocks.json'), 'utf8')) as {
  depthwise: TorchCase<DepthwiseConv2dOptions>[];
  mbconv: TorchCase<MBConvOptions>[];
  shuffle: TorchCase<ShuffleBlockOptions>[];
};

describe.each(backends)('as PyTorch has it, on %s', (backend) => {
  on(backend);

  test.each(fixture.depthwise)('depthwise convolution: $name', (c) => {
    const layer = new DepthwiseConv2d(c.options, createRandom(1));
    expectAsTorch(layer, (x, context) => [layer.forward(x, context)], c, 'layer.');
    layer.dispose();
  });

  test.each(fixture.mbconv)('MBConv: $name', (c) => {
    const block = new MBConv(c.options, createRandom(1));
    expectAsTorch(block, (x, context) => [block.forward(x, context)], c);
    block.dispose();
  });

  test.each(fixture.shuffle)('shuffle block: $name', (c) => {
    const block = new ShuffleBlock(c.options, createRandom(1));
    expectAsTorch(block, (x, context) => [block.forward(x, context)], c);
    block.dispose();
  });

  test('global average pooling spreads its gradient evenly', () => {
    tf.tidy(() => {
      const x = randomTensor<tf.Rank.R4>([2, 3, 5, 4], 'x');
      expectClose(globalAveragePool2d(x).dataSync(), tf.mean(x, [1, 2], true).dataSync(), 1e-6, 'value');
      const dy = randomTensor<tf.Rank.R4>([2, 1, 1, 4], 'dy');
      const dx = tf.grad((input) => globalAveragePool2d(input as tf.Tensor4D))(x, dy);
      expectClose(dx.dataSync(), tf.mul(tf.ones([2, 3, 5, 4]), tf.div(dy, 15)).dataSync(), 1e-6, 'gradient');
    });
  });
});

describe('on cpu', () => {
  on('cpu');

  const deviation = (values: ArrayLike<number>): number =>
    Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0) / values.length);

  test('a depthwise weight starts by the fan-in of its one channel', () => {
    const layer = new DepthwiseConv2d({ channels: 600, kernel: 3, multiplier: 2 }, createRandom(3));
    expect(Math.abs(deviation(layer.weight.dataSync()) / Math.sqrt(2 / 9) - 1)).toBeLessThan(0.03);
    layer.dispose();
  });

  test('Kaiming by fan-out', () => {
    const weight = kaimingNormalFanOut([3, 3, 16, 40], createRandom(4));
    expect(Math.abs(deviation(weight.dataSync()) / Math.sqrt(2 / (9 * 40)) - 1)).toBeLessThan(0.03);
    weight.dispose();
  });

  test('a depthwise convolution counts one window an output', () => {
    class Net extends Module {
      readonly depthwise: DepthwiseConv2d = new DepthwiseConv2d(
        { channels: 6, kernel: 5, stride: 2, multiplier: 2 },
        createRandom(1),
      );
      forward(x: tf.Tensor4D): tf.Tensor4D {
        return this.depthwise.forward(x, { ...inference, trace: (entry) => this.seen.push(entry) });
      }
      readonly seen: { multiplyAdds: number }[] = [];
    }
    const net = new Net();
    net.forward(tf.zeros([1, 8, 8, 6])).dispose();
    expect(net.seen.map(({ multiplyAdds }) => multiplyAdds)).toEqual([4 * 4 * 12 * 25]);
    net.dispose();
  });

  // EfficientNet-B0's second block of stage 2 (24 channels, expansion 6), layer by layer: 24 * 144 + 2 * 144 (expand, norm),
  // 9 * 144 + 2 * 144 (depthwise, norm), 144 * 6 + 6 + 6 * 144 + 144 (squeeze to a quarter of 24), 144 * 24 + 2 * 24.
  test('MBConv squeezes to a quarter of the block’s input', () => {
    const block = new MBConv({ inChannels: 24, outChannels: 24, kernel: 3 }, createRandom(1));
    expect(block.parameterCount()).toBe(
      24 * 144 + 288 + 1296 + 288 + (864 + 6) + (864 + 144) + 144 * 24 + 48,
    );
    const { multiplyAdds } = summarize(block, [4, 4, 24]);
    expect(multiplyAdds).toBe(16 * (24 * 144 + 9 * 144 + 144 * 24) + 2 * 144 * 6);
    block.dispose();
  });

  test('the split takes even channels and odd ones', () => {
    const x = tf.tensor4d([0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15], [1, 1, 2, 6]);
    const [even, odd] = shuffleSplit(x);
    expect(Array.from(even.dataSync())).toEqual([0, 2, 4, 10, 12, 14]);
    expect(Array.from(odd.dataSync())).toEqual([1, 3, 5, 11, 13, 15]);
    expect(odd.shape).toEqual([1, 1, 2, 3]);
    tf.dispose([x, even, odd]);
  });

  test.each([
    [{ inChannels: 6, outChannels: 8, stride: 1 as const }, /same even number before and after; got 6 and 8/],
    [{ inChannels: 5, outChannels: 5, stride: 1 as const }, /same even number before and after; got 5 and 5/],
    [{ inChannels: 8, outChannels: 8, stride: 2 as const }, /joined to new ones.*got 8/],
    [{ inChannels: 4, outChannels: 9, stride: 2 as const }, /an even number in all; got 9/],
  ])('a shuffle block refuses %j', (options, message) => {
    expect(() => new ShuffleBlock({ ...options, kind: 'shuffle3' }, createRandom(1))).toThrow(message);
  });
});
