/** EfficientDet against effdet's, with weights of a formula imported by their names (`tests/reference/efficientdet.py`). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  cocoCategoryIds,
  createEfficientDetDetector,
  createRandom,
  effdetPlan,
  EfficientDet,
  type EfficientDetConfig,
  efficientDetConfig,
  efficientDetDetectorOptions,
  EfficientDetHead,
  efficientDetPlan,
  type EfficientDetPlan,
  efficientDets,
  EfficientNet,
  exportWeights,
  type GroundTruth,
  importWeights,
  inference,
  ResNet,
  resNet18,
  RetinaNet,
  selectEffdetClasses,
  tf,
  useBackend,
} from 'detlab';
import { zeroRandom } from '../../lib/tensor/random';
import { backends, expectClose, on } from '../tensor/kernels/backends';
import {
  expectSampled,
  type HashedTensor,
  hashedImage,
  hashedWeights,
  type Sampled,
} from '../weights/hashed';
import { expectPart, type PartCase } from './necks/part-case';

interface NetworkCase {
  height: number;
  width: number;
  parameters: number;
  tensors: HashedTensor[];
  features: Sampled[];
  classes: Sampled[];
  boxes: Sampled[];
}
const { networks, head } = JSON.parse(
  readFileSync(path.join(__dirname, 'fixtures', 'efficientdet.json'), 'utf8'),
) as { networks: Record<string, NetworkCase>; head: PartCase };

const small = { ...efficientDets.d0, channels: 24, cells: 2, headDepth: 1 };
const plans: Record<string, [plan: EfficientDetPlan, classes: number]> = {
  tf_efficientdet_d0: [efficientDets.d0, 90],
  efficientdet_d0: [effdetPlan('d0'), 90],
  'P3 to P8, sums': [{ ...small, fusion: 'sum', maxLevel: 8 }, 3],
  softmax: [{ ...small, fusion: 'softmax' }, 3],
};
const build = (name: string): EfficientDet => {
  const [plan, classes] = plans[name];
  return new EfficientDet(efficientDetConfig(plan, classes), zeroRandom);
};

describe.each(backends)('on %s', (backend) => {
  on(backend);

  test('the head as effdet has it, in training', () => {
    const model = new EfficientDetHead({ channels: 4, levels: 3, depth: 2, outputs: 27 }, createRandom(1));
    expectPart(model, (maps, context) => model.forward(maps, context), head);
    model.dispose();
  });
});

describe('whole networks', () => {
  beforeAll(() => useBackend());

  test.each(Object.keys(networks))('as effdet, on every level: %s', async (name) => {
    const { height, width, parameters, tensors, features, classes, boxes } = networks[name];
    const model = build(name);
    expect(model.parameterCount()).toBe(parameters);
    const weights = hashedWeights(tensors);
    const report = await importWeights(model, weights);
    const loaded = model.namedVariables().length;
    expect(report).toEqual({
      naming: 'effdet/efficientdet',
      loaded,
      leftOut: [],
      missing: [],
      unexpected: [],
    });
    tf.tidy(() => {
      const maps = model.features(hashedImage(1000, [1, height, width, 3]), inference);
      expect(maps).toHaveLength(features.length);
      maps.forEach((map, i) => expectSampled(map, features[i], `features ${i}`));
      const predicted = { classes: model.class_net, boxes: model.box_net };
      for (const [part, wanted] of Object.entries({ classes, boxes })) {
        const levels = predicted[part as keyof typeof predicted].forward(maps, inference);
        levels.forEach((level, i) => expectSampled(level, wanted[i], `${part} ${i}`));
      }
      // the levels one after another
      const { classLogits, boxDeltas } = model.forward(hashedImage(1000, [1, height, width, 3]), inference);
      const anchors = boxes.reduce((sum, { count }) => sum + count / 4, 0);
      expect(classLogits.shape).toEqual([1, anchors, plans[name][1]]);
      expect(boxDeltas.shape).toEqual([1, anchors, 4]);
      expectSampled(boxDeltas.slice([0, 0, 0], [1, boxes[0].count / 4, 4]), boxes[0], 'first level');
    });
    // and back, by their names
    const theirs = await exportWeights(model, 'effdet/efficientdet');
    const wanted = [...weights.keys()].filter((key) => !key.endsWith('num_batches_tracked'));
    expect([...theirs.keys()].sort()).toEqual(wanted.sort());
    for (const key of wanted) expect(theirs.get(key)!.shape, key).toEqual(weights.get(key)!.shape);
    model.dispose();
  });

  test('weights with redundant biases don’t go into a network without, and the error names them', async () => {
    const model = new EfficientDet(
      efficientDetConfig({ ...efficientDets.d0, redundantBias: false }, 90),
      zeroRandom,
    );
    const weights = hashedWeights(networks.tf_efficientdet_d0.tensors);
    await expect(importWeights(model, weights)).rejects.toThrow('fpn.resample.3.conv.conv.bias');
    model.dispose();
  });

  test('other classes: the head stays, all else is imported', async () => {
    const model = new EfficientDet(efficientDetConfig(efficientDets.d0, 2), createRandom(1));
    const weights = hashedWeights(networks.tf_efficientdet_d0.tensors);
    await expect(importWeights(model, weights)).rejects.toThrow(
      "name.startsWith('class_net.predict.conv_pw.')",
    );
    const report = await importWeights(model, weights, {
      keep: (name) => name.startsWith('class_net.predict.'),
    });
    expect(report.loaded).toBe(model.namedVariables().length - 3);
    model.dispose();
  });

  test('published weights for COCO’s 80 categories predict the same as for all 90', async () => {
    const weights = hashedWeights(networks.tf_efficientdet_d0.tensors);
    expect(cocoCategoryIds).toHaveLength(80);
    // person, the last before the first gap, the first after it, toothbrush
    expect([0, 10, 11, 79].map((label) => cocoCategoryIds[label])).toEqual([1, 11, 13, 90]);
    const classes = cocoCategoryIds.map((id) => id - 1);
    const [all, some] = [90, 80].map(
      (count) => new EfficientDet(efficientDetConfig(efficientDets.d0, count), zeroRandom),
    );
    await importWeights(all, weights);
    await importWeights(some, selectEffdetClasses(weights, classes));
    tf.tidy(() => {
      const x = hashedImage(7, [1, 32, 64, 3]);
      const [full, chosen] = [all, some].map((model) => model.forward(x, inference));
      const wanted = tf.gather(full.classLogits, classes, 2).dataSync();
      expectClose(chosen.classLogits.dataSync(), wanted, 1e-6, 'logits');
      expectClose(chosen.boxDeltas.dataSync(), full.boxDeltas.dataSync(), 1e-6, 'deltas');
    });
    expect(() => selectEffdetClasses(weights, [90])).toThrow("class 90 is not one of the weights' 90");
    expect(() => selectEffdetClasses(weights, [])).toThrow('classes is empty');
    expect(() => selectEffdetClasses(new Map(), [0])).toThrow('are they effdet');
    all.dispose();
    some.dispose();
  });

  test('a network that is no EfficientDet takes the trunk only', async () => {
    const model = new RetinaNet(
      {
        backbone: (random) => new EfficientNet(efficientDets.d0.trunk, random),
        taps: [2, 3, 4],
        outChannels: 8,
        classes: 2,
      },
      zeroRandom,
    );
    const weights = hashedWeights(networks.tf_efficientdet_d0.tensors);
    const report = await importWeights(model.backbone.body, weights);
    expect(report.leftOut).toContain('fpn.cell.0.fnode.0.combine.edge_weights');
    model.dispose();
  });
});

describe('the detector', () => {
  beforeAll(() => useBackend());

  const plan: EfficientDetPlan = {
    ...efficientDetPlan(-3),
    trunk: { width: 0.25, depth: 0.3 },
    channels: 16,
  };
  const groundTruth: GroundTruth[][] = [
    [
      { box: [10, 20, 60, 90], label: 1 },
      { box: [64, 64, 120, 100], label: 0 },
    ],
    [],
  ];

  test('begins with the prior at every anchor and finds nothing, and leaves no tensors', async () => {
    const model = new EfficientDet(efficientDetConfig(plan, 2), createRandom(2));
    const detector = createEfficientDetDetector(model, efficientDetDetectorOptions(plan));
    expect(detector.anchors.levels.map(({ rows, cols }) => [rows, cols])).toEqual(
      [16, 8, 4, 2, 1].map((n) => [n, n]),
    );
    // the smallest square has four steps a side
    const [x1, y1, x2, y2] = detector.anchors.boxes;
    expect([x2 - x1, y2 - y1]).toEqual([32, 32]);
    const images = tf.zeros([1, 128, 128, 3]) as tf.Tensor4D;
    const scores = tf.tidy(() => tf.sigmoid(detector.predict(images).classLogits).dataSync());
    const mean = [...scores].reduce((sum, score) => sum + score, 0) / scores.length;
    expect(mean).toBeCloseTo(0.01, 2);
    expect(await detector.detect(images, { scoreThreshold: 0.5 })).toEqual([[]]);
    const before = tf.memory().numTensors;
    const [found] = await detector.detect(images, { maxOutput: 7 });
    expect(tf.memory().numTensors).toBe(before);
    expect(found).toHaveLength(7);
    images.dispose();
    model.dispose();
  });

  test('its loss is EfficientDet’s and every parameter learns', () => {
    const model = new EfficientDet(efficientDetConfig(plan, 2), createRandom(2));
    const detector = createEfficientDetDetector(model, efficientDetDetectorOptions(plan));
    const targets = detector.targets(groundTruth);
    tf.tidy(() => {
      const images = hashedImage(5, [2, 128, 128, 3]);
      const parameters = model.parameters();
      const { grads } = tf.variableGrads(
        () => {
          const { total, parts } = detector.loss(images, targets, { training: true });
          const [sum, classLoss, boxLoss, positives] = [total, parts.class, parts.box, parts.positives].map(
            (value) => value.dataSync()[0],
          );
          expect(sum).toBeCloseTo(classLoss + 50 * boxLoss, 4);
          expect(positives).toBeGreaterThanOrEqual(2);
          return total;
        },
        parameters.map(({ variable }) => variable),
      );
      const idle = parameters.filter(
        ({ variable }) => tf.max(tf.abs(grads[variable.name])).dataSync()[0] === 0,
      );
      // biases before batch norms; and P5 to P7 have no positive anchors, so no box is learnt there
      const expected = /conv(_pw)?\.bias$|^box_net\.bn_rep\.\d\.[234]\./;
      expect(idle.map(({ name }) => name).filter((name) => !expected.test(name))).toEqual([]);
    });
    tf.dispose(targets);
    model.dispose();
  });

  test('takes any trunk, and says what does not go together', () => {
    const config: EfficientDetConfig = {
      backbone: (random) => new ResNet({ ...resNet18, widths: [4, 8, 8, 8], blocks: [1, 1, 1, 1] }, random),
      channels: 8,
      cells: 1,
      headDepth: 1,
      classes: 2,
    };
    const inputSize = { width: 96, height: 64 };
    const model = new EfficientDet(config, createRandom(1));
    const { anchors } = createEfficientDetDetector(model, { inputSize });
    expect(anchors.levels.map(({ rows, cols }) => [rows, cols])).toEqual(model.mapSizes(inputSize));
    expect(() => createEfficientDetDetector(model, { inputSize, aspects: [1] })).toThrow(
      'there are 3 anchors a cell (scales by aspects), the network predicts 9',
    );
    const finer = new EfficientDet({ ...config, taps: [0, 1, 2] }, createRandom(1));
    expect(() => createEfficientDetDetector(finer, { inputSize })).toThrow(
      'the map of level 3 has 16 x 24 cells, but 64 x 96 pixels / 2^3 are 8 x 12',
    );
    expect(() => new EfficientDet({ ...config, taps: [1, 4] }, createRandom(1))).toThrow(
      'tap 4 is not a stage',
    );
    expect(() => new EfficientDet({ ...config, prior: 1 }, createRandom(1))).toThrow('prior is 1');
    tf.tidy(() => {
      expect(() => model.class_net.forward([tf.zeros([1, 1, 1, 8])], inference)).toThrow(
        '1 maps for a head of 5 levels',
      );
    });
    finer.dispose();
    model.dispose();
  });
});
