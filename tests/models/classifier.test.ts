/** Published networks: their parameters and multiply-adds as PyTorch's and the papers' (`tests/reference/costs.py`). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  buildClassifier,
  Classifier,
  type ClassifierName,
  classifierNames,
  createRandom,
  efficientNets,
  inference,
  RandomStream,
  ResNet,
  resNet50,
  ShuffleNetV2,
  shuffleNetsV2,
  summarize,
  tf,
  useBackend,
  Vgg,
} from 'detlab';
import { expectClose, expectNoLeak, on } from '../tensor/kernels/backends';
import { zeroRandom } from '../../lib/tensor/random';

interface Cost {
  size: number;
  parameters: number;
  multiplyAdds: number;
}
/** torchvision's own figures for images of `size`. */
interface Published {
  size: number;
  parameters: number;
  gigaMultiplyAdds: number;
}
const fixture = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'costs.json'), 'utf8')) as {
  costs: Record<ClassifierName, Cost & { published: Published }>;
};
const costs = Object.fromEntries(
  Object.entries(fixture.costs).map(([name, { published: _, ...cost }]) => [name, cost]),
) as Record<ClassifierName, Cost>;

describe('costs', () => {
  beforeAll(() => useBackend());

  function measured(net: Classifier, size: number): Cost {
    const { parameters, multiplyAdds } = summarize(net, [size, size, 3]);
    net.dispose();
    return { size, parameters, multiplyAdds };
  }

  // ShuffleNetV2 has a test of its own below, Lite0 one in efficientnet-lite0.test.ts.
  test.each(classifierNames.filter((name) => !/shufflenet|lite/.test(name)))('%s: as PyTorch', (name) => {
    const wanted = costs[name];
    // Before batch norm our convolutions have no bias: 4224 channels.
    if (name === 'vgg16-bn') wanted.parameters -= 4224;
    expect(measured(buildClassifier(name, zeroRandom), wanted.size)).toEqual(wanted);
  });

  test.each(Object.entries(shuffleNetsV2))('ShuffleNetV2 %s: torchvision’s as PyTorch', (width, config) => {
    const net = new Classifier(
      new ShuffleNetV2({ ...config, release: 'torchvision' }, zeroRandom),
      { classes: 1000, conv: { channels: config.last, activation: 'relu' } },
      zeroRandom,
    );
    const wanted = costs[`shufflenet-v2-${width}` as ClassifierName];
    expect(measured(net, wanted.size)).toEqual(wanted);
  });

  test('PyTorch’s counts are those that torchvision publishes', () => {
    for (const [name, { published, ...cost }] of Object.entries(fixture.costs)) {
      expect(cost.parameters, name).toBe(published.parameters);
      const there = Number((cost.multiplyAdds / 1e9).toFixed(3));
      if (name !== 'efficientnet-b2') expect(published.size, name).toBe(cost.size); // 288 pixels there, not 260
      if (published.size === cost.size) expect(there, name).toBe(published.gigaMultiplyAdds);
    }
  });

  // Ma et al., table 8 (M multiply-adds), and the released networks' parameters (M). The narrowest has 40.5 M, which they give as 41.
  test.each([
    ['shufflenet-v2-x0.5', 1.4, 40],
    ['shufflenet-v2-x1.0', 2.3, 146],
    ['shufflenet-v2-x1.5', 3.5, 299],
    ['shufflenet-v2-x2.0', 7.4, 591],
  ] as const)('%s: as the paper', (name, parameters, multiplyAdds) => {
    const cost = measured(buildClassifier(name, zeroRandom), 224);
    expect(Number((cost.parameters / 1e6).toFixed(1))).toBe(parameters);
    expect(Math.round(cost.multiplyAdds / 1e6)).toBe(multiplyAdds);
  });

  // Tan and Le, table 2: parameters (M), multiply-adds (G), which are TensorFlow's profile and count a little more than convolutions.
  test.each([
    ['b0', 5.3, 0.39],
    ['b1', 7.8, 0.7],
    ['b2', 9.2, 1.0],
    ['b3', 12, 1.8],
    ['b4', 19, 4.2],
    ['b5', 30, 9.9],
    ['b6', 43, 19],
    ['b7', 66, 37],
  ] as const)('EfficientNet-%s: near the paper', (name, parameters, multiplyAdds) => {
    const cost = costs[`efficientnet-${name}`];
    expect(cost.size).toBe(efficientNets[name].resolution);
    expect(Math.abs(cost.parameters / 1e6 / parameters - 1)).toBeLessThan(0.02);
    expect(Math.abs(cost.multiplyAdds / 1e9 / multiplyAdds - 1)).toBeLessThan(0.05);
  });

  test('a table of layers: ResNet-50', () => {
    const net = new ResNet(resNet50, zeroRandom);
    const { rows } = summarize(net, [224, 224, 3]);
    expect(rows).toHaveLength(53);
    expect(rows[0]).toEqual({
      layer: 'conv1',
      type: 'Conv2d',
      input: [224, 224, 3],
      output: [112, 112, 64],
      batch: 1,
      parameters: 9408,
      multiplyAdds: 118_013_952,
      again: false,
    });
    expect(rows.find(({ layer }) => layer === 'layer2.0.conv2')).toMatchObject({
      input: [56, 56, 128],
      output: [28, 28, 128],
    });
    net.dispose();
  });
});

