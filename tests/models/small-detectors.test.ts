import { beforeAll, describe, expect, test } from 'vitest';
import {
  type GroundTruth,
  inference,
  RandomStream,
  smallDetector,
  smallDetectorNames,
  tf,
  useBackend,
} from 'detlab';

beforeAll(() => useBackend());

const groundTruth: GroundTruth[][] = [
  [
    { box: [4, 6, 30, 40], label: 2 },
    { box: [33, 2, 60, 20], label: 0 },
  ],
  [],
];

describe.each(smallDetectorNames)('%s', (name) => {
  test('takes a step, also with nothing to find, and detects', async () => {
    const inputSize = name === 'ssd' ? { width: 64, height: 64 } : { width: 96, height: 64 };
    const detector = smallDetector(name, { classes: 3, inputSize, seed: 1 });
    expect([detector.classes, detector.inputSize]).toEqual([3, inputSize]);
    const images = tf.randomUniform<tf.Rank.R4>(
      [2, inputSize.height, inputSize.width, 3],
      -2,
      2,
      'float32',
      1,
    );
    const random = new RandomStream(1);
    const variables = detector.model.parameters().map(({ variable }) => variable);
    const total = (objects: GroundTruth[][]) => {
      const targets = detector.targets(objects);
      const { value, grads } = tf.variableGrads(
        () => detector.loss(images, targets, { training: true, random }).total,
        variables,
      );
      const [loss] = value.dataSync();
      const finite = Object.values(grads).every((grad) => tf.all(tf.isFinite(grad)).dataSync()[0] === 1);
      tf.dispose([value, grads, targets]);
      return { loss, finite };
    };
    const some = total(groundTruth);
    expect(some.finite).toBe(true);
    expect(some.loss).toBeGreaterThan(0);
    expect(total([[], []]).finite).toBe(true);

    const before = tf.memory().numTensors;
    const found = await detector.detect(images, { scoreThreshold: 0, maxOutput: 5 });
    expect(tf.memory().numTensors).toBe(before);
    expect(found).toHaveLength(2);
    for (const list of found) {
      expect(list.length).toBeLessThanOrEqual(5);
      const scores = list.map(({ score }) => score);
      expect(scores).toEqual([...scores].sort((a, b) => b - a));
      for (const { box } of list) {
        expect(Math.min(...box)).toBeGreaterThanOrEqual(0);
        expect(box[2]).toBeLessThanOrEqual(inputSize.width);
        expect(box[3]).toBeLessThanOrEqual(inputSize.height);
      }
    }
    tf.tidy(() => void detector.model.forward(images, inference));
    expect(tf.memory().numTensors).toBe(before);

    const other = smallDetector(name, { classes: 3, inputSize, seed: 1 });
    const values = (one: typeof detector) => [...one.model.parameters()[0].variable.dataSync()];
    expect(values(other)).toEqual(values(detector));
    other.model.dispose();
    detector.model.dispose();
    tf.dispose(images);
    random.dispose();
  });
});

test('says what there is, and what it cannot take', () => {
  const options = { classes: 2, inputSize: { width: 96, height: 64 } };
  expect(() => smallDetector('yolo' as 'ssd', options)).toThrow('there are ssd, retinanet');
  expect(() => smallDetector('ssd', options)).toThrow('a square, not 96 x 64');
});
