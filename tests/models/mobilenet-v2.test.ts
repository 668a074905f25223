/** MobileNetV2 against PyTorch and torchvision (`tests/reference/mobilenet.py`, in float64). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { createRandom, inference, MobileNetV2, type MobileNetV2Config, Relu6, tf } from 'detlab';
import { expectAsTorch, type TorchCase } from '../nn/torch-case';
import { backends, expectClose, expectNoLeak, on } from '../tensor/kernels/backends';
import { zeroRandom } from '../../lib/tensor/random';

interface Published {
  parameters: { name: string; shape: number[] }[];
  count: number;
  maps: { shape: number[]; mean: number; step: number; sample: number[] }[];
}

const fixture = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'mobilenet-v2.json'), 'utf8')) as {
  small: TorchCase<MobileNetV2Config>[];
  published: Published;
};

describe.each(backends)('as PyTorch has it, on %s', (backend) => {
  on(backend);

  test.each(fixture.small)('$name', (c) => {
    const net = new MobileNetV2(c.options, createRandom(1));
    expectAsTorch(net, (x, context) => net.forward(x, context), c, '', 2e-4);
    net.dispose();
  });
});

describe('MobileNetV2', () => {
  on('wasm');

  test('torchvision’s: parameters, names and maps', () => {
    const { parameters, count, maps } = fixture.published;
    const net = new MobileNetV2({}, createRandom(1));
    expect(net.parameters().map(({ name, variable: { shape } }) => ({ name, shape }))).toEqual(parameters);
    expect(net.parameterCount() + 1280 * 1000 + 1000, 'with the classifier of ImageNet').toBe(count);
    // The reference's weights: sin(0.7 i + n) sqrt(4 / fan-in), i in the order of PyTorch's [out, in, KH, KW], n the parameter's number.
    net.parameters().forEach(({ variable }, number) => {
      if (variable.rank !== 4) return;
      const [kh, kw, a, b] = variable.shape;
      const [input, output] = b === 1 ? [1, a] : [a, b]; // depthwise: [KH, KW, C, 1]
      const values = new Float32Array(variable.size);
      for (let o = 0; o < output; o++) {
        for (let i = 0; i < input; i++) {
          for (let k = 0; k < kh * kw; k++) {
            const index = (o * input + i) * kh * kw + k;
            values[(k * input + i) * output + o] =
              Math.sin(index * 0.7 + number) * Math.sqrt(4 / (input * kh * kw));
          }
        }
      }
      const weight = tf.tensor(values, variable.shape);
      variable.assign(weight);
      weight.dispose();
    });
    const pixels = Float32Array.from({ length: 3 * 64 * 48 }, (_, i) => Math.sin(i * 0.3));
    tf.tidy(() => {
      net.forward(tf.tensor4d(pixels, [1, 64, 48, 3]), inference).forEach((map, i) => {
        const { shape, mean, step, sample } = maps[i];
        expect(map.shape).toEqual(shape);
        const values: Float32Array = map.dataSync<'float32'>();
        const own = sample.map((_, k) => values[k * step]);
        expectClose(own, sample, 1e-4, `map ${i}`);
        expectClose([values.reduce((sum, value) => sum + value, 0) / values.length], [mean], 1e-4, 'mean');
      });
    });
    net.dispose();
  });

  const stages = [
    { expand: 1, channels: 8, repeats: 1, stride: 1 },
    { expand: 2, channels: 8, repeats: 2, stride: 2 },
    { expand: 3, channels: 16, repeats: 1, stride: 2 },
  ] as const;
  const variants: MobileNetV2Config[] = [
    { taps: 'outputs', padding: 'same' },
    { taps: 'expansions', batchNorm: false, last: 0 },
    { taps: 'expansions', padding: 'same', width: 0.5 },
  ];
  test.each(variants)('mapSizes and channels agree with the maps: %o', (variant) => {
    const net = new MobileNetV2({ stages, stem: 8, last: 24, ...variant }, createRandom(1));
    for (const size of [15, 16, 17, 18]) {
      const maps = tf.tidy(() => net.forward(tf.zeros([1, size, size, 3]), inference));
      expect(maps.map((map) => map.shape[1])).toEqual(net.mapSizes(size));
      expect(maps.map((map) => map.shape[3])).toEqual(net.channels);
      tf.dispose(maps);
    }
    const x = tf.zeros<tf.Rank.R4>([1, 16, 16, 3]);
    expectNoLeak(() => tf.dispose(net.forward(x, inference)));
    x.dispose();
    net.dispose();
  });

  test('has the published widths, at any scale', () => {
    const channels = (config: MobileNetV2Config): readonly number[] => {
      const net = new MobileNetV2(config, zeroRandom);
      net.dispose();
      return net.channels;
    };
    expect(channels({})).toEqual([16, 24, 32, 96, 1280]);
    expect(channels({ taps: 'expansions' })).toEqual([96, 144, 192, 576, 1280]);
    // The last convolution grows with the others, but never shrinks (the released code's rule).
    expect(channels({ width: 1.4 })).toEqual([24, 32, 48, 136, 1792]);
    expect(channels({ width: 0.35 })).toEqual([8, 8, 16, 32, 1280]);
    expect(channels({ last: 0 })).toEqual([16, 24, 32, 96, 320]);
  });

  test('ReLU6 cuts at 0 and 6', () => {
    const y = tf.tidy(() => new Relu6().forward(tf.tensor4d([-1, 0, 3, 6, 7, 1], [1, 1, 1, 6])));
    expect([...y.dataSync()]).toEqual([0, 0, 3, 6, 6, 1]);
    y.dispose();
  });
});
