/** EfficientNet-Lite0 and its published weights, against the package they were published for (`tests/reference/efficientnet_lite0.py`). */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  buildClassifier,
  type Classifier,
  classifyImage,
  createRandom,
  EfficientNet,
  efficientNetLite0,
  efficientNetLite0File,
  efficientNetLite0Pixels,
  efficientNets,
  exportWeights,
  imageNetClasses,
  imageNetInput,
  importWeights,
  inference,
  loadEfficientNetLite0,
  loadImageNetTrunk,
  readImage,
  shippedPhotographs,
  readSafetensors,
  readWeights,
  summarize,
  tf,
  useBackend,
  Vgg,
} from 'detlab';
import { projectRoot } from '../../lib/tensor/packages';
import { zeroRandom } from '../../lib/tensor/random';
import { expectClose } from '../tensor/kernels/backends';
import {
  expectSampled,
  type HashedTensor,
  hashedImage,
  hashedWeights,
  type Sampled,
} from '../weights/hashed';

interface Photograph {
  mean: number;
  classes: number[];
  probabilities: number[];
  scores: number[];
}
const fixture = JSON.parse(
  fs.readFileSync(path.join(__dirname, 'fixtures', 'efficientnet-lite0.json'), 'utf8'),
) as {
  sha256: string;
  costs: Record<
    'lite0' | 'lite1' | 'lite2' | 'lite3' | 'lite4',
    { size: number; parameters: number; multiplyAdds: number }
  >;
  noise: { maps: Sampled[]; scores: number[] };
  photographs: Record<string, Photograph>;
  hashed: { height: number; width: number; tensors: HashedTensor[]; outputs: Sampled[] };
};
/** Quicker than `toEqual` for millions of values. */
const sameBytes = (a: ArrayBufferView, b: ArrayBufferView): boolean =>
  Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));

beforeAll(() => useBackend());

describe('costs', () => {
  // TensorFlow's README of the release: parameters (M), multiply-adds (M), which are its profiler's and count activations, too.
  test.each([
    ['lite0', 1, 1, 4.7, 407],
    ['lite1', 1, 1.1, 5.4, 631],
    ['lite2', 1.1, 1.2, 6.1, 899],
    ['lite3', 1.2, 1.4, 8.2, 1440],
    ['lite4', 1.4, 1.8, 13.0, 2640],
  ] as const)('%s: as the reference, near the published', (name, width, depth, parameters, multiplyAdds) => {
    const wanted = fixture.costs[name];
    const trunk = new EfficientNet({ ...efficientNetLite0, width, depth }, zeroRandom);
    const cost = summarize(trunk, [wanted.size, wanted.size, 3]);
    // Behind the trunk: 320 channels of its last stage, scaled, to 1280 and to 1000 classes.
    const side = Math.ceil(wanted.size / 32);
    const last = trunk.channels[trunk.channels.length - 1] * 1280;
    expect(cost.parameters + last + 2 * 1280 + 1281 * 1000).toBe(wanted.parameters);
    expect(cost.multiplyAdds + side * side * last + 1280 * 1000).toBe(wanted.multiplyAdds);
    expect(Number((wanted.parameters / 1e6).toFixed(1))).toBe(parameters);
    expect(Math.abs(wanted.multiplyAdds / 1e6 / multiplyAdds - 1)).toBeLessThan(0.06);
    trunk.dispose();
  });

  test('the classifier: 4.65 M parameters, 385 M multiply-adds', () => {
    const net = buildClassifier('efficientnet-lite0', zeroRandom);
    const { parameters, multiplyAdds } = summarize(net, [224, 224, 3]);
    expect({ size: 224, parameters, multiplyAdds }).toEqual(fixture.costs.lite0);
    expect(parameters).toBe(4_652_008);
    net.dispose();
  });
});

