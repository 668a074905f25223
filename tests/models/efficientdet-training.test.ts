/** The whole chain on a task small enough to be learnt by heart, with compiled steps: pixels in, detections out, mAP near 1. */
import { beforeAll, expect, test } from 'vitest';
import {
  AdamW,
  biFpn,
  createEfficientDetDetector,
  createLoader,
  createRandom,
  detectAll,
  type DetectionDataset,
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

beforeAll(async () => {
  await useBackend();
});

/** Red and blue rectangles on grey; one image without any. */
function rectangles(count: number): DetectionDataset {
  const random = createRandom('rectangles');
  const size = 64;
  const examples = Array.from({ length: count }, (_, i) => {
    const data = new Uint8Array(size * size * 3).fill(110);
    const objects = (i === 0 ? [] : [0, 1]).map((label) => {
      const [w, h] = [14 + random.integer(14), 14 + random.integer(14)];
      const [x, y] = [random.integer(size / 2 - w + 1) + (label * size) / 2, random.integer(size - h + 1)];
      for (let row = y; row < y + h; row++) {
        for (let column = x; column < x + w; column++) data[(row * size + column) * 3 + 2 * label] = 250;
      }
      return { box: [x, y, x + w, y + h] as const, label };
    });
    return {
      id: `r${i}`,
      width: size,
      height: size,
      objects,
      image: () => Promise.resolve({ width: size, height: size, data }),
    };
  });
  return { name: 'rectangles', classes: ['red', 'blue'], examples };
}

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
  const data = rectangles(12);
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
