/** Counts of whole networks: detectors against PyTorch's hooks (`tests/reference/costs.py`), and that nothing is lost between the rows. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  BatchNorm2d,
  buildClassifier,
  Conv2d,
  createRandom,
  DepthwiseConv2d,
  EfficientNet,
  efficientNets,
  type ForwardContext,
  inference,
  Linear,
  MBConv,
  Module,
  ResNet,
  resNet18,
  resNet50,
  RetinaNet,
  ShuffleNetV2,
  shuffleNetsV2,
  Ssd,
  ssd300Config,
  summarize,
  type Summary,
  tf,
  useBackend,
} from 'detlab';
import { zeroRandom } from '../../lib/tensor/random';

const file = path.join(__dirname, '..', 'models', 'fixtures', 'costs.json');
const { detectors } = JSON.parse(readFileSync(file, 'utf8')) as {
  detectors: Record<
    string,
    {
      size: number;
      parameters: number;
      multiplyAdds: number;
      published: { parameters: number; gigaMultiplyAdds: number };
    }
  >;
};
const random = createRandom(1);

beforeAll(() => useBackend());

/** Rows and what is left out make the whole. */
function expectComplete(summary: Summary, model: Module): void {
  const sum = (parts: readonly { parameters: number }[]): number =>
    parts.reduce((total, { parameters }) => total + parameters, 0);
  expect(sum(summary.rows) + sum(summary.leftOut)).toBe(summary.parameters);
  expect(summary.parameters).toBe(model.parameterCount());
  expect(summary.notTrained).toBe(model.buffers().reduce((total, { variable }) => total + variable.size, 0));
}

describe('detectors as torchvision counts them', () => {
  test('SSD300-VGG16, its published figures, too', () => {
    const { size, parameters, multiplyAdds, published } = detectors.ssd300_vgg16;
    const model = new Ssd({ ...ssd300Config(90, { backbone: false, head: false }), l2Norm: 20 }, zeroRandom);
    const summary = summarize(model, [size, size, 3]);
    expect(summary).toMatchObject({ parameters, multiplyAdds, notTrained: 0 });
    expect(parameters).toBe(published.parameters);
    expect(Number((multiplyAdds / 1e9).toFixed(3))).toBe(published.gigaMultiplyAdds);
    expect(summary.leftOut).toEqual([{ type: 'L2Norm', layers: 1, parameters: 512, reason: 'not counted' }]);
    expectComplete(summary, model);
    model.dispose();
  });

  test('RetinaNet, whose heads run on five levels', () => {
    const { size, parameters, multiplyAdds } = detectors.retinanet_resnet50_fpn;
    const model = new RetinaNet(
      { backbone: (draw) => new ResNet(resNet50, draw), taps: [1, 2, 3], classes: 91 },
      zeroRandom,
    );
    const summary = summarize(model, [size, size, 3]);
    expect(summary).toMatchObject({ parameters, multiplyAdds });
    expectComplete(summary, model);
    const tower = summary.rows.filter(({ layer }) => /bbox_reg$/.test(layer));
    expect(tower.map(({ again }) => again)).toEqual([false, true, true, true, true]);
    expect(tower.map(({ parameters }) => parameters)).toEqual([82_980, 0, 0, 0, 0]);
    expect(tower.map(({ output }) => output)).toEqual([32, 16, 8, 4, 2].map((side) => [side, side, 36]));
    model.dispose();
  });
});

