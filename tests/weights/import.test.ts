/** Weights by the names of torchvision, timm, effdet, ssd.pytorch and Megvii, against those networks' own outputs (`tests/reference/pretrained.py`). */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type Backbone,
  BackboneWithFpn,
  buildClassifier,
  buildTorchClassifier,
  Classifier,
  createRandom,
  EfficientNet,
  efficientNets,
  exportWeights,
  type HostTensor,
  importWeights,
  inference,
  type Module,
  type Random,
  ResNet,
  resNet18,
  resNet50,
  RetinaNet,
  ShuffleNetV2,
  Ssd,
  ssd300Config,
  type SsdConfig,
  type StateDict,
  stateDict,
  tf,
  torchClassifierNames,
  type TorchClassifierName,
  useBackend,
  Vgg,
  writeSafetensors,
} from 'detlab';
import { zeroRandom } from '../../lib/tensor/random';
import { expectSampled, type HashedTensor, hashedImage, hashedWeights, type Sampled } from './hashed';

interface Case {
  height: number;
  width: number;
  tensors: HashedTensor[];
  outputs: Sampled[];
}
const { cases } = JSON.parse(
  fs.readFileSync(path.join(__dirname, 'fixtures', 'pretrained.json'), 'utf8'),
) as { cases: Record<string, Case> };

beforeAll(() => useBackend());

const weightsOf = (name: string): Map<string, HostTensor> => hashedWeights(cases[name].tensors);

/** The same tensors by other names; those without one are left out. */
function renamed(weights: StateDict, rename: (name: string) => string | undefined): Map<string, HostTensor> {
  return new Map(
    [...weights].flatMap(([name, tensor]) => {
      const other = rename(name);
      return other === undefined ? [] : [[other, tensor] as const];
    }),
  );
}

function expectOutputs(name: string, run: (x: tf.Tensor4D) => tf.Tensor[]): void {
  const { height, width, outputs } = cases[name];
  tf.tidy(() => {
    const found = run(hashedImage(1000, [1, height, width, 3]));
    expect(found).toHaveLength(outputs.length);
    found.forEach((tensor, i) => expectSampled(tensor, outputs[i], `output ${i}`));
  });
}

const narrowSsd: SsdConfig = {
  ...ssd300Config(3, { backbone: false, head: false }),
  backbone: {
    stages: [[8, 8], [16, 16], [32, 32, 32], [64, 64, 64], [64, 64, 64]],
    atrous: { channels: 128, dilation: 6 },
  },
  extras: [
    { squeeze: 32, channels: 64, stride: 2, padding: 1 },
    { squeeze: 16, channels: 32, stride: 2, padding: 1 },
    { squeeze: 16, channels: 32, stride: 1, padding: 0 },
    { squeeze: 16, channels: 32, stride: 1, padding: 0 },
  ],
  l2Norm: 20,
}; // prettier-ignore
const vgg = (batchNorm: boolean): Classifier =>
  new Classifier(
    new Vgg({ stages: [[4, 4], [6, 6], [8, 8, 8], [10, 10, 10], [12, 12, 12]], batchNorm }, zeroRandom),
    { classes: 10, hidden: { channels: 20, window: 7 } },
    zeroRandom,
  ); // prettier-ignore
const last = (channels: number) => ({ channels, activation: 'relu' }) as const;
const narrowShuffleNet = (): Classifier =>
  new Classifier(
    new ShuffleNetV2({ stem: 6, widths: [12, 16, 20], blocks: [2, 3, 2], last: 24 }, zeroRandom),
    { classes: 10, conv: last(24) },
    zeroRandom,
  );

/** Networks whose weights are all imported, by the case's name; what else they are called. */
const wholes: [
  name: string,
  naming: string,
  build: () => Module & { forward: Classifier['forward'] | Ssd['forward'] },
][] = [
  ...Object.keys(cases)
    .filter((name) => (torchClassifierNames as readonly string[]).includes(name))
    .map((name): (typeof wholes)[number] => [
      name,
      name.replace(/\/(tf_)?(resnet|efficientnet|shufflenet_v2).*/, '/$2'),
      () => buildTorchClassifier(name as TorchClassifierName, zeroRandom),
    ]),
  ['vgg16, narrow', 'torchvision/vgg', () => vgg(false)],
  ['vgg16_bn, narrow', 'torchvision/vgg', () => vgg(true)],
  ['megvii shufflenet_v2, narrow', 'megvii/shufflenet_v2', narrowShuffleNet],
  [
    'ssd300_vgg16',
    'torchvision/ssd300_vgg16',
    () => new Ssd({ ...ssd300Config(3, { backbone: false, head: false }), l2Norm: 20 }, zeroRandom),
  ],
  ['ssd.pytorch, narrow', 'ssd.pytorch/ssd300', () => new Ssd(narrowSsd, zeroRandom)],
];