describe('the shipped file', () => {
  const sha256 = (file: string): string => createHash('sha256').update(fs.readFileSync(file)).digest('hex');

  test('has the checksum that data/weights/README.md tells, and says where it is from', async () => {
    const readme = fs.readFileSync(path.join(projectRoot, 'data', 'weights', 'README.md'), 'utf8');
    expect(readme).toContain(`**This file**: sha256 \`${sha256(efficientNetLite0File)}\``);
    expect(readme).toContain(fixture.sha256);
    const { tensors, metadata } = await readSafetensors(efficientNetLite0File);
    expect(metadata).toMatchObject({ sha256: fixture.sha256, licence: expect.stringMatching(/^Apache-2.0/) });
    expect([...tensors.values()].every(({ values }) => values instanceof Float32Array)).toBe(true);
  });

  test('is made from no other checkpoint', () => {
    const script = path.join(projectRoot, 'data', 'weights', 'imagenet', 'convert.mjs');
    const run = (): unknown =>
      execFileSync(process.execPath, [script, efficientNetLite0File], { stdio: 'pipe' });
    expect(run).toThrow(`not ${fixture.sha256}`);
  });
});

describe('with the published weights', () => {
  let net: Classifier;
  beforeAll(async () => {
    await useBackend();
    net = await loadEfficientNetLite0();
  });
  afterAll(() => net.dispose());

  test('every stage’s map and the scores are the reference’s', () => {
    const { maps, scores } = fixture.noise;
    tf.tidy(() => {
      const x = hashedImage(1000, [1, 224, 224, 3]);
      const trunk = net.backbone as EfficientNet;
      let y = tf.relu6(trunk.bn1.forward(trunk.conv_stem.forward(x, inference), inference));
      expectSampled(y, maps[0], 'stem');
      const stages = trunk.blocks.map((blocks) => {
        for (const block of blocks) y = block.forward(y, inference);
        return y;
      });
      stages.forEach((map, i) => expectSampled(map, maps[i + 1], `stage ${i + 1}`));
      const head = tf.relu6(net.bn!.forward(net.conv!.forward(y, inference), inference));
      expectSampled(head, maps[8], 'head');
      expectClose(net.forward(x, inference).dataSync(), scores, 1e-5, 'scores');

      const outputs = trunk.forward(x, inference);
      expect(outputs.map(({ shape }) => shape.slice(1))).toEqual(
        [112, 56, 28, 14, 7].map((side, i) => [side, side, trunk.channels[i]]),
      );
      [0, 1, 2, 4, 6].forEach((stage, i) => {
        expect(outputs[i].sub(stages[stage]).abs().max().dataSync()[0], `output ${i}`).toBe(0);
      });
    });
  });

  // What they show, by data/photographs/README.md. No class is a rocket: those that are near are among the first five.
  test.each(shippedPhotographs)('$name is told as by the reference, and rightly', async (shown) => {
    const name = path.basename(shown.file);
    const right = shown.classes;
    const first = shown.exact ? 1 : 5;
    const wanted = fixture.photographs[name];
    const image = await readImage(shown.file);
    const input = imageNetInput(image);
    const scores = tf.tidy(() => net.forward(input, inference));
    const { mean, std } = efficientNetLite0Pixels;
    const average = input.mean().dataSync()[0] * std[0] + mean[0];
    expect(Math.abs(average - wanted.mean)).toBeLessThan(0.001);
    // Tight enough for a mean of 127.5 instead of 127 to show.
    expectClose(scores.dataSync(), wanted.scores, 1e-4, 'scores');
    tf.dispose([input, scores]);

    const guesses = await classifyImage(net, image);
    expect(guesses.map(({ label }) => label)).toEqual(wanted.classes);
    guesses.forEach(({ probability }, i) => expect(probability).toBeCloseTo(wanted.probabilities[i], 4));
    expect(guesses.slice(0, first).some((guess) => right.includes(guess.name))).toBe(true);
  });

  test('a picture is cut and normalised as in evaluation', () => {
    // Grey by column; the middle 224 of 260 columns begin at column 18.
    const data = Uint8Array.from({ length: 256 * 260 * 3 }, (_, i) => (Math.floor(i / 3) % 260) % 256);
    const input = imageNetInput({ width: 260, height: 256, data });
    expect(input.shape).toEqual([1, 224, 224, 3]);
    expect(input.slice([0, 100, 0, 0], [1, 1, 2, 3]).dataSync()).toEqual(
      Float32Array.from([18, 18, 18, 19, 19, 19], (value) => (value - 127) / 128),
    );
    const small = imageNetInput({ width: 30, height: 20, data: new Uint8Array(1800).fill(255) });
    expect(small.min().dataSync()[0]).toBe(1);
    tf.dispose([input, small]);
  });

  test('a trunk gets the classifier’s weights, nothing else', async () => {
    const trunk = new EfficientNet(efficientNetLite0, createRandom(1));
    await loadImageNetTrunk(trunk);
    const same = new Map(net.backbone.namedVariables().map(({ name, variable }) => [name, variable]));
    const own = trunk.namedVariables();
    expect(own).toHaveLength(same.size);
    for (const { name, variable } of own) {
      expect(sameBytes(variable.dataSync(), same.get(name)!.dataSync()), name).toBe(true);
    }
    trunk.dispose();
  });

  test('no other network is given them', async () => {
    const b0 = new EfficientNet(efficientNets.b0, zeroRandom);
    await expect(loadImageNetTrunk(b0)).rejects.toThrow(/EfficientNet-Lite0's.* has swish, same and 0.001/s);
    const padded = new EfficientNet({ ...efficientNetLite0, padding: 'symmetric' }, zeroRandom);
    await expect(loadImageNetTrunk(padded)).rejects.toThrow(/has relu6, symmetric and/);
    const wide = new EfficientNet({ ...efficientNetLite0, width: 1.4, depth: 1.8 }, zeroRandom);
    await expect(loadImageNetTrunk(wide)).rejects.toThrow(/don't fit this EfficientNet/);
    const vgg = new Vgg({ stages: [[4]], batchNorm: false }, zeroRandom);
    await expect(loadImageNetTrunk(vgg)).rejects.toThrow('this is a Vgg');
    for (const trunk of [b0, padded, wide, vgg]) trunk.dispose();
  });

  test('they are given back by their own names', async () => {
    const back = await exportWeights(net, 'efficientnet_pytorch/efficientnet');
    const given = await readWeights(efficientNetLite0File);
    expect([...back.keys()].sort()).toEqual([...given.keys()].sort());
    for (const [name, { shape, values }] of given) {
      expect(back.get(name)!.shape, name).toEqual(shape);
      expect(sameBytes(back.get(name)!.values, values), name).toBe(true);
    }
  });
});

test('efficientnet_pytorch’s names with squeeze and excitation: B0', async () => {
  const { height, width, tensors, outputs } = fixture.hashed;
  const b0 = buildClassifier('efficientnet-b0', zeroRandom);
  const report = await importWeights(b0, hashedWeights(tensors));
  expect(report).toMatchObject({ naming: 'efficientnet_pytorch/efficientnet', missing: [], unexpected: [] });
  tf.tidy(() =>
    expectSampled(b0.forward(hashedImage(1000, [1, height, width, 3]), inference), outputs[0], 'scores'),
  );
  b0.dispose();
});

test('the classes’ names', () => {
  expect(imageNetClasses).toHaveLength(1000);
  expect(new Set(imageNetClasses).size).toBe(1000);
  // The first, the last and some between, by ImageNet's own order.
  expect([0, 281, 388, 504, 817, 999].map((label) => imageNetClasses[label])).toEqual(
    ['tench', 'tabby', 'giant panda', 'coffee mug', 'sports car', 'toilet tissue'], // prettier-ignore
  );
});