describe('trunks, blocks and layers', () => {
  const networks: [
    name: string,
    build: () => Module & { forward(x: tf.Tensor4D, context: ForwardContext): unknown },
    channels: number,
  ][] = [
    ['ResNet', () => new ResNet(resNet18, random), 3],
    ['EfficientNet', () => new EfficientNet(efficientNets.b0, random), 3],
    ['ShuffleNetV2', () => new ShuffleNetV2(shuffleNetsV2['x0.5'], random), 3],
    [
      'ShuffleNetV2 of torchvision',
      () => new ShuffleNetV2({ ...shuffleNetsV2['x0.5'], release: 'torchvision' }, random),
      3,
    ],
    ['Classifier', () => buildClassifier('resnet18', random), 3],
    ['MBConv', () => new MBConv({ inChannels: 8, outChannels: 8, kernel: 5 }, random), 8],
    ['DepthwiseConv2d', () => new DepthwiseConv2d({ channels: 4, kernel: 3, multiplier: 2 }, random), 4],
    ['Conv2d', () => new Conv2d({ inChannels: 4, outChannels: 5, kernel: 3 }, random), 4],
    ['BatchNorm2d', () => new BatchNorm2d({ channels: 6 }), 6],
  ];
  test.each(networks)('%s: every parameter is in a row or said to be left out', (_, build, channels) => {
    const model = build();
    const before = tf.memory().numTensors;
    const summary = summarize(model, [32, 48, channels]);
    expect(tf.memory().numTensors).toBe(before);
    expectComplete(summary, model);
    expect(
      summary.leftOut.every(({ type, reason }) => type === 'BatchNorm2d' && reason === 'not counted'),
    ).toBe(true);
    expect(summary.rows.every(({ batch, again }) => batch === 1 && !again)).toBe(true);
    model.dispose();
  });

  test('multiply-adds of grouped windows, by hand', () => {
    const depthwise = new DepthwiseConv2d({ channels: 4, kernel: 3, multiplier: 2, stride: 2 }, random);
    const { rows, multiplyAdds } = summarize(depthwise, [6, 8, 4]);
    expect(rows).toEqual([
      {
        layer: '',
        type: 'DepthwiseConv2d',
        input: [6, 8, 4],
        output: [3, 4, 8],
        batch: 1,
        parameters: 80,
        multiplyAdds: 864,
        again: false,
      },
    ]); // 3 x 4 cells, 8 channels, 9 taps
    expect(multiplyAdds).toBe(864);
    depthwise.dispose();
  });
});

describe('networks of one’s own', () => {
  class Parts extends Module {
    readonly first: Conv2d = new Conv2d({ inChannels: 3, outChannels: 2, kernel: 1 }, random);
    readonly scale: tf.Variable = tf.variable(tf.ones([2]));
    readonly unused: Linear = new Linear({ inFeatures: 3, outFeatures: 2 }, random);
    readonly again: Conv2d = this.first; // one layer in two fields
    run(x: tf.Tensor4D, context: ForwardContext): tf.Tensor {
      return this.again.forward(x, context).mul(this.scale);
    }
  }

  test('without a forward: it is given; a parameter of its own, a shared layer and an idle one are told apart', () => {
    const model = new Parts();
    expect(() => summarize(model as never, [4, 4, 3])).toThrow(
      /Parts has no forward; say how it runs: summarize\(model, \[H, W, C\], \(x, context\) => …\)/,
    );
    const summary = summarize(model, [4, 4, 3], (x, context) => model.run(x, context));
    expect(summary).toMatchObject({ parameters: 8 + 2 + 8, multiplyAdds: 4 * 4 * 6, notTrained: 0 });
    expect(summary.rows.map(({ layer }) => layer)).toEqual(['first']);
    expect(summary.leftOut).toEqual([
      { type: 'Parts', layers: 1, parameters: 2, reason: 'not counted' },
      { type: 'Linear', layers: 1, parameters: 8, reason: 'not run' },
    ]);
    tf.dispose([model.first.weight, model.first.bias!, model.scale, model.unused.weight, model.unused.bias!]);
  });

  test('what is frozen is no parameter, but is counted', () => {
    const model = new ResNet({ ...resNet18, widths: [4, 8], blocks: [1, 1] }, random);
    for (const { variable } of model.namedVariables()) (variable as { trainable: boolean }).trainable = false;
    const { parameters, notTrained, rows, leftOut } = summarize(model, [32, 32, 3]);
    expect([parameters, notTrained]).toEqual([
      0,
      model.namedVariables().reduce((sum, { variable }) => sum + variable.size, 0),
    ]);
    expect(rows.every((row) => row.parameters === 0)).toBe(true);
    expect(leftOut).toEqual([{ type: 'BatchNorm2d', layers: 6, parameters: 0, reason: 'not counted' }]);
    model.dispose();
  });

  test('a shape that is none is an error', () => {
    const model = new Conv2d({ inChannels: 3, outChannels: 2, kernel: 1 }, random);
    for (const shape of [
      [0, 4, 3],
      [4, 4, NaN],
      [4, 4],
    ]) {
      expect(() => summarize(model, shape as never)).toThrow(/is no shape of an image; give \[H, W, C\]/);
    }
    expect(() => tf.tidy(() => model.forward(tf.zeros([1, 4, 4, 3]), inference))).not.toThrow();
    model.dispose();
  });
});