describe('a network with imported weights', () => {
  test.each(wholes)(
    'computes what its original does, and gives the weights back: %s',
    async (name, naming, build) => {
      const net = build();
      const weights = weightsOf(name);
      const own = net.namedVariables().length;
      expect(await importWeights(net, weights)).toEqual({
        naming,
        loaded: own,
        leftOut: [],
        missing: [],
        unexpected: [],
      });
      expectOutputs(name, (x) => {
        const y = net.forward(x, inference);
        return y instanceof tf.Tensor ? [y] : [y.classLogits, y.boxDeltas];
      });
      const back = await exportWeights(net, naming);
      net.dispose();
      const names = [...weights.keys()].filter((key) => !key.endsWith('num_batches_tracked'));
      expect([...back.keys()].sort()).toEqual(names.sort());
      const biases = name.startsWith('vgg16_bn'); // which go into the running means
      for (const [key, { shape, values }] of back) {
        expect(shape, key).toEqual(weights.get(key)!.shape);
        if (biases && /^features.*(bias|running_mean)$/.test(key)) continue;
        expect(sameBits(values, weights.get(key)!.values), key).toBe(true);
      }
    },
  );

  const maps =
    (net: Backbone, from: number) =>
    (x: tf.Tensor4D): tf.Tensor[] =>
      net.forward(x, inference).slice(from);
  test('is the trunk of a detector: effdet’s EfficientDet-D0', async () => {
    const name = 'effdet tf_efficientdet_d0';
    const net = new EfficientNet(efficientNets.b0, zeroRandom);
    const report = await importWeights(net, weightsOf(name));
    expect(report).toMatchObject({ naming: 'effdet/efficientdet', missing: [], unexpected: [] });
    expect(report.leftOut).toContain('fpn.resample.3.conv.conv.weight');
    expect(report.leftOut.some((key) => key.startsWith('backbone.'))).toBe(false);
    expectOutputs(name, maps(net, 2));
    net.dispose();
  });
  test('is the trunk of a detector: torchvision’s Faster R-CNN', async () => {
    const name = 'fasterrcnn_resnet50_fpn';
    const net = new ResNet(resNet50, zeroRandom);
    const report = await importWeights(net, weightsOf(name));
    expect(report).toMatchObject({ naming: 'torchvision/detection-resnet', missing: [], unexpected: [] });
    expect(report.leftOut).toContain('rpn.head.conv.0.0.weight');
    expectOutputs(name, maps(net, 0));
    net.dispose();
  });
});

function sameBits(a: HostTensor['values'], b: HostTensor['values']): boolean {
  const bytes = ({ buffer, byteOffset, byteLength }: HostTensor['values']) =>
    Buffer.from(buffer, byteOffset, byteLength);
  return bytes(a).equals(bytes(b));
}

/** The same names, shapes and bits. (Comparing millions of numbers by `toEqual` takes many seconds.) */
async function expectSameState(a: Module, b: Module): Promise<void> {
  const [one, other] = [await stateDict(a), await stateDict(b)];
  expect([...one.keys()]).toEqual([...other.keys()]);
  for (const [name, { shape, values }] of one) {
    const { shape: otherShape, values: otherValues } = other.get(name)!;
    expect(shape, name).toEqual(otherShape);
    expect(Buffer.compare(Buffer.from(values.buffer), Buffer.from(otherValues.buffer)), name).toBe(0);
  }
}

describe('a trunk', () => {
  test('takes what is its own from a classifier, whatever stands before the names', async () => {
    const weights = weightsOf('torchvision/resnet18');
    const whole = buildClassifier('resnet18', zeroRandom);
    await importWeights(whole, weights);
    const trunk = new ResNet(resNet18, zeroRandom);
    const report = await importWeights(
      trunk,
      renamed(weights, (name) => `module._orig_mod.${name}`),
    );
    expect(report).toEqual({
      naming: 'torchvision/resnet',
      loaded: 100,
      leftOut: ['fc.weight', 'fc.bias'],
      missing: [],
      unexpected: [],
    });
    await expectSameState(trunk, whole.backbone);
    expect([...(await exportWeights(trunk, 'torchvision/detection-resnet')).keys()][0]).toBe(
      'backbone.body.conv1.weight',
    );
    for (const net of [trunk, whole]) net.dispose();
  });

  test('of SSD takes ssd.pytorch’s first weights, fc6 and fc7 included', async () => {
    const weights = weightsOf('ssd.pytorch, narrow');
    const whole = new Ssd(narrowSsd, zeroRandom);
    await importWeights(whole, weights);
    const reduced = renamed(weights, (name) => /^vgg\.(.*)/.exec(name)?.[1]);
    const trunk = new Ssd(narrowSsd, zeroRandom);
    const report = await importWeights(trunk.backbone, reduced);
    expect(report).toMatchObject({ naming: 'ssd.pytorch/vgg16_reducedfc', loaded: 30, leftOut: [] });
    await expectSameState(trunk.backbone, whole.backbone);
    for (const net of [trunk, whole]) net.dispose();
  });
});

