/** What a training step costs, against the operations that TensorFlow executes and against counting by hand. */
import { describe, expect, it } from 'vitest';
import {
  batchNormLayers,
  ConvBlock,
  createRandom,
  DepthwiseConv2d,
  detectorMemory,
  equalSegmentsPlan,
  type ForwardContext,
  Linear,
  type Loss,
  Module,
  type PartCost,
  RandomStream,
  runSegments,
  smallDetector,
  type SmallDetectorName,
  smallDetectorNames,
  summarize,
  tf,
  trainingCost,
} from 'detlab';
import { gradientPass, releasePass } from '../../lib/train/gradient-pass';
import { backends, on } from '../tensor/kernels/backends';
import { type Executed, executed } from './executed';

type Small = ReturnType<typeof smallDetector>;

/** What TensorFlow executes in one training step. */
function executedStep({ model, inputSize, ...detector }: Small, batch: number): Executed {
  const random = new RandomStream(0);
  const images = tf.zeros<tf.Rank.R4>([batch, inputSize.height, inputSize.width, 3]);
  const targets = detector.targets(Array.from({ length: batch }, () => []));
  const counted = executed(() =>
    tf.tidy(() =>
      releasePass(
        gradientPass(model.parameters(), (context) => detector.loss(images, targets, context), { random }),
      ),
    ),
  );
  tf.dispose([images, targets]);
  random.dispose();
  return counted;
}

/** Freezes what the names of its variables say. */
function freeze(model: Module, names: RegExp): void {
  const chosen = model.namedVariables().filter(({ name }) => names.test(name));
  for (const { variable } of chosen) variable.trainable = false;
  const variables = new Set(chosen.map(({ variable }) => variable));
  for (const layer of batchNormLayers(model)) if (variables.has(layer.weight)) layer.frozen = true;
}

const trunk = /^backbone\.((backbone|body)\.|(conv|bn|layer)\d)/;
const frozen: [string, RegExp | undefined][] = [
  ['whole', undefined],
  ['with a frozen trunk', trunk],
  ['with the trunk’s first half frozen', /^backbone\.((backbone|body)\.)?(conv1|bn1|layer[12])\./],
  // gradients pass through frozen layers to those below
  ['with the trunk’s second half frozen', /^backbone\.((backbone|body)\.)?layer[34]\./],
];

const inputSize = { width: 64, height: 64 };
const small = (name: SmallDetectorName): Small => smallDetector(name, { classes: 3, inputSize });
const of = (parts: readonly PartCost[], name: string): PartCost => parts.find(({ part }) => part === name)!;

