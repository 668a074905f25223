/** Running statistics measured anew: the mean over the batches, of a path's own layers alone, whatever they were before. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type Backbone,
  BatchNorm2d,
  batchNormLayers,
  batchTensor,
  createLoader,
  createRandom,
  createRecalibration,
  createRetinaNetDetector,
  type DetNasSize,
  DetNasSupernet,
  type ForwardContext,
  Module,
  PathEvaluator,
  pathTensor,
  RandomStream,
  RetinaNet,
  type RetinaNetDetector,
  tf,
  useBackend,
} from 'detlab';
import { rectangles } from '../models/rectangles';

beforeAll(async () => {
  await useBackend();
});

/** Normalises once, and doubles what comes out: all that a recalibration needs of a network. */
class Norm extends Module {
  readonly bn = new BatchNorm2d({ channels: 2, momentum: 0.5 });
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => this.bn.forward(x, context).mul(2));
  }
}

const values = (tensor: tf.Tensor): number[] => Array.from(tensor.dataSync());

describe('recalibration', () => {
  test('sets mean and variance to the mean over the batches', async () => {
    const model = new Norm();
    model.bn.running_mean.assign(tf.tensor1d([1e6, -3]));
    model.bn.running_var.assign(tf.tensor1d([1e8, 7]));
    const random = createRandom(1);
    const batches = Array.from({ length: 5 }, () =>
      Float32Array.from({ length: 3 * 4 * 4 * 2 }, () => 3 * random.normal() + random.next()),
    );
    const expected = [0, 1].map((channel) => {
      const each = batches.map((batch) => {
        const own = [...batch].filter((_, i) => i % 2 === channel);
        const mean = own.reduce((sum, x) => sum + x, 0) / own.length;
        return { mean, variance: own.reduce((sum, x) => sum + (x - mean) ** 2, 0) / own.length };
      });
      const over = (of: 'mean' | 'variance'): number =>
        each.reduce((sum, one) => sum + one[of], 0) / each.length;
      return { mean: over('mean'), variance: over('variance') };
    });
    const recalibration = createRecalibration<{ x: tf.Tensor4D }>({
      loss: ({ x }, context) => ({ total: model.forward(x, context).sum(), parts: {} }),
    });
    const before = tf.memory().numTensors;
    for (let again = 0; again < 2; again++) {
      const inputs = batches.map((batch) => ({ x: tf.tensor4d(batch, [3, 4, 4, 2]) }));
      expect(await recalibration.run(inputs)).toBe(5);
      expected.forEach(({ mean, variance }, channel) => {
        expect(values(model.bn.running_mean)[channel]).toBeCloseTo(mean, 5);
        expect(values(model.bn.running_var)[channel] / variance).toBeCloseTo(1, 5);
      });
    }
    expect(tf.memory().numTensors).toBe(before);
    expect(values(model.bn.weight)).toEqual([1, 1]);
    recalibration.dispose();
    model.dispose();
  });

  test('needs a batch', async () => {
    const model = new Norm();
    const recalibration = createRecalibration<{ x: tf.Tensor4D }>({
      loss: ({ x }, context) => ({ total: model.forward(x, context).sum(), parts: {} }),
    });
    await expect(recalibration.run([])).rejects.toThrow(/no batches to measure statistics on/);
    expect(values(model.bn.running_var)).toEqual([1, 1]);
    recalibration.dispose();
    model.dispose();
  });

  test('draws the same samples each time', async () => {
    const model = new Norm();
    const random = new RandomStream(3);
    const recalibration = createRecalibration<{ x: tf.Tensor4D }>({
      random,
      loss: ({ x }, context) => ({
        total: model.forward(x.add(context.random!.uniform(x.shape)) as tf.Tensor4D, context).sum(),
        parts: {},
      }),
    });
    const found = [];
    for (let again = 0; again < 2; again++) {
      await recalibration.run([0, 1].map(() => ({ x: tf.zeros<tf.Rank.R4>([2, 3, 3, 2]) })));
      found.push(values(model.bn.running_mean));
      // Somebody else draws in between.
      random.uniform([1]).dispose();
    }
    expect(found[0]).toEqual(found[1]);
    expect(found[0][0]).toBeGreaterThan(0.2);
    recalibration.dispose();
    random.dispose();
    model.dispose();
  });
});

