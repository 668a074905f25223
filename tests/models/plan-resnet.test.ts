/** Residual networks and a whole detector that recompute: the same numbers, less memory. */
import { describe, expect, it } from 'vitest';
import {
  type BatchStatistics,
  applyStatistics,
  compile,
  createFasterRcnnDetector,
  createRandom,
  type Detector,
  detectorMemory,
  FasterRcnn,
  type GroundTruth,
  liveBytes,
  planResNet,
  RandomStream,
  ResNet,
  type ResNetConfig,
  resNetStems,
  storedPlan,
  tf,
} from 'detlab';
import { backends, on, randomTensor } from '../tensor/kernels/backends';

const configs: Record<string, ResNetConfig> = {
  basic: { stem: resNetStems.quarter, widths: [4, 8], blocks: [3, 2] },
  bottleneck: { stem: resNetStems.half, widths: [2, 4, 4], blocks: [1, 4, 2], block: 'bottleneck' },
  root: { stem: resNetStems.root, widths: [4], blocks: [3] },
};
const shape: [number, number, number, number] = [2, 32, 24, 3];

/** One step's loss on all stages' maps, gradients of x and of the parameters, and running statistics. */
function numbersOf(config: ResNetConfig, goal: 'sqrt' | 'stored' | undefined): number[][] {
  const resnet = new ResNet(config, createRandom(1));
  if (goal === 'sqrt') resnet.recompute = planResNet(resnet, shape, 'sqrt').stages;
  if (goal === 'stored') resnet.recompute = resnet.chains().map(({ length }) => storedPlan(length));
  const x = randomTensor<tf.Rank.R4>(shape, 3);
  const statistics: BatchStatistics[] = [];
  const variables = resnet.parameters().map(({ variable }) => variable);
  const { value, grads } = tf.valueAndGrads((...xs: tf.Tensor[]) => {
    const maps = resnet.forward(xs[0] as tf.Tensor4D, { training: true, statistics });
    return tf.addN(
      maps.map((map, i) =>
        map
          .square()
          .mean()
          .mul(i + 1),
      ),
    ) as tf.Scalar;
  })([x, ...variables]);
  const numbers = [value, ...grads].map((tensor) => [...tensor.dataSync()]);
  const norms = resnet.buffers().length / 2;
  expect(statistics).toHaveLength(norms);
  applyStatistics(statistics);
  numbers.push(...resnet.buffers().map(({ variable }) => [...variable.dataSync()]));
  tf.dispose([x, value, grads]);
  resnet.dispose();
  return numbers;
}

for (const backend of backends) {
  describe(`a recomputing ResNet on ${backend}`, () => {
    on(backend);

    it.each(Object.keys(configs))('has the numbers of one that keeps everything: %s', (name) => {
      const tensors = tf.memory().numTensors;
      const [plain, stored, again] = [undefined, 'stored' as const, 'sqrt' as const].map((goal) =>
        numbersOf(configs[name], goal),
      );
      expect(again).toEqual(stored);
      // Where a map goes to the next stage and to the loss, three gradients are added, in another order without a plan.
      const flat = again.flat();
      plain
        .flat()
        .forEach((value, i) => expect(Math.abs(value - flat[i])).toBeLessThan(1e-5 * (1 + Math.abs(value))));
      expect(flat.filter((value) => value !== 0).length).toBeGreaterThan(1000);
      expect(tf.memory().numTensors).toBe(tensors);
    });
  });
}

describe('planResNet', () => {
  on('tensorflow');

  it('plans by square roots and by bytes, a plan a stage', () => {
    const resnet = new ResNet(configs.basic, createRandom(1));
    const { stages, layers, peakBytes, plainPeakBytes, extraShare } = planResNet(resnet, shape, 'sqrt');
    // The first stage has the stem.
    expect(layers.map(({ length }) => length)).toEqual([4, 2]);
    expect(stages).toEqual([
      [
        { length: 2, recompute: true },
        { length: 2, recompute: true },
      ],
      [
        { length: 1, recompute: true },
        { length: 1, recompute: false },
      ],
    ]);
    expect(peakBytes).toBeLessThan(plainPeakBytes);
    expect(extraShare).toBeGreaterThan(0.5);
    expect(extraShare).toBeLessThan(1);
    const last = planResNet(resnet, shape, 'sqrt', { afterBytes: plainPeakBytes }).stages[1][1];
    expect(last.recompute).toBe(true);

    const half = planResNet(resnet, shape, 0.8 * plainPeakBytes);
    expect(half.peakBytes).toBeLessThanOrEqual(0.8 * plainPeakBytes);
    expect(half.extraShare).toBeLessThan(extraShare);
    expect(half.stages.map((plan) => plan.reduce((sum, { length }) => sum + length, 0))).toEqual([4, 2]);
    const all = planResNet(resnet, shape, plainPeakBytes);
    expect(all.stages).toEqual([storedPlan(4), storedPlan(2)]);
    expect(all.extraShare).toBe(0);
    expect(() => planResNet(resnet, shape, 1000)).toThrow('no plan fits into 1000 bytes; the smallest peak');
    resnet.recompute = [storedPlan(4)];
    expect(() => resnet.forward(tf.zeros(shape), { training: true })).toThrow(
      'recompute has 1 plans for 2 stages',
    );
    resnet.dispose();
  });
});

