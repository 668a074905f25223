/** Residual networks against PyTorch and torchvision (`tests/reference/networks.py`, in float64). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  createRandom,
  createSsdDetector,
  type ConvBlock,
  gridAnchors,
  inference,
  ResNet,
  resNet18,
  resNet18A,
  resNet18B,
  resNet34,
  type ResNetConfig,
  resNetStems,
  rootResNet18,
  rootResNet34,
  Ssd,
  summarize,
  tf,
  useBackend,
} from 'detlab';
import { zeroRandom } from '../../lib/tensor/random';
import { expectAsTorch, type TorchCase } from '../nn/torch-case';
import { backends, expectClose, on } from '../tensor/kernels/backends';

interface Published {
  parameters: { name: string; shape: number[] }[];
  count: number;
  maps: { shape: number[]; mean: number; step: number; sample: number[] }[];
}

const fixture = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'resnet.json'), 'utf8')) as {
  small: TorchCase<ResNetConfig>[];
  resnet18: Published;
  resnet34: Published;
};
const scratchDet = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'scratchdet.json'), 'utf8')) as {
  stems: TorchCase<Omit<ResNetConfig, 'stem'> & { stem: 'unpooled' | 'unstrided' | 'root' }>[];
};

describe.each(backends)('as PyTorch has it, on %s', (backend) => {
  on(backend);

  test.each(fixture.small)('$name', (c) => {
    const net = new ResNet(c.options, createRandom(1));
    expectAsTorch(net, (x, context) => net.forward(x, context), c);
    net.dispose();
  });

  // tests/reference/scratchdet.py
  test.each(scratchDet.stems)('ScratchDet’s stem "$name"', (c) => {
    const net = new ResNet({ ...c.options, stem: resNetStems[c.options.stem] }, createRandom(1));
    expectAsTorch(net, (x, context) => net.forward(x, context), c);
    net.dispose();
  });
});

/** The reference's weights: sin(0.7 i + n) sqrt(4 / fan-in), i in the order of PyTorch's [out, in, KH, KW], n the parameter's number. */
function setByFormula(net: ResNet): void {
  net.parameters().forEach(({ variable }, number) => {
    if (variable.rank !== 4) return;
    const [kh, kw, input, output] = variable.shape;
    const window = kh * kw;
    const scale = Math.sqrt(4 / (input * window));
    const values = new Float32Array(variable.size);
    for (let o = 0; o < output; o++) {
      for (let i = 0; i < input; i++) {
        for (let k = 0; k < window; k++) {
          const index = (o * input + i) * window + k;
          values[(k * input + i) * output + o] = Math.sin(index * 0.7 + number) * scale;
        }
      }
    }
    const weight = tf.tensor4d(values, [kh, kw, input, output]);
    variable.assign(weight);
    weight.dispose();
  });
}

describe('as torchvision has it', () => {
  on('wasm');

  test.each([
    ['resnet18', resNet18, 11_176_512],
    ['resnet34', resNet34, 21_284_672],
  ] as const)('%s: parameters, names and maps', (name, config, trunk) => {
    const published = fixture[name];
    const net = new ResNet(config, createRandom(1));
    expect(net.parameters().map(({ name, variable: { shape } }) => ({ name, shape }))).toEqual(
      published.parameters,
    );
    expect(net.parameterCount()).toBe(trunk);
    expect(trunk + 512 * 1000 + 1000, 'with the classifier of ImageNet').toBe(published.count);

    setByFormula(net);
    const pixels = Float32Array.from({ length: 3 * 64 * 48 }, (_, i) => Math.sin(i * 0.3));
    tf.tidy(() => {
      const maps = net.forward(tf.tensor4d(pixels, [1, 64, 48, 3]), inference);
      maps.forEach((map, stage) => {
        const { shape, mean, step, sample } = published.maps[stage];
        expect(map.shape).toEqual(shape);
        const values: Float32Array = map.dataSync<'float32'>();
        const own = sample.map((_, i) => values[i * step]);
        expectClose(own, sample, 1e-4, `stage ${stage}`);
        expectClose([values.reduce((sum, value) => sum + value, 0) / values.length], [mean], 1e-4, 'mean');
      });
    });
    net.dispose();
  });
});

