/** The whole chain on a task small enough to be learnt by heart, with compiled steps: pixels in, detections out, mAP near 1. */
import { beforeAll, expect, test } from 'vitest';
import {
  AdamW,
  biFpn,
  createEfficientDetDetector,
  createLoader,
  createRandom,
  detectAll,
  EfficientDet,
  EfficientNet,
  endlessly,
  evaluateVoc,
  fusionWeights,
  RandomStream,
  stepSchedule,
  tf,
  trainDetector,
  useBackend,
} from 'detlab';
import { rectangles } from './rectangles';

beforeAll(async () => {
  await useBackend();
});

function build() {
  // 0.99, the published momentum, would leave most of the first values after so few steps
  const norm = { epsilon: 1e-3, momentum: 0.9 };
  const trunk = { width: 0.25, depth: 0.3, norm, stochasticDepth: 0.1 };
  const model = new EfficientDet(
    {
      backbone: (random) => new EfficientNet(trunk, random),
      graph: biFpn(3, 5),
      channels: 16,
      cells: 1,
      headDepth: 1,
      classes: 2,
      norm,
    },
    createRandom(3),
  );
  return createEfficientDetDetector(model, { inputSize: { width: 64, height: 64 }, anchorScale: 2 });
}

test('learns a handful of images by heart', async () => {
  const data = rectangles(12, { size: 64, side: [14, 14] });
  const detector = build();
  const pixels = { size: 64, batchSize: 6, mean: [110, 110, 110], std: [60, 60, 60] } as const;
  const random = new RandomStream(1);
  const optimizer = new AdamW(detector.model.parameters());
  const tensors = tf.memory().numTensors;
  const { logs } = await trainDetector({
    detector,
    batches: endlessly(createLoader(data, { ...pixels, shuffle: 1 })),
    steps: 120,
    schedule: stepSchedule({ base: 0.005, warmupSteps: 10, warmupFrom: 0.1 }),
    optimizer,
    random,
  });
  expect(tf.memory().numTensors).toBe(tensors);
  expect(logs.at(-1)!.loss).toBeLessThan(logs[0].loss / 2);
  const found = await detectAll(detector, createLoader(data, pixels));
  expect(evaluateVoc({ ...found, classes: data.classes, method: 'all-point' }).map).toBeGreaterThan(0.9);
  const weights = await fusionWeights(detector.model.fpn);
  expect(weights.some(({ weight }) => Math.abs(weight - 1) > 0.01)).toBe(true);
  random.dispose();
  optimizer.dispose();
  detector.model.dispose();
}, 180_000);