const groundTruth: GroundTruth[][] = [
  [
    { box: [4, 6, 30, 40], label: 2 },
    { box: [33, 2, 60, 20], label: 0 },
  ],
  [{ box: [10, 10, 50, 60], label: 1 }],
];

const inputSize = { width: 96, height: 64 };
const batch: [number, number, number, number] = [2, inputSize.height, inputSize.width, 3];
type Goal = 'plain' | 'stored' | 'sqrt';

/** Faster R-CNN whose trunk runs by a plan: none, one that keeps everything, or the square-root rule's. */
function fasterRcnn(goal: Goal): Detector {
  const trunk: ResNetConfig = { stem: resNetStems.half, widths: [16, 16, 16], blocks: [4, 3, 2] };
  const model = new FasterRcnn(
    {
      backbone: (random) => new ResNet(trunk, random),
      outChannels: 8,
      classes: 3,
      anchorSizes: [[8], [16], [32], [64]],
      proposals: { training: { preNmsTop: 60, postNmsTop: 24 } },
      pooling: { canonicalSize: 48 },
      features: 16,
    },
    createRandom(1),
  );
  const regionLoss = { sample: { size: 8, positiveFraction: 0.25 } };
  const detector = createFasterRcnnDetector(model, { inputSize, regionLoss });
  const body = model.backbone.body as ResNet;
  if (goal === 'stored') body.recompute = body.chains().map(({ length }) => storedPlan(length));
  if (goal === 'sqrt') {
    const { parts } = detectorMemory(detector, { batch: 2 });
    const heads = ['FPN', 'RPN', 'second stage', 'loss'];
    const afterBytes = parts
      .filter(({ part }) => heads.includes(part))
      .reduce((sum, { bytes }) => sum + bytes, 0);
    body.recompute = planResNet(body, batch, 'sqrt', { afterBytes }).stages;
  }
  return detector;
}

/** Loss and gradients of one step, and the statistics that it collected. */
function stepOf(
  detector: Detector,
  inputs: { images: tf.Tensor4D; [target: string]: tf.Tensor },
  random: RandomStream,
): { value: tf.Scalar; grads: tf.Tensor[]; statistics: BatchStatistics[] } {
  const { images, ...targets } = inputs;
  const statistics: BatchStatistics[] = [];
  const parameters = detector.model.parameters();
  const { value, grads } = tf.variableGrads(
    () => detector.loss(images, targets, { training: true, statistics, random }).total,
    parameters.map(({ variable }) => variable),
  );
  return { value, grads: parameters.map(({ variable }) => grads[variable.name]), statistics };
}

describe('Faster R-CNN with a recomputing trunk', () => {
  on('tensorflow');

  it('has the loss and the gradients of one that keeps everything', () => {
    const results = (['plain', 'stored', 'sqrt'] as const).map((goal) => {
      const detector = fasterRcnn(goal);
      const inputs = {
        images: randomTensor<tf.Rank.R4>(batch, 5),
        ...detector.targets(groundTruth),
      };
      const random = new RandomStream(2);
      const { result, before, peak } = liveBytes(() => stepOf(detector, inputs, random));
      const numbers = [result.value, ...result.grads].map((tensor) => [...tensor.dataSync()]);
      const count = result.statistics.length;
      applyStatistics(result.statistics);
      numbers.push(...detector.model.buffers().map(({ variable }) => [...variable.dataSync()]));
      tf.dispose([result.value, result.grads, inputs]);
      random.dispose();
      detector.model.dispose();
      return { numbers, count, bytes: peak - before };
    });
    const [plain, stored, again] = results;
    expect(again.numbers).toEqual(stored.numbers);
    expect(again.count).toBe(plain.count);
    expect(again.numbers[0]).toEqual(plain.numbers[0]);
    // Between a network without a plan and one with any lies the order in which the parts of the maps' gradients are added.
    plain.numbers.forEach((values, i) => {
      const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      values.forEach((value, k) =>
        expect(Math.abs(value - again.numbers[i][k])).toBeLessThan(1e-4 * scale + 1e-7),
      );
    });
    expect(again.bytes).toBeLessThan(0.8 * plain.bytes);
  });

  it('compiles, and needs less', () => {
    const results = (['plain', 'sqrt'] as const).map((goal) => {
      const detector = fasterRcnn(goal);
      const inputs = {
        images: randomTensor<tf.Rank.R4>(batch, 5),
        ...detector.targets(groundTruth),
      };
      const random = new RandomStream(2);
      const step = compile((given: typeof inputs) => {
        const { value, grads, statistics } = stepOf(detector, given, random);
        applyStatistics(statistics);
        detector.model
          .parameters()
          .forEach(({ variable }, i) => variable.assign(variable.sub(grads[i].mul(0.01))));
        return value;
      });
      const losses = Array.from({ length: 3 }, () => {
        const value = step(inputs);
        const [loss] = value.dataSync();
        value.dispose();
        return loss;
      });
      const bytes = step.plannedBytes;
      step.dispose();
      random.dispose();
      tf.dispose(inputs);
      detector.model.dispose();
      return { losses, bytes };
    });
    const [plain, again] = results;
    again.losses.forEach((loss, i) => expect(Math.abs(loss / plain.losses[i] - 1)).toBeLessThan(1e-4));
    expect(again.bytes).toBeLessThan(0.7 * plain.bytes);
  });
});
