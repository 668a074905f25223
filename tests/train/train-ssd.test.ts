/** The whole chain on a task small enough to be learnt by heart: pixels in, detections out, mAP near 1. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  createLoader,
  createRandom,
  createSsdDetector,
  detectAll,
  endlessly,
  evaluateVoc,
  gridAnchors,
  Ssd,
  stepSchedule,
  tf,
  trainSsd,
  useBackend,
} from 'detlab';
import { rectangles } from '../models/rectangles';

beforeAll(async () => {
  // The slowest backend that everybody has.
  await useBackend({ backend: 'wasm' });
});

const build = () => {
  const model = new Ssd(
    {
      inputSize: 32,
      backbone: { stages: [[8], [16], [24]] },
      taps: [1, 2],
      extras: [{ squeeze: 8, channels: 16, stride: 2, padding: 1 }],
      anchorsPerCell: [4, 4, 4],
      classes: 2,
      batchNorm: { backbone: true, head: false },
    },
    createRandom(3),
  );
  const maps = model.mapSizes().map((side) => [side, side] as const);
  return createSsdDetector(model, gridAnchors({ imageWidth: 32, imageHeight: 32, maps, scales: [0.2, 0.6] }));
};

describe('trainSsd', () => {
  test('learns a handful of images by heart and finds their objects in original pixels', async () => {
    const data = rectangles(12);
    const detector = build();
    const pixels = { size: 32, batchSize: 6, mean: [110, 110, 110], std: [60, 60, 60] } as const;
    const loader = createLoader(data, { ...pixels, shuffle: 1 });
    const untrained = await detectAll(detector, createLoader(data, pixels));
    const tensors = tf.memory().numTensors;
    const { logs } = await trainSsd({
      detector,
      batches: endlessly(loader),
      steps: 120,
      schedule: stepSchedule({ base: 0.03, warmupSteps: 10, warmupFrom: 0.1 }),
    });
    expect(tf.memory().numTensors).toBe(tensors);
    expect(logs.at(-1)!.loss).toBeLessThan(logs[0].loss / 4);
    expect(logs[0].parts.class + logs[0].parts.box).toBeCloseTo(logs[0].loss, 3);

    const found = await detectAll(detector, createLoader(data, pixels));
    const map = (result: typeof found) =>
      evaluateVoc({ ...result, classes: data.classes, method: 'all-point' }).map;
    expect(map(untrained)).toBeLessThan(0.2);
    expect(map(found)).toBeGreaterThan(0.9);
    // Boxes came back in pixels of the 40-pixel images, not of the 32-pixel input.
    expect(found.groundTruth[1]).toEqual(
      data.examples[1].objects.map((object) => expect.objectContaining(object)),
    );
    detector.model.dispose();
  });

  test('the same seed gives the same losses', async () => {
    const losses = async () => {
      const detector = build();
      const loader = createLoader(rectangles(6), { size: 32, batchSize: 3, shuffle: 'x' });
      const { logs } = await trainSsd({
        detector,
        batches: endlessly(loader),
        steps: 4,
        schedule: stepSchedule({ base: 0.001 }),
      });
      detector.model.dispose();
      return logs.map(({ loss }) => loss);
    };
    expect(await losses()).toEqual(await losses());
  });

  test('refuses images of another size, and says which it takes', async () => {
    const detector = build();
    const run = trainSsd({
      detector,
      batches: endlessly(createLoader(rectangles(3), { size: [32, 48], batchSize: 3 })),
      steps: 1,
      schedule: stepSchedule({ base: 0.1 }),
    });
    await expect(run).rejects.toThrow('gives images of 48 x 32 pixels, the detector takes 32 x 32');
    detector.model.dispose();
  });

  test('refuses an empty data set', async () => {
    const detector = build();
    const loader = createLoader({ ...rectangles(0), examples: [] }, { size: 32, batchSize: 3 });
    const run = trainSsd({
      detector,
      batches: endlessly(loader),
      steps: 1,
      schedule: stepSchedule({ base: 0.1 }),
    });
    await expect(run).rejects.toThrow(/data set is empty/);
    detector.model.dispose();
  });
});