describe('a detector that has torchvision’s names itself', () => {
  const small = (random: Random): ResNet =>
    new ResNet({ ...resNet18, widths: [4, 4, 8, 8], blocks: [1, 1, 1, 1] }, random);
  /** The names of files from before torchvision 0.13. */
  const old = (name: string): string =>
    name
      .replace(/(_blocks\.\d)\.0\./, '$1.')
      .replace(
        /(_head\.conv)\.(\d)\.0\./,
        (_, head: string, index: string) => `${head}.${2 * Number(index)}.`,
      );

  test('takes whole files, of old names, too, and lists what lacks in the same words', async () => {
    const config = { backbone: small, taps: [1, 2, 3], outChannels: 8, classes: 3 };
    const [one, other] = [new RetinaNet(config, createRandom(1)), new RetinaNet(config, createRandom(2))];
    const weights = await stateDict(one);
    expect([...weights.keys()].filter((name) => old(name) !== name)).toHaveLength(12 + 16);
    const report = await importWeights(other, renamed(weights, old));
    expect(report).toMatchObject({ naming: 'detlab', loaded: weights.size, missing: [], unexpected: [] });
    await expectSameState(other, one);
    await expect(
      importWeights(
        other,
        renamed(weights, (name) => (name === 'backbone.body.bn1.bias' ? undefined : name)),
      ),
    ).rejects.toThrow(/missing in the weights \(1\):\n {2}backbone\.body\.bn1\.bias\n/);
    const trunk = small(createRandom(3));
    expect((await importWeights(trunk, weights)).naming).toBe('torchvision/detection-resnet');
    await expectSameState(trunk, one.backbone.body);
    for (const net of [one, other, trunk]) net.dispose();
  });

  test('a trunk with its pyramid takes both from Faster R-CNN', async () => {
    const net = new BackboneWithFpn({ backbone: (random) => new ResNet(resNet50, random) }, zeroRandom);
    const report = await importWeights(net, weightsOf('fasterrcnn_resnet50_fpn'));
    expect(report).toMatchObject({
      naming: 'torchvision/detection-resnet',
      loaded: net.namedVariables().length,
      missing: [],
      unexpected: [],
    });
    expect(report.leftOut.every((name) => /^(rpn|roi_heads)\./.test(name))).toBe(true);
    net.dispose();
  });
});

