import { describe, expect, test } from 'vitest';
import {
  BatchNorm2d,
  Conv2d,
  ConvBlock,
  createRandom,
  type ForwardContext,
  inference,
  listLayers,
  Module,
  summarize,
  tf,
} from 'detlab';
import { backends, on } from '../tensor/kernels/backends';

class Pair extends Module {
  readonly blocks: ConvBlock[];
  readonly last: Conv2d;

  constructor() {
    super();
    const random = createRandom(1);
    this.blocks = [
      new ConvBlock({ inChannels: 3, outChannels: 4, kernel: 3, batchNorm: true }, random),
      new ConvBlock({ inChannels: 4, outChannels: 5, kernel: 3, stride: 2 }, random),
    ];
    this.last = new Conv2d({ inChannels: 5, outChannels: 2, kernel: 1 }, random);
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => {
      let y = x;
      for (const block of this.blocks) y = block.forward(y, context);
      return this.last.forward(y, context);
    });
  }
}

describe.each(backends)('Module, on %s', (backend) => {
  on(backend);
  test('names variables by the path of fields, as PyTorch does', () => {
    const model = new Pair();
    expect(model.namedVariables().map(({ name }) => name)).toEqual([
      'blocks.0.conv.weight',
      'blocks.0.bn.weight',
      'blocks.0.bn.bias',
      'blocks.0.bn.running_mean',
      'blocks.0.bn.running_var',
      'blocks.1.conv.weight',
      'blocks.1.conv.bias',
      'last.weight',
      'last.bias',
    ]);
    expect(model.buffers().map(({ name }) => name)).toEqual([
      'blocks.0.bn.running_mean',
      'blocks.0.bn.running_var',
    ]);
    model.dispose();
  });

  test('counts parameters: weights, biases, scale and shift, but not running statistics', () => {
    const model = new Pair();
    expect(model.parameterCount()).toBe(3 * 3 * 3 * 4 + 4 + 4 + (3 * 3 * 4 * 5 + 5) + (5 * 2 + 2));
    model.dispose();
  });

  test('lists the layers that hold variables, with what is trained of them', () => {
    const model = new Pair();
    const one = (name: string, shape: number[], trainable: boolean = true) => ({ name, shape, trainable });
    expect(listLayers(model).slice(0, 2)).toEqual([
      {
        layer: 'blocks.0.conv',
        type: 'Conv2d',
        variables: [one('weight', [3, 3, 3, 4])],
        parameters: 108,
        buffers: 0,
      },
      {
        layer: 'blocks.0.bn',
        type: 'BatchNorm2d',
        variables: [
          one('weight', [4]),
          one('bias', [4]),
          one('running_mean', [4], false),
          one('running_var', [4], false),
        ],
        parameters: 8,
        buffers: 8,
      },
    ]);
    expect(listLayers(model).map(({ layer }) => layer)).toEqual([
      'blocks.0.conv',
      'blocks.0.bn',
      'blocks.1.conv',
      'last',
    ]);
    const total = listLayers(model).reduce((sum, { parameters }) => sum + parameters, 0);
    expect(total).toBe(model.parameterCount());
    expect(listLayers(model.last)[0]).toMatchObject({ layer: '', parameters: 12 });
    model.dispose();
  });

  test('lists a shared layer once, and variables that stand in an array', () => {
    class Shared extends Module {
      readonly first: Conv2d = new Conv2d({ inChannels: 1, outChannels: 1, kernel: 1 }, createRandom(1));
      readonly again: Conv2d = this.first;
      readonly scales: tf.Variable[] = [tf.variable(tf.ones([2])), tf.variable(tf.ones([3]))];
    }
    expect(
      listLayers(new Shared()).map(({ layer, variables }) => [layer, variables.map(({ name }) => name)]),
    ).toEqual([
      ['', ['scales.0', 'scales.1']],
      ['first', ['weight', 'bias']],
    ]);
  });

  test('dispose releases every variable', () => {
    const before = tf.memory().numTensors;
    const model = new Pair();
    expect(tf.memory().numTensors).toBeGreaterThan(before);
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('the same seed gives the same weights, another seed others', () => {
    const weights = (seed: number) => {
      const conv = new Conv2d({ inChannels: 2, outChannels: 3, kernel: 3 }, createRandom(seed));
      const values = Array.from(conv.weight.dataSync());
      conv.dispose();
      return values;
    };
    expect(weights(7)).toEqual(weights(7));
    expect(weights(7)).not.toEqual(weights(8));
  });
});

describe.each(backends)('Conv2d, on %s', (backend) => {
  on(backend);
  test('Xavier initialisation fills its range and no more', () => {
    const conv = new Conv2d({ inChannels: 64, outChannels: 64, kernel: 3 }, createRandom(3));
    const limit = Math.sqrt(6 / (9 * 64 + 9 * 64));
    const values = Array.from(conv.weight.dataSync());
    expect(Math.max(...values)).toBeLessThanOrEqual(limit);
    expect(Math.max(...values)).toBeGreaterThan(0.99 * limit);
    const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
    expect(variance / ((limit * limit) / 3)).toBeCloseTo(1, 1);
    conv.dispose();
  });

  test.each([
    { kernel: 3, stride: 1, padding: undefined, dilation: 1, size: 7, expected: 7 },
    { kernel: 3, stride: 2, padding: 1, dilation: 1, size: 19, expected: 10 },
    { kernel: 3, stride: 1, padding: 0, dilation: 1, size: 5, expected: 3 },
    { kernel: 3, stride: 1, padding: undefined, dilation: 6, size: 19, expected: 19 },
  ])('kernel $kernel stride $stride dilation $dilation: $size -> $expected', (options) => {
    const { size, expected, ...rest } = options;
    const conv = new Conv2d({ inChannels: 2, outChannels: 3, ...rest }, createRandom(1));
    const y = conv.forward(tf.ones([1, size, size, 2]), inference);
    expect(y.shape).toEqual([1, expected, expected, 3]);
    y.dispose();
    conv.dispose();
  });
});

describe.each(backends)('BatchNorm2d, on %s', (backend) => {
  on(backend);
  test('training normalises by the batch and hands out its mean and biased variance', () => {
    const bn = new BatchNorm2d({ channels: 1, epsilon: 0, momentum: 0.9 });
    const statistics: never[] = [];
    const y = bn.forward(tf.tensor4d([1, 2, 3, 6], [1, 2, 2, 1]), { training: true, statistics });
    // mean 3, variance (4 + 1 + 0 + 9) / 4 = 3.5
    Array.from(y.dataSync()).forEach((value, i) => {
      expect(value).toBeCloseTo(([1, 2, 3, 6][i] - 3) / Math.sqrt(3.5), 5);
    });
    const [{ layer, mean, variance }] = statistics as {
      layer: BatchNorm2d;
      mean: tf.Tensor1D;
      variance: tf.Tensor1D;
    }[];
    expect(mean.dataSync()[0]).toBeCloseTo(3, 5);
    expect(variance.dataSync()[0]).toBeCloseTo(3.5, 5);
    layer.updateRunning(mean, variance);
    expect(bn.running_mean.dataSync()[0]).toBeCloseTo(0.3, 5);
    expect(bn.running_var.dataSync()[0]).toBeCloseTo(0.9 + 0.35, 5);
    bn.dispose();
  });

  test('inference normalises by the running statistics', () => {
    const bn = new BatchNorm2d({ channels: 1, epsilon: 0 });
    bn.running_mean.assign(tf.tensor1d([2]));
    bn.running_var.assign(tf.tensor1d([4]));
    const y = bn.forward(tf.tensor4d([2, 4, 6, 0], [1, 2, 2, 1]), inference);
    expect(Array.from(y.dataSync())).toEqual([0, 1, 2, -1]);
    bn.dispose();
  });
});

describe.each(backends)('summarize, on %s', (backend) => {
  on(backend);
  test('counts multiply-adds of each convolution and names it', () => {
    const model = new Pair();
    const summary = summarize(model, [8, 8, 3]);
    expect(summary.rows.map(({ layer }) => layer)).toEqual(['blocks.0.conv', 'blocks.1.conv', 'last']);
    expect(summary.rows.map(({ multiplyAdds }) => multiplyAdds)).toEqual([
      8 * 8 * 4 * 9 * 3,
      4 * 4 * 5 * 9 * 4,
      4 * 4 * 2 * 5,
    ]);
    expect(summary.parameters).toBe(model.parameterCount());
    model.dispose();
  });
});
