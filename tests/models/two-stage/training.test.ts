/** The whole chain on a task small enough to be learnt by heart: pixels in, detections out, mAP near 1. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  AdamW,
  type CascadeOptions,
  createFasterRcnnDetector,
  createLoader,
  createRandom,
  detectAll,
  endlessly,
  evaluateVoc,
  FasterRcnn,
  RandomStream,
  ResNet,
  resNetStems,
  stepSchedule,
  tf,
  trainDetector,
  useBackend,
} from 'detlab';
import { rectangles } from '../rectangles';

beforeAll(async () => {
  await useBackend();
});

function build(cascade?: CascadeOptions) {
  const model = new FasterRcnn(
    {
      backbone: (random) =>
        new ResNet({ stem: resNetStems.half, widths: [12, 16, 24], blocks: [1, 1, 1] }, random),
      taps: [1, 2],
      outChannels: 16,
      batchNorm: true,
      classes: 2,
      anchorSizes: [[8], [12], [16]],
      proposals: {
        training: { preNmsTop: 30, postNmsTop: 30 },
        inference: { preNmsTop: 30, postNmsTop: 20 },
      },
      pooling: { outputSize: 5, canonicalSize: 48 },
      features: 32,
      cascade,
    },
    createRandom(3),
  );
  return createFasterRcnnDetector(model, {
    inputSize: { width: 32, height: 32 },
    maxObjects: 4,
    rpnLoss: { sample: { size: 48, positiveFraction: 0.5 } },
    regionLoss: { sample: { size: 16, positiveFraction: 0.25 }, beta: 1 },
  });
}

describe('training a two-stage detector', () => {
  test.each([undefined, {}])(
    'learns a handful of images by heart and finds their objects in original pixels (cascade: %j)',
    async (cascade?: CascadeOptions) => {
      const data = rectangles(12);
      const detector = build(cascade);
      const pixels = { size: 32, batchSize: 6, mean: [110, 110, 110], std: [60, 60, 60] } as const;
      const random = new RandomStream(1);
      const optimizer = new AdamW(detector.model.parameters());
      const tensors = tf.memory().numTensors;
      const { logs } = await trainDetector({
        detector,
        batches: endlessly(createLoader(data, { ...pixels, shuffle: 1 })),
        steps: 120,
        schedule: stepSchedule({ base: 0.003, warmupSteps: 10, warmupFrom: 0.1 }),
        optimizer,
        random,
      });
      expect(tf.memory().numTensors).toBe(tensors);
      expect(logs.at(-1)!.loss).toBeLessThan(logs[0].loss / 2);
      const found = await detectAll(detector, createLoader(data, pixels));
      expect(evaluateVoc({ ...found, classes: data.classes, method: 'all-point' }).map).toBeGreaterThan(0.9);
      random.dispose();
      optimizer.dispose();
      detector.model.dispose();
    },
    180_000,
  );

  test('the same seed gives the same losses, with a smaller sample than there are candidates', async () => {
    const losses = async (seed: number) => {
      const detector = build();
      const random = new RandomStream(seed);
      const { logs } = await trainDetector({
        detector,
        batches: endlessly(createLoader(rectangles(6), { size: 32, batchSize: 3, shuffle: 'x' })),
        steps: 3,
        schedule: stepSchedule({ base: 0.001 }),
        random,
        // A graph takes longer to build than these steps; faster-rcnn.test.ts shows that it draws the same.
        compile: false,
      });
      random.dispose();
      detector.model.dispose();
      return logs.map(({ loss }) => loss);
    };
    const first = await losses(1);
    expect(await losses(1)).toEqual(first);
    expect(await losses(2)).not.toEqual(first);
  });
});