describe('importing', () => {
  const build = (): Classifier =>
    new Classifier(new ResNet(resNet18, zeroRandom), { classes: 7 }, zeroRandom);

  test('from a file of others or of our own', async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-import-'));
    const net = vgg(true);
    const theirs = path.join(folder, 'vgg.safetensors');
    await writeSafetensors(theirs, weightsOf('vgg16_bn, narrow'));
    expect((await importWeights(net, theirs)).naming).toBe('torchvision/vgg');
    const ours = path.join(folder, 'ours.safetensors');
    await writeSafetensors(ours, await stateDict(net));
    const again = vgg(true);
    expect(await importWeights(again, ours)).toMatchObject({ naming: 'detlab', loaded: 71, leftOut: [] });
    await expectSameState(again, net);
    const mixed = new Map([...(await stateDict(net))].filter(([name]) => name !== 'fc.bias'));
    await expect(importWeights(again, mixed)).rejects.toThrow(/missing in the weights \(1\):\n {2}fc\.bias/);
    fs.rmSync(folder, { recursive: true });
    net.dispose();
    again.dispose();
  });

  test('for other classes, keeps the layer that is to be trained anew', async () => {
    const net = build();
    const weights = weightsOf('torchvision/resnet18');
    await expect(importWeights(net, weights)).rejects.toThrow(
      `importWeights: the weights don't fit this Classifier; by their names, they are torchvision/resnet's
of another shape (2), in PyTorch's order of dimensions:
  fc.weight: the network has [7, 512], the weights have [1000, 512]
  fc.bias: the network has [7], the weights have [1000]
to keep the network's own values there: keep: (name) => name.startsWith('fc.')
for the trunk alone: importWeights(network.backbone, …)`,
    );
    expect(Array.from((net.backbone as ResNet).conv1.weight.dataSync()).every((value) => value === 0)).toBe(
      true,
    );
    const report = await importWeights(net, weights, { keep: (name) => name.startsWith('fc.') });
    expect(report).toMatchObject({ loaded: 100, missing: [], unexpected: [] });
    expect(net.fc.weight.dataSync().every((value) => value === 0)).toBe(true);
    expect(Array.from((net.backbone as ResNet).conv1.weight.dataSync())).not.toContain(0);
    net.dispose();
  });

  test('lists what a network of another depth lacks and what it has no place for, in both tongues', async () => {
    const deeper = buildClassifier('resnet34', zeroRandom);
    const weights = weightsOf('torchvision/resnet18');
    await expect(importWeights(deeper, weights)).rejects.toThrow(
      /missing in the weights \(80\):\n {2}backbone\.layer1\.2\.conv1\.weight, there layer1\.2\.conv1\.weight\n[^]*strict: false/,
    );
    const report = await importWeights(deeper, weights, { strict: false });
    expect([report.loaded, report.missing.length, report.unexpected]).toEqual([102, 80, []]);
    deeper.dispose();
    const shallower = new ResNet(resNet18, zeroRandom);
    const more = weightsOf('torchvision/resnet34');
    await expect(importWeights(shallower, more)).rejects.toThrow(
      /torchvision\/resnet's\nunexpected in the weights \(80\):\n {2}layer1\.2\.conv1\.weight\n[^]*everything that the network needs is there/,
    );
    const left = await importWeights(shallower, more, { strict: false });
    expect([left.loaded, left.unexpected.length, left.leftOut]).toEqual([100, 80, ['fc.weight', 'fc.bias']]);
    shallower.dispose();
  });

  test('into another network: shapes are compared as well, and nothing changes', async () => {
    const net = new Classifier(new EfficientNet(efficientNets.b1, zeroRandom), { classes: 2 }, zeroRandom);
    await expect(importWeights(net, weightsOf('timm/tf_efficientnet_b0'))).rejects.toThrow(
      /unexpected in the weights \(5\):\n {2}conv_head\.weight\n[^]*fc\.weight, there classifier\.weight: the network has \[2, 320\], the weights have \[1000, 1280\]/,
    );
    await expect(importWeights(net, weightsOf('torchvision/efficientnet_b0'))).rejects.toThrow(
      /backbone\.blocks\.0\.1\.depthwise_conv\.weight, there features\.1\.1\.block\.0\.0\.weight/,
    );
    expect((net.backbone as EfficientNet).conv_stem.weight.dataSync().every((value) => value === 0)).toBe(
      true,
    );
    net.dispose();
  });

  test('refuses names that are nobody’s, and shows some', async () => {
    const net = new ResNet(resNet18, zeroRandom);
    const strange = new Map([['encoder.0.w', { shape: [1], values: Float32Array.of(1) }]]);
    await expect(importWeights(net, strange)).rejects.toThrow(
      /nobody's names: "encoder\.0\.w"\. Known are torchvision\/resnet, .*this ResNet's own: "conv1\.weight", .*loadStateDict with the option rename/,
    );
    await expect(importWeights(net, new Map())).rejects.toThrow(/nobody's names: none/);
    net.dispose();
  });
});

describe('exporting', () => {
  test('refuses what they have no names or no place for', async () => {
    const net = narrowShuffleNet();
    await importWeights(net, weightsOf('megvii shufflenet_v2, narrow'));
    net.fc.bias!.assign(tf.ones([10]));
    await expect(exportWeights(net, 'megvii/shufflenet_v2')).rejects.toThrow(
      /classifier has no bias, but fc\.bias/,
    );
    await expect(exportWeights(net, 'torchvision/vgg')).rejects.toThrow(
      /torchvision\/vgg has no names for "backbone\.conv1\.0\.weight", .* and \d+ more of this Classifier/,
    );
    await expect(exportWeights(net, 'torchvision/resnets')).rejects.toThrow(
      /did you mean "torchvision\/resnet"/,
    );
    net.dispose();
  });
});

describe('networks of PyTorch', () => {
  test('an unknown one is an error that names the nearest', () => {
    expect(() => buildTorchClassifier('timm/efficientnet_b9' as TorchClassifierName, zeroRandom)).toThrow(
      /there is no "timm\/efficientnet_b9"; did you mean "timm\/efficientnet_b0"/,
    );
  });
});
