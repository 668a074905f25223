/** Faster R-CNN and its cascade against torchvision, on every backend. */
import { describe, expect, test } from 'vitest';
import {
  type CascadeOptions,
  compile,
  createFasterRcnnDetector,
  createRandom,
  type Detection,
  FasterRcnn,
  type FasterRcnnDetector,
  type Random,
  RandomStream,
  ResNet,
  resNet50,
  stateDict,
  tf,
} from 'detlab';
import { backends, expectClose, on } from '../../tensor/kernels/backends';
import { zeroRandom } from '../../../lib/tensor/random';
import {
  fixture,
  inputSize,
  referenceDetector,
  referenceImages,
  referenceObjects,
  tinyNetwork,
} from './tiny';

/** The loss' parts, and each parameter's gradient by its sum and its norm. */
function lossAndGradients(
  detector: FasterRcnnDetector,
  objects = referenceObjects,
  compiled = false,
): { total: number; parts: Record<string, number>; gradients: Record<string, [number, number]> } {
  const random = new RandomStream(1);
  const parameters = detector.model.parameters();
  let names: string[] = [];
  const step = ({ images, ...targets }: Record<string, tf.Tensor>): tf.Tensor => {
    let parts: tf.Scalar[] = [];
    const { value, grads } = tf.variableGrads(
      () => {
        const loss = detector.loss(images as tf.Tensor4D, targets, { training: true, random });
        names = Object.keys(loss.parts);
        parts = Object.values(loss.parts).map((part) => tf.keep(part.clone()));
        return loss.total;
      },
      parameters.map(({ variable }) => variable),
    );
    const readings = parameters.flatMap(({ variable }) => {
      const gradient = grads[variable.name];
      return [tf.sum(gradient), tf.norm(gradient)];
    });
    const report = tf.stack([value, ...parts, ...readings]);
    tf.dispose(parts);
    return report;
  };
  const inputs = { images: referenceImages(), ...detector.targets(objects) };
  const run = compiled ? compile(step) : undefined;
  const report = run ? run(inputs) : tf.tidy(() => step(inputs));
  const [total, ...values] = [...report.dataSync()];
  tf.dispose([report, inputs]);
  run?.dispose();
  random.dispose();
  return {
    total,
    parts: Object.fromEntries(names.map((name, i) => [name, values[i]])),
    gradients: Object.fromEntries(
      parameters.map(({ name }, i) => [
        name,
        [values[names.length + 2 * i], values[names.length + 2 * i + 1]],
      ]),
    ),
  };
}

function expectGradients(
  gradients: Record<string, [number, number]>,
  expected: Record<string, [number, number]>,
): void {
  expect(Object.keys(gradients).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, [sum, norm]] of Object.entries(expected)) {
    expect(Math.abs(gradients[name][1] - norm), `${name}: norm`).toBeLessThan(2e-4 * norm + 1e-7);
    expect(Math.abs(gradients[name][0] - sum), `${name}: sum`).toBeLessThan(5e-4 * norm + 1e-6);
  }
}

function expectDetections(found: readonly Detection[][], expected: (typeof fixture)['cascade']['own']): void {
  expect(found.map((image) => image.map(({ label }) => label))).toEqual(expected.map(({ labels }) => labels));
  found.forEach((image, i) => {
    expectClose(
      image.map(({ score }) => score),
      expected[i].scores,
      1e-5,
      'scores',
    );
    expectClose(
      image.flatMap(({ box }) => box),
      expected[i].boxes.flat(),
      1e-5,
      'boxes',
    );
  });
}

const objectsOfTwo = (n: number) =>
  Array.from({ length: n }, () => ({ box: [1, 2, 30, 40] as const, label: 0 }));