describe('ScratchDet’s five trunks at 300 pixels', () => {
  beforeAll(() => useBackend());

  const seven = { size: 1, channels: [3], window: 49 };
  const three = { size: 1, channels: [3, 64, 64], window: 9 };
  // Stem: convolutions on 150 or 300 pixels. Then blocks a stage, cells a side, and the counts in millions and thousand millions.
  test.each([
    ['ResNet-18', resNet18, { ...seven, size: 150 }, [2, 2, 2, 2], [75, 38, 19, 10], '11.18', '3.39'],
    ['ResNet-18-A', resNet18A, { ...seven, size: 150 }, [2, 2, 2, 2], [150, 75, 38, 19], '11.18', '12.54'],
    ['ResNet-18-B', resNet18B, { ...seven, size: 300 }, [2, 2, 2, 2], [150, 75, 38, 19], '11.18', '13.17'],
    [
      'Root-ResNet-18',
      rootResNet18,
      { ...three, size: 300 },
      [2, 2, 2, 2],
      [150, 75, 38, 19],
      '11.24',
      '19.11',
    ],
    [
      'Root-ResNet-34',
      rootResNet34,
      { ...three, size: 300 },
      [3, 4, 6, 3],
      [150, 75, 38, 19],
      '21.35',
      '32.61',
    ],
  ] as const)('%s costs what its layer table says', (_, config, stem, blocks, sizes, millions, giga) => {
    let weights = 0;
    let norms = 0;
    let multiplyAdds = 0;
    const convolution = (size: number, window: number, before: number, width: number): void => {
      weights += window * before * width;
      norms += 2 * width;
      multiplyAdds += size * size * window * before * width;
    };
    for (const before of stem.channels) convolution(stem.size, stem.window, before, 64);
    sizes.forEach((size, stage) => {
      const width = 64 * 2 ** stage;
      for (let block = 0; block < blocks[stage]; block++) {
        const before = block === 0 && stage > 0 ? width / 2 : width;
        convolution(size, 9, before, width);
        convolution(size, 9, width, width);
        if (before !== width) convolution(size, 1, before, width);
      }
    });
    const net = new ResNet(config, zeroRandom);
    const summary = summarize(net, [300, 300, 3]);
    expect(summary.parameters).toBe(weights + norms);
    expect(summary.multiplyAdds).toBe(multiplyAdds);
    expect((summary.parameters / 1e6).toFixed(2)).toBe(millions);
    expect((summary.multiplyAdds / 1e9).toFixed(2)).toBe(giga);
    expect(net.mapSizes(300)).toEqual(sizes);
    net.dispose();
  });
});

describe('ResNet', () => {
  on('wasm');

  test('names a root block’s convolutions as ScratchDet’s released code does', () => {
    const net = new ResNet({ stem: resNetStems.root, widths: [4], blocks: [1] }, createRandom(1));
    const names = net.parameters().map(({ name }) => name);
    expect(names.slice(0, 10)).toEqual(
      ['conv1.weight', 'bn1.weight', 'bn1.bias', 'conv2.weight', 'bn2.weight', 'bn2.bias', 'conv3.weight', 'bn3.weight', 'bn3.bias', 'layer1.0.conv1.weight'], // prettier-ignore
    );
    net.dispose();
  });

  const stems = Object.keys(resNetStems) as (keyof typeof resNetStems)[];
  test.each(stems)('mapSizes agrees with the maps: stem %s', (stem) => {
    const net = new ResNet(
      { stem: resNetStems[stem], widths: [4, 4, 4], blocks: [1, 1, 1] },
      createRandom(1),
    );
    for (const size of [31, 32, 33, 34]) {
      const maps = net.forward(tf.zeros([1, size, size, 3]), inference);
      expect(maps.map((map) => map.shape[1])).toEqual(net.mapSizes(size));
      expect(maps.map((map) => map.shape[3])).toEqual(net.channels);
      tf.dispose(maps);
    }
    net.dispose();
  });

  test('refuses widths and blocks that differ in number, and empty stages', () => {
    const make = (widths: number[], blocks: number[]) => () =>
      new ResNet({ stem: resNetStems.half, widths, blocks }, createRandom(1));
    expect(make([8, 8], [1])).toThrow(/widths \[8, 8\] and blocks \[1\]/);
    expect(make([8, 8, 8, 8, 8], [1, 1, 1, 1, 1])).toThrow(/one to four stages/);
    expect(make([8, 8], [1, 0])).toThrow(/one block or more, got \[1, 0\]/);
  });

  test('is a trunk for SSD', async () => {
    const model = new Ssd(
      {
        inputSize: 40,
        backbone: (random) =>
          new ResNet({ stem: resNetStems.half, widths: [4, 6, 8], blocks: [1, 1, 1] }, random),
        taps: [1, 2],
        extras: [{ squeeze: 4, channels: 6, stride: 2, padding: 1 }],
        anchorsPerCell: [4, 4, 4],
        classes: 2,
        batchNorm: { backbone: true, head: false },
      },
      createRandom(1),
    );
    expect(model.mapSizes()).toEqual([10, 5, 3]);
    expect(model.namedVariables()[0].name).toBe('backbone.conv1.weight');
    expect((model.extras[0][0] as ConvBlock).conv.weight.shape).toEqual([1, 1, 8, 4]);
    const maps = model.mapSizes().map((size) => [size, size] as const);
    const detector = createSsdDetector(model, gridAnchors({ imageWidth: 40, imageHeight: 40, maps }));
    const images = tf.zeros<tf.Rank.R4>([2, 40, 40, 3]);
    expect(await detector.detect(images)).toHaveLength(2);
    images.dispose();
    model.dispose();
  });
});