describe('on TensorFlow', () => {
  on('tensorflow');

  // The cascade takes its time.
  const cases = smallDetectorNames.flatMap((name) =>
    frozen.slice(0, name === 'cascade-rcnn' ? 2 : 4).map(([how, names]) => [name, how, names] as const),
  );
  it.each(cases)('%s %s: counts what is executed', (name, _, names) => {
    const tensors = tf.memory().numTensors;
    const detector = small(name);
    if (names) freeze(detector.model, names);
    const cost = trainingCost(detector, { batch: 2 });
    const { forward, weights, inputs } = executedStep(detector, 2);
    expect([cost.forward, cost.backwardWeights, cost.backwardInputs]).toEqual([forward, weights, inputs]);
    expect(cost.recomputed).toBe(0);
    expect(cost.total).toBe(forward + weights + inputs);
    expect(cost.keptBytes).toBe(detectorMemory(detector, { batch: 2 }).bytes);
    const kinds = [
      'forward',
      'backwardWeights',
      'backwardInputs',
      'total',
      'parameters',
      'trainable',
    ] as const;
    for (const kind of [...kinds, 'keptBytes'] as const) {
      expect(cost.parts.reduce((sum, part) => sum + part[kind], 0)).toBe(cost[kind]);
    }
    detector.model.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it('counts the ways a trunk is frozen, by part', () => {
    const detector = small('faster-rcnn');
    const whole = trainingCost(detector, { batch: 2, slots: 2 });
    const { parameters, notTrained } = summarize(detector.model, [64, 64, 3]);
    expect([whole.parameters, whole.trainable]).toEqual([parameters, parameters]);
    const vectors = batchNormLayers(detector.model).reduce((sum, { weight }) => sum + 2 * weight.size, 0);
    expect(notTrained).toBe(vectors);
    expect(whole.parts.map(({ part }) => part)).toEqual([
      'input',
      'stem',
      ...[1, 2, 3, 4].map((stage) => `stage ${stage}`),
      'FPN',
      'RPN',
      'second stage',
      'loss',
    ]);
    expect(whole.slotBytes).toBe(2 * whole.gradientBytes);
    expect(whole.gradientBytes).toBe(4 * parameters);
    // The image needs no gradient; all else does.
    expect(whole.backwardWeights).toBe(whole.forward);
    expect(whole.forward - whole.backwardInputs).toBe(of(whole.parts, 'stem').forward);
    expect(whole.peakBytes).toBeGreaterThan(whole.keptBytes);

    freeze(detector.model, trunk);
    const part = trainingCost(detector, { batch: 2 });
    expect(part.parameters).toBe(parameters);
    expect(part.trainable).toBe(summarize(detector.model, [64, 64, 3]).parameters);
    expect(part.trainableShare).toBe(part.trainable / parameters);
    expect(part.forward).toBe(whole.forward);
    for (const name of ['stem', 'stage 1', 'stage 4']) {
      const row = of(part.parts, name);
      expect([row.trainable, row.backwardWeights, row.backwardInputs]).toEqual([0, 0, 0]);
      expect(row.forward).toBe(of(whole.parts, name).forward);
    }
    // The pyramid's first convolutions have frozen maps for inputs; RPN and second stage cost what they did.
    expect(of(part.parts, 'FPN').backwardInputs).toBeLessThan(of(whole.parts, 'FPN').backwardInputs);
    for (const name of ['RPN', 'second stage']) {
      expect(of(part.parts, name).total).toBe(of(whole.parts, name).total);
    }
    expect(part.peakBytes).toBeLessThan(whole.peakBytes);
    // Of the trunk only the maps that the pyramid's convolutions take.
    const sum = (rows: readonly PartCost[], kind: 'forward' | 'keptBytes'): number =>
      rows.filter((row) => /^st(em|age)/.test(row.part)).reduce((total, row) => total + row[kind], 0);
    expect(sum(part.parts, 'keptBytes')).toBe(
      4 * 2 * (16 ** 2 * 32 + 8 ** 2 * 64 + 4 ** 2 * 128 + 2 ** 2 * 256),
    );
    expect(part.parts[0].part).toBe('input');
    // Maps that were computed before: the trunk does not run.
    const widths = [32, 64, 128, 256];
    const maps = widths.map((width, i) => tf.zeros<tf.Rank.R4>([2, 16 >> i, 16 >> i, width]));
    const given = trainingCost(detector, { batch: 2, context: { trunkMaps: new Map(maps.entries()) } });
    tf.dispose(maps);
    expect(given.forward).toBe(part.forward - sum(part.parts, 'forward'));
    expect(given.backwardWeights).toBe(part.backwardWeights);
    expect(part.slotBytes).toBe(part.gradientBytes);
    // The regions that training samples, not those that inference proposes.
    const { rows } = summarize(detector.model, [64, 64, 3]);
    const inferred = rows.reduce(
      (sum, row) => sum + (/^roi_heads/.test(row.layer) ? row.multiplyAdds : 0),
      0,
    );
    expect(of(whole.parts, 'second stage').forward / 2).not.toBe(inferred);
    detector.model.dispose();
  });
});

/** A network of known size: four blocks in two segments, a depthwise convolution and a fully connected layer. */
class Net extends Module {
  readonly blocks: ConvBlock[] = Array.from(
    { length: 4 },
    () => new ConvBlock({ inChannels: 3, outChannels: 3, kernel: 3 }, createRandom(1)),
  );
  readonly depthwise: DepthwiseConv2d = new DepthwiseConv2d(
    { channels: 3, kernel: 3, stride: 2 },
    createRandom(1),
  );
  readonly linear: Linear = new Linear({ inFeatures: 48, outFeatures: 5 }, createRandom(1));

  constructor(private readonly recomputed: boolean) {
    super();
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor2D {
    const plan = equalSegmentsPlan(4, 2);
    return tf.tidy(() => {
      const y = this.recomputed
        ? runSegments(this.blocks, x, context, plan)
        : this.blocks.reduce((map, block) => block.forward(map, context), x);
      const flat = this.depthwise.forward(y, context).reshape<tf.Tensor2D>([x.shape[0], 48]);
      return this.linear.forward(flat, context);
    });
  }
}

function netDetector(recomputed: boolean): Parameters<typeof trainingCost>[0] & { model: Net } {
  const model = new Net(recomputed);
  return {
    model,
    inputSize: { width: 8, height: 8 },
    targets: () => ({}),
    loss: (images, _, context): Loss => ({
      total: model.forward(images, context).square().mean(),
      parts: {},
    }),
  };
}

describe.each(backends)('by hand, on %s', (backend) => {
  on(backend);

  const conv = 2 * 8 * 8 * 3 * 27;
  const [depthwise, linear] = [2 * 4 * 4 * 3 * 9, 2 * 48 * 5];

  it('counts convolutions, depthwise ones and products', () => {
    const detector = netDetector(false);
    const cost = trainingCost(detector, { batch: 2 });
    expect(cost).toMatchObject({
      forward: 4 * conv + depthwise + linear,
      recomputed: 0,
      backwardWeights: 4 * conv + depthwise + linear,
      backwardInputs: 3 * conv + depthwise + linear,
    });
    // A frozen layer below nothing trained has no part in the way back.
    freeze(detector.model, /^(blocks|depthwise)/);
    expect(trainingCost(detector, { batch: 2 })).toMatchObject({
      forward: cost.forward,
      backwardWeights: linear,
      backwardInputs: 0,
      trainable: 48 * 5 + 5,
      parameters: cost.parameters,
    });
    detector.model.dispose();
  });

  it('counts what is computed again', () => {
    const detector = netDetector(true);
    const cost = trainingCost(detector, { batch: 2 });
    expect(cost).toMatchObject({ forward: 4 * conv + depthwise + linear, backwardWeights: cost.forward });
    // The first segment; the second is kept. A segment's input is differentiated even where it is the image.
    expect(cost.recomputed).toBe(2 * conv);
    expect(cost.backwardInputs).toBe(cost.forward);
    detector.model.dispose();
  });

  it('leaves the gradients as they were, also where the loss fails', () => {
    const before = ['Conv2D', 'DepthwiseConv2dNative', 'BatchMatMul'].map((name) => tf.getGradient(name));
    const detector = netDetector(false);
    const loss = (): never => {
      throw new Error('no loss');
    };
    expect(() => trainingCost({ ...detector, loss })).toThrow('no loss');
    const after = ['Conv2D', 'DepthwiseConv2dNative', 'BatchMatMul'].map((name) => tf.getGradient(name));
    expect(after).toEqual(before);
    detector.model.dispose();
  });

  it('refuses what is no step', () => {
    const detector = netDetector(false);
    expect(() => trainingCost(detector, { batch: 0 })).toThrow('1 or more, not 0');
    expect(() => trainingCost(detector, { slots: 0.5 })).toThrow('0 or more, not 0.5');
    expect(() => trainingCost(detector, { batch: 2, groundTruth: [[]] })).toThrow(
      '1 images for a batch of 2',
    );
    freeze(detector.model, /./);
    expect(() => trainingCost(detector)).toThrow('trains no parameter');
    detector.model.dispose();
  });
});