describe.each(backends)('Faster R-CNN on %s', (backend) => {
  on(backend);
  // The other backends have no graphs: there, compiled steps run eagerly.
  const ways = backend === 'tensorflow' ? [false, true] : [false];

  test('proposes what torchvision proposes', async () => {
    const { model } = await referenceDetector();
    const { boxes, valid } = tf.tidy(() => {
      const first = model.firstStage(referenceImages(), { training: false });
      return model.propose(first, 'inference');
    });
    expect(boxes.shape).toEqual([2, 30, 4]);
    expect([...valid.dataSync()]).toEqual(Array<number>(60).fill(1));
    expectClose(boxes.dataSync(), fixture.faster.proposals.flat(2), 1e-5, 'proposals');
    tf.dispose([boxes, valid]);
    model.dispose();
  });

  test('detects what torchvision detects, eagerly and compiled, and leaves nothing behind', async () => {
    const detector = await referenceDetector();
    const images = referenceImages();
    const options = { maxOutput: 25 };
    const before = tf.memory().numTensors;
    expectDetections(await detector.detect(images, options), fixture.faster.detections);
    expect(tf.memory().numTensors).toBe(before);
    const run = compile(({ x }: { x: tf.Tensor4D }) => detector.predict(x));
    expectDetections(await detector.detect(images, options, (x) => run({ x })), fixture.faster.detections);
    run.dispose();
    images.dispose();
    detector.model.dispose();
  });

  test.each(ways)('has the losses and the gradients of torchvision (compiled: %s)', async (compiled) => {
    const detector = await referenceDetector();
    const { parts, gradients, total } = lossAndGradients(detector, referenceObjects, compiled);
    const { losses } = fixture.faster;
    const names = {
      objectness: 'loss_objectness',
      proposalBox: 'loss_rpn_box_reg',
      class: 'loss_classifier',
      box: 'loss_box_reg',
    };
    expect(Object.keys(parts)).toEqual(Object.keys(names));
    for (const [ours, theirs] of Object.entries(names)) {
      expect(Math.abs(parts[ours] / losses[theirs] - 1), `${ours}: ${parts[ours]}`).toBeLessThan(5e-5);
    }
    expect(total).toBeCloseTo(
      Object.values(losses).reduce((sum, v) => sum + v),
      4,
    );
    expectGradients(gradients, fixture.faster.gradients);
    detector.model.dispose();
  });

  test.each(['own', 'last'] as const)(
    'a cascade that scores its %s regions detects as restated',
    async (scoredRegions) => {
      const detector = await referenceDetector({ scoredRegions });
      const images = referenceImages();
      const before = tf.memory().numTensors;
      expectDetections(await detector.detect(images, { maxOutput: 25 }), fixture.cascade[scoredRegions]);
      expect(tf.memory().numTensors).toBe(before);
      images.dispose();
      detector.model.dispose();
    },
  );

  test.each(ways)('a cascade has the losses and gradients restated (compiled: %s)', async (compiled) => {
    const detector = await referenceDetector({});
    const { parts, gradients } = lossAndGradients(detector, referenceObjects, compiled);
    const { loss_objectness, loss_rpn_box_reg, ...stages } = fixture.cascade.losses;
    const expected: Record<string, number> = {
      objectness: loss_objectness,
      proposalBox: loss_rpn_box_reg,
      ...stages,
    };
    expect(Object.keys(parts)).toEqual(Object.keys(expected));
    for (const [name, value] of Object.entries(expected)) {
      expect(Math.abs(parts[name] / value - 1), `${name}: ${parts[name]}`).toBeLessThan(1e-4);
    }
    expectGradients(gradients, fixture.cascade.gradients);
    detector.model.dispose();
  });

  test.each([undefined, {}])(
    'images without any object have a finite loss and gradient (cascade: %j)',
    async (cascade?: CascadeOptions) => {
      const detector = await referenceDetector(cascade);
      const { parts, gradients } = lossAndGradients(detector, [[], []]);
      for (const [name, value] of Object.entries(parts)) {
        if (/box/i.test(name)) expect(value, name).toBe(0);
        else expect(value, name).toBeGreaterThan(0);
      }
      for (const [name, readings] of Object.entries(gradients)) {
        expect(readings.every(Number.isFinite), name).toBe(true);
      }
      detector.model.dispose();
    },
  );

  test('a sample smaller than the candidates gives the same eagerly and compiled, and another at each step', async () => {
    const sampling = {
      rpnLoss: { sample: { size: 16, positiveFraction: 0.5 } },
      regionLoss: { sample: { size: 8, positiveFraction: 0.25 } },
    };
    const detector = await referenceDetector({}, sampling);
    const eager = lossAndGradients(detector);
    const graph = lossAndGradients(detector, referenceObjects, true);
    for (const [name, value] of Object.entries(eager.parts)) {
      expect(Math.abs(graph.parts[name] - value), name).toBeLessThan(1e-5 * (1 + value));
    }
    const random = new RandomStream(5);
    const [images, targets] = [referenceImages(), detector.targets(referenceObjects)];
    const draw = (): number =>
      tf.tidy(() => detector.loss(images, targets, { training: true, random }).total.dataSync()[0]);
    const before = tf.memory().numTensors;
    const losses = new Set([draw(), draw(), draw()]);
    expect(losses.size).toBe(3);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([images, targets]);
    random.dispose();
    detector.model.dispose();
  });

  test('a prediction that is NaN makes the loss NaN, not an error', async () => {
    const detector = await referenceDetector({});
    const { bias } = detector.model.rpn.head.bbox_pred;
    bias!.assign(tf.fill(bias!.shape, NaN) as tf.Tensor1D);
    expect(lossAndGradients(detector).parts.proposalBox).toBeNaN();
    detector.model.dispose();
  });
});