describe('Classifier', () => {
  on('wasm');

  const vgg = (window: number): Classifier =>
    new Classifier(
      new Vgg({ stages: [[4], [6]], batchNorm: false }, createRandom(1)),
      { classes: 3, hidden: { channels: 5, window }, dropout: 0.5 },
      createRandom(2),
    );
  const image = (size: number): tf.Tensor4D =>
    tf.tensor4d(
      Float32Array.from({ length: size * size * 3 }, (_, i) => Math.sin(i)),
      [1, size, size, 3],
    );

  test('scores an image larger than the window by the average of its windows’ scores', () => {
    const net = vgg(2);
    tf.tidy(() => {
      const [map] = [net.backbone.forward(image(12), inference)[1]]; // 6x6, 3x3 after the pool: 2x2 windows
      const pooled = tf.maxPool(map, 2, 2, 'valid');
      const scores = [[0, 0], [0, 1], [1, 0], [1, 1]].map(([y, x]) => {
        const cell = tf.slice4d(pooled, [0, y, x, 0], [1, 2, 2, 6]);
        const [fc6, fc7] = net.hidden!;
        const hidden = fc7.forward(fc6.forward(cell, inference), inference);
        return net.fc.forward(hidden.reshape([1, 5]), inference);
      }); // prettier-ignore
      const expected = tf.div(tf.addN(scores), 4).dataSync();
      expectClose(net.forward(image(12), inference).dataSync(), expected, 1e-6, 'scores');
    });
    expect(() => tf.tidy(() => net.forward(image(4), inference))).toThrow(
      /an image of 4x4 leaves 1x1 cells for fully connected layers that see 2x2/,
    );
    net.dispose();
  });

  test('drops values in training only, and leaves nothing behind', () => {
    const net = vgg(3);
    const x = image(12);
    const random = new RandomStream(1);
    expectNoLeak(() => net.forward(x, inference).dispose());
    expect(() => tf.tidy(() => net.forward(x, { training: true }))).toThrow(/Dropout: .*random/);
    const training = net.forward(x, { training: true, random });
    expect(training.shape).toEqual([1, 3]);
    tf.dispose([training, x]);
    random.dispose();
    net.dispose();
  });

  test('an unknown name is an error that names the nearest', () => {
    expect(() => buildClassifier('resnet-50' as ClassifierName, zeroRandom)).toThrow(
      'there is no "resnet-50"; did you mean "resnet50"?',
    );
    expect(() => buildClassifier('toString' as ClassifierName, zeroRandom)).toThrow(/there is no "toString"/);
  });
});