describe('evaluating paths of a supernet', { timeout: 120_000 }, () => {
  const size: DetNasSize = { stem: 4, widths: [8, 12, 16, 20], blocks: [1, 1, 1, 1], last: 8 };
  const inputSize = 32;
  const dataset = rectangles(8, { size: inputSize, side: [8, 5] });
  const loader = createLoader(dataset, {
    size: inputSize,
    batchSize: 4,
    mean: [110, 110, 110],
    std: [60, 60, 60],
  });
  const build = (): { detector: RetinaNetDetector; supernet: DetNasSupernet } => {
    const random = createRandom(2);
    const supernet = new DetNasSupernet(size, random);
    const model = new RetinaNet(
      {
        backbone: () => supernet,
        taps: [1, 2, 3],
        classes: 2,
        outChannels: 8,
        batchNorm: true,
        anchorsPerCell: 1,
        depth: 1,
        groupNorm: { groups: 2 },
        prior: 0.5,
      },
      random,
    );
    const detector = createRetinaNetDetector(model, {
      inputSize: { width: inputSize, height: inputSize },
      sizes: [8, 12, 16, 24, 32].map((side) => [side]),
      ratios: [1],
    });
    // Statistics of no path: as far from any of them as those of a training that mixes all.
    for (const layer of batchNormLayers(model)) {
      layer.running_mean.assign(tf.randomNormal(layer.running_mean.shape, 0, 0.3, 'float32', 5));
    }
    return { detector, supernet };
  };
  const paths = [
    [0, 1, 2, 3],
    [3, 1, 0, 0],
    [2, 2, 2, 2],
  ];

  test('a path’s statistics are those of its network on its own; others stay', async () => {
    const supernet = new DetNasSupernet(size, createRandom(2));
    type Images = { images: tf.Tensor4D };
    async function* batches(): AsyncGenerator<Images> {
      for await (const batch of loader.epoch(0)) yield { images: batchTensor(batch) };
    }
    /** The trunk alone: a detector's other layers play no part. */
    const over = (trunk: Backbone) =>
      createRecalibration<Images>({
        loss: ({ images }, context) => ({ total: tf.sum(trunk.forward(images, context)[3]), parts: {} }),
      });
    const recalibration = over(supernet);
    const [path] = paths;
    const before = new Map(supernet.namedVariables().map(({ name, variable }) => [name, values(variable)]));
    const chosen = pathTensor(path, supernet.space);
    await recalibration.run(batches(), chosen);
    const net = supernet.extract(path);
    const alone = over(net);
    await alone.run(batches());
    const own = new Map(net.namedVariables().map(({ name, variable }) => [name, values(variable)]));
    let measured = 0;
    for (const { name, variable } of supernet.namedVariables()) {
      const [, stage, block, choice, rest] = /^stages\.(\d)\.(\d)\.choices\.(\d)\.(.*)$/.exec(name) ?? [];
      const now = values(variable);
      if (stage !== undefined && path[Number(stage)] !== Number(choice)) {
        expect([name, now]).toEqual([name, before.get(name)]);
        continue;
      }
      const expected = own.get(stage === undefined ? name : `stages.${stage}.${block}.${rest}`)!;
      now.forEach((value, i) => expect(value).toBeCloseTo(expected[i], 4));
      if (name.endsWith('running_mean')) {
        measured++;
        expect(now).not.toEqual(before.get(name));
      }
    }
    expect(measured).toBeGreaterThan(8);
    recalibration.dispose();
    alone.dispose();
    chosen.dispose();
    net.dispose();
    supernet.dispose();
  });

  test('gives the same for the same path, whatever came before; the trained statistics come back', async () => {
    const { detector, supernet } = build();
    const variables = detector.model.namedVariables();
    const before = variables.map(({ variable }) => values(variable));
    const evaluator = new PathEvaluator({
      detector,
      space: supernet.space,
      statistics: loader,
      batches: 2,
      images: loader,
    });
    const scores = async (path: readonly number[], recalibrate?: boolean): Promise<number[]> => {
      const { ids, detections } = await evaluator.detect(path, { recalibrate, maxOutput: 5 });
      expect(ids).toEqual(dataset.examples.map(({ id }) => id));
      return detections.flat().flatMap(({ score, box }) => [score, ...box]);
    };
    const first = [];
    for (const path of paths) first.push(await scores(path));
    expect(first[0].length).toBeGreaterThan(0);
    expect(first[0]).not.toEqual(first[1]);
    const stale = await scores(paths[0], false);
    expect(stale).not.toEqual(first[0]);
    for (const which of [2, 0, 1, 0]) expect(await scores(paths[which])).toEqual(first[which]);
    expect(await scores(paths[0], false)).toEqual(stale);
    const tensors = tf.memory().numTensors;
    await scores(paths[1]);
    expect(tf.memory().numTensors).toBe(tensors);
    await expect(evaluator.detect([0, 0, 0])).rejects.toThrow(/3 blocks; the space has 4/);
    evaluator.dispose();
    variables.forEach(({ name, variable }, i) => expect([name, values(variable)]).toEqual([name, before[i]]));
    detector.model.dispose();
  });
});