describe('a two-stage detector', () => {
  on('cpu');

  test('is torchvision’s fasterrcnn_resnet50_fpn by default, names, shapes and number of parameters', async () => {
    const backbone = (random: Random) => new ResNet(resNet50, random);
    const model = new FasterRcnn({ backbone, classes: 90 }, zeroRandom);
    const weights = await stateDict(model);
    const { parameters, shapes } = fixture.published;
    const own = [...weights].filter(([name]) => !name.startsWith('backbone.body.'));
    const flat = (name: string, shape: readonly number[]): readonly number[] =>
      // PyTorch has it as a matrix, which loads into ours.
      name === 'roi_heads.box_head.fc6.weight' ? [shape[0], shape[1] * shape[2] * shape[3]] : shape;
    expect(Object.fromEntries(own.map(([name, { shape }]) => [name, flat(name, shape)]))).toEqual(shapes);
    expect(model.parameterCount()).toBe(parameters);
    model.dispose();
  });

  test('says what it cannot take', async () => {
    const model = tinyNetwork(createRandom(1));
    const detector = createFasterRcnnDetector(model, { inputSize, maxObjects: 2 });
    expect(() => detector.targets([[], objectsOfTwo(3)])).toThrow(
      /image 1 of the batch has 3 objects, more than the 2 that fit; give maxObjects: 3/,
    );
    expect(() => detector.targets([[{ box: [0, 0, 9, 9], label: 3 }]])).toThrow(
      /image 0, object 0: label 3 is not a class from 0 to 2/,
    );
    const targets = detector.targets([objectsOfTwo(1)]);
    const images = tf.zeros<tf.Rank.R4>([1, 64, 96, 3]);
    expect(() => detector.loss(images, targets, { training: true })).toThrow(/random: new RandomStream\(1\)/);
    expect(() => createFasterRcnnDetector(model, { inputSize, maxObjects: 0 })).toThrow(/maxObjects/);
    expect(() => tinyNetwork(createRandom(1), { lossWeights: [1, 1] })).toThrow(
      /3 positiveIous, 3 coders and 2 lossWeights/,
    );
    tf.dispose([images, targets]);
    model.dispose();
  });

  test('leaves out objects without area, crowds, and difficult ones where told to', async () => {
    const model = tinyNetwork(createRandom(1));
    const objects = [
      { box: [5, 5, 5, 9], label: 0 },
      { box: [10, 10, 40, 40], label: 1, crowd: true },
      { box: [50, 10, 80, 40], label: 2, difficult: true },
      { box: [20, 8, 52, 40], label: 1 },
    ] as const;
    const labels = (matching?: { difficult: 'drop' }) => {
      const detector = createFasterRcnnDetector(model, { inputSize, maxObjects: 3, matching });
      const { objectLabels, anchorObjects, objectBoxes } = detector.targets([objects]);
      const found = [...objectLabels.dataSync()];
      const matched = new Set(anchorObjects.dataSync());
      tf.dispose([objectLabels, anchorObjects, objectBoxes]);
      return { found, matched: [...matched].filter((index) => index >= 0).sort() };
    };
    expect(labels()).toEqual({ found: [2, 1, -1], matched: [0, 1] });
    expect(labels({ difficult: 'drop' })).toEqual({ found: [1, -1, -1], matched: [0] });
    model.dispose();
  });
});
