/** Extra layers: the residual ones against PyTorch (`tests/reference/scratchdet.py`, in float64), and what they make of maps. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  buildExtra,
  convolutionalExtras,
  createRandom,
  extraMapSize,
  type ForwardContext,
  inference,
  type Layer,
  Module,
  releasedResidualExtras,
  type ResidualExtra,
  residualExtras,
  runLayers,
  type SsdExtra,
  tf,
} from 'detlab';
import { expectAsTorch, type TorchCase } from '../nn/torch-case';
import { backends, on } from '../tensor/kernels/backends';

interface Options {
  inChannels: number;
  extras: ResidualExtra[];
}

const fixture = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'scratchdet.json'), 'utf8')) as {
  extras: TorchCase<Options>[];
};

class Extras extends Module {
  readonly extras: Layer[][];

  constructor({ inChannels, extras }: { inChannels: number; extras: readonly SsdExtra[] }) {
    super();
    this.extras = extras.map((extra, i) =>
      buildExtra(
        extra,
        { inChannels: i === 0 ? inChannels : extras[i - 1].channels, batchNorm: true },
        createRandom(i),
      ),
    );
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    let y = x;
    return this.extras.map((layers) => (y = runLayers(layers, y, context)));
  }
}

describe.each(backends)('residual extra layers as PyTorch has them, on %s', (backend) => {
  on(backend);

  test.each(fixture.extras)('$name', (c) => {
    const net = new Extras(c.options);
    expectAsTorch(net, (x, context) => net.forward(x, context), c);
    net.dispose();
  });
});

const sizes = (extras: readonly SsdExtra[], from: number): number[] => {
  let size = from;
  return extras.map((extra) => (size = extraMapSize(extra, size)));
};

describe('the published extra layers', () => {
  test('SSD300’s and SSD512’s', () => {
    expect(convolutionalExtras(19, 512)).toEqual([
      { squeeze: 256, channels: 512, stride: 2, padding: 1 },
      { squeeze: 128, channels: 256, stride: 2, padding: 1 },
      { squeeze: 128, channels: 256, stride: 1, padding: 0 },
      { squeeze: 128, channels: 256, stride: 1, padding: 0 },
    ]);
    const halving = { squeeze: 128, channels: 256, stride: 2, padding: 1 };
    expect(convolutionalExtras(32, 512)).toEqual([
      { squeeze: 256, channels: 512, stride: 2, padding: 1 },
      halving,
      halving,
      halving,
      { squeeze: 128, channels: 256, stride: 1, padding: 1, kernel: 4 },
    ]);
  });

  test('ScratchDet’s residual ones: of the text and of the two released codes', () => {
    expect(sizes(residualExtras(19, 128), 19)).toEqual([10, 5, 3, 1]);
    expect(sizes(residualExtras(32, 128), 32)).toEqual([16, 8, 4, 2, 1]);
    expect(sizes(releasedResidualExtras('mmdetection', 128), 19)).toEqual([10, 5, 3, 3]);
    expect(sizes(releasedResidualExtras('caffe', 128), 19)).toEqual([10, 5, 5, 5]);
    for (const extras of [residualExtras(19, 128), releasedResidualExtras('caffe', 128)]) {
      expect(extras.every((extra) => 'block' in extra && extra.channels === 128)).toBe(true);
    }
  });
});

describe('extra layers of any size', () => {
  on('cpu');

  test.each([2, 3, 4, 5, 6, 7, 8, 9, 12])(
    'end at one cell, and have the size that is foretold: %i',
    (from) => {
      for (const extras of [convolutionalExtras(from, 4), residualExtras(from, 2)]) {
        const net = new Extras({ inChannels: 3, extras });
        const maps = tf.tidy(() => net.forward(tf.zeros([1, from, from, 3]), inference));
        expect(maps.map((map) => map.shape[1])).toEqual(sizes(extras, from));
        expect(maps.map((map) => map.shape[3])).toEqual(extras.map(({ channels }) => channels));
        expect(maps[maps.length - 1].shape[1]).toBe(1);
        tf.dispose(maps);
        net.dispose();
      }
    },
  );

  test('none behind a map of one cell', () => {
    expect(convolutionalExtras(1, 512)).toEqual([]);
    expect(residualExtras(1, 128)).toEqual([]);
  });

  test('residual ones refuse to be without batch norm', () => {
    expect(() =>
      buildExtra(residualExtras(4, 2)[0], { inChannels: 2, batchNorm: false }, createRandom(1)),
    ).toThrow(/residual extra layers have batch norm/);
  });
});
