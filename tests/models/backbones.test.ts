/** EfficientNet and ShuffleNetV2 trunks against PyTorch (`tests/reference/networks.py`, in float64). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  createRandom,
  EfficientNet,
  type EfficientNetConfig,
  efficientNets,
  inference,
  RandomStream,
  scaledChannels,
  ShuffleNetV2,
  type ShuffleNetV2Config,
  shuffleNetsV2,
  tf,
} from 'detlab';
import { expectAsTorch, type TorchCase } from '../nn/torch-case';
import { backends, on } from '../tensor/kernels/backends';
import { zeroRandom } from '../../lib/tensor/random';

const fixture = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'backbones.json'), 'utf8')) as {
  efficientnet: TorchCase<EfficientNetConfig>[];
  shufflenet: TorchCase<ShuffleNetV2Config>[];
};

describe.each(backends)('as PyTorch has it, on %s', (backend) => {
  on(backend);

  test.each(fixture.efficientnet)('EfficientNet: $name', (c) => {
    const net = new EfficientNet(c.options, createRandom(1));
    expectAsTorch(net, (x, context) => net.forward(x, context), c, '', 2e-4);
    net.dispose();
  });

  test.each(fixture.shufflenet)('ShuffleNetV2: $name', (c) => {
    const net = new ShuffleNetV2(c.options, createRandom(1));
    expectAsTorch(net, (x, context) => net.forward(x, context), c, '', 2e-4);
    net.dispose();
  });
});

describe('EfficientNet', () => {
  on('wasm');

  // Tan and Le's released rule, worked by hand: 32 * 1.1 = 35.2 -> 32 (within a tenth), 16 * 1.2 = 19.2 -> 16 would lose a sixth -> 24,
  // 112 * 1.1 = 123.2 -> 120, 320 * 1.4 = 448, 4 * 1 = 4 -> 8.
  test('scales channels to multiples of 8 that lose no more than a tenth', () => {
    const pairs: [number, number][] = [[32, 1.1], [16, 1.2], [112, 1.1], [320, 1.4], [4, 1]]; // prettier-ignore
    expect(pairs.map(([channels, width]) => scaledChannels(channels, width))).toEqual([32, 24, 120, 448, 8]);
  });

  // EfficientDet's trunks: channels, and repeats of the stages, as its layer tables list them.
  const trunks: [keyof typeof efficientNets, number[], number[]][] = [
    ['b0', [16, 24, 40, 112, 320], [1, 2, 2, 3, 3, 4, 1]],
    ['b1', [16, 24, 40, 112, 320], [2, 3, 3, 4, 4, 5, 2]],
    ['b2', [16, 24, 48, 120, 352], [2, 3, 3, 4, 4, 5, 2]],
    ['b3', [24, 32, 48, 136, 384], [2, 3, 3, 5, 5, 6, 2]],
    ['b4', [24, 32, 56, 160, 448], [2, 4, 4, 6, 6, 8, 2]],
  ];
  test.each(trunks)('%s has the published widths and depths', (name, channels, repeats) => {
    const net = new EfficientNet(efficientNets[name], zeroRandom);
    expect(net.channels).toEqual(channels);
    expect(net.blocks.map((blocks) => blocks.length)).toEqual(repeats);
    net.dispose();
  });

  test.each([31, 32, 33, 34, 63])('mapSizes agrees with the maps: %i pixels', (size) => {
    for (const padding of ['same', 'symmetric'] as const) {
      const net = new EfficientNet({ width: 0.25, depth: 0.3, padding }, createRandom(1));
      const maps = tf.tidy(() => net.forward(tf.zeros([1, size, size, 3]), inference));
      expect(maps.map((map) => map.shape[1])).toEqual(net.mapSizes(size));
      expect(maps.map((map) => map.shape[3])).toEqual(net.channels);
      tf.dispose(maps);
      net.dispose();
    }
  });

  test('drops branches in training only, more of them the deeper', () => {
    const config: EfficientNetConfig = { width: 0.25, depth: 2, stochasticDepth: 0.9 };
    const net = new EfficientNet(config, createRandom(1));
    const plain = new EfficientNet({ ...config, stochasticDepth: 0 }, createRandom(1));
    const x = tf.tensor4d(
      Float32Array.from({ length: 32 * 32 * 3 }, (_, i) => Math.sin(i)),
      [1, 32, 32, 3],
    );
    const last = (network: EfficientNet, seed?: number): Float32Array =>
      tf.tidy(() => {
        const random = seed === undefined ? undefined : new RandomStream(seed);
        const maps = network.forward(x, random ? { training: true, random } : inference);
        const values: Float32Array = maps[2].dataSync<'float32'>();
        random?.dispose();
        return values;
      });
    expect(last(net)).toEqual(last(plain));
    expect(last(net, 1)).toEqual(last(net, 1));
    expect(last(net, 1)).not.toEqual(last(net, 2));
    expect(() => tf.tidy(() => net.forward(x, { training: true }))).toThrow(/StochasticDepth: .*random/);
    tf.dispose(x);
    net.dispose();
    plain.dispose();
  });
});

describe('ShuffleNetV2', () => {
  on('wasm');

  test.each(['megvii', 'torchvision'] as const)('mapSizes agrees with the maps: %s', (release) => {
    const net = new ShuffleNetV2({ ...shuffleNetsV2['x0.5'], blocks: [1, 2, 1], release }, createRandom(1));
    for (const size of [32, 33, 63, 64]) {
      const maps = tf.tidy(() => net.forward(tf.zeros([1, size, size, 3]), inference));
      expect(maps.map((map) => map.shape[1])).toEqual(net.mapSizes(size));
      expect(maps.map((map) => map.shape[3])).toEqual(net.channels);
      tf.dispose(maps);
    }
    net.dispose();
  });

  test('refuses a stage of an odd width', () => {
    const widths = [9, 12, 16] as const;
    for (const release of ['megvii', 'torchvision'] as const) {
      const make = (): ShuffleNetV2 =>
        new ShuffleNetV2({ stem: 4, widths, blocks: [1, 1, 1], last: 8, release }, createRandom(1));
      expect(make).toThrow(/an even number/);
    }
  });
});
