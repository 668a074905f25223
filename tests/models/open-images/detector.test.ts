/** The Open Images detector beside TensorFlow Lite's own interpreter (`tests/reference/open_images.py`). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type Detector,
  inference,
  loadOpenImagesBackbone,
  loadOpenImagesSsd,
  type NamedDetection,
  type OpenImagesDetector,
  openImagesFiles,
  readImage,
  readTflite,
  resizeImage,
  tf,
} from 'detlab';
import { backends, expectClose, on } from '../../tensor/kernels/backends';

interface Sample {
  mean: number;
  step: number;
  sample: number[];
}
const fixture = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'tflite.json'), 'utf8')) as {
  operators: Record<string, number>;
  classNames: string[];
  raw: { boxDeltas: Sample; classLogits: Sample };
  photos: Record<string, { graph: NamedDetection[]; low: NamedDetection[] }>;
};
const photo = (name: string): string => path.join(__dirname, 'photos', name);

/** Why the file is not to be had, if so: said once, and the tests are skipped. */
let missing: string | undefined;
beforeAll(async () => {
  try {
    await openImagesFiles();
  } catch (error) {
    missing = (error as Error).message;
    console.warn(`skipped: ${missing}`);
  }
}, 400_000);
beforeEach((context) => {
  if (missing !== undefined) context.skip(missing);
});

function expectDetections(found: readonly NamedDetection[], wanted: readonly NamedDetection[]): void {
  expect(found.map(({ name, label }) => ({ name, label }))).toEqual(
    wanted.map(({ name, label }) => ({ name, label })),
  );
  found.forEach(({ score, box }, i) => {
    expect(Math.abs(score - wanted[i].score), `score ${i}: ${score}`).toBeLessThan(1e-3);
    box.forEach((side, k) =>
      expect(Math.abs(side - wanted[i].box[k]), `box ${i}: ${box.join(', ')}`).toBeLessThan(0.5),
    );
  });
}

test('the file is described as the interpreter describes it', async () => {
  const { model, classNames } = await openImagesFiles();
  expect(classNames).toEqual(fixture.classNames);
  const [graph] = (await readTflite(model)).graphs;
  const operators: Record<string, number> = {};
  for (const { type } of graph.operators) operators[type] = (operators[type] ?? 0) + 1;
  expect(operators).toEqual(fixture.operators);
  expect(graph.inputs.map((index) => graph.tensors[index].shape)).toEqual([[1, 300, 300, 3]]);
});

describe.each(backends)('on %s', (backend) => {
  on(backend);
  let detector: OpenImagesDetector;
  beforeAll(async () => {
    if (missing === undefined) detector = await loadOpenImagesSsd();
  });
  afterAll(() => detector?.dispose());

  test('raw outputs are the interpreter’s but for rounding', () => {
    const pixels = Float32Array.from(
      { length: 300 * 300 * 3 },
      (_, i) => Math.sin(i * 0.37) * Math.cos(i * 0.0011),
    );
    const images = tf.tensor4d(pixels, [1, 300, 300, 3]);
    const before = tf.memory().numTensors;
    const raw = detector.predict(images);
    for (const name of ['classLogits', 'boxDeltas'] as const) {
      const { mean, step, sample } = fixture.raw[name];
      expect(raw[name].shape).toEqual([1, 1917, name === 'boxDeltas' ? 4 : 24]);
      const values = raw[name].dataSync<'float32'>();
      const own = sample.map((_, i) => values[i * step]);
      expectClose(own, sample, 2e-5, name);
      expectClose([values.reduce((sum, value) => sum + value, 0) / values.length], [mean], 2e-5, 'mean');
    }
    tf.dispose(raw);
    expect(tf.memory().numTensors).toBe(before);
    images.dispose();
  });

  // A photograph takes `cpu` seconds.
  const photos = backend === 'cpu' ? ['chelsea.jpg'] : Object.keys(fixture.photos);
  test.each(photos)('the same detections: %s', async (name) => {
    const image = await readImage(photo(name));
    const before = tf.memory().numTensors;
    expectDetections(await detector.detectImage(image, { scoreThreshold: 0.2 }), fixture.photos[name].low);
    expect(tf.memory().numTensors).toBe(before);
    if (backend !== 'cpu') expectDetections(await detector.detectImage(image), fixture.photos[name].graph);
  });
});

describe('the detector', () => {
  on('wasm');
  let detector: OpenImagesDetector;
  beforeAll(async () => {
    if (missing === undefined) detector = await loadOpenImagesSsd();
  });
  afterAll(() => detector?.dispose());

  test('has the file’s parameters', () => {
    expect(detector.model.parameterCount()).toBe(4_951_996);
  });

  test('finds the same in a batch, as any detector', async () => {
    const general: Detector = detector;
    const inputs = await Promise.all(
      ['chelsea.jpg', 'coffee.jpg'].map(async (name) =>
        resizeImage(await readImage(photo(name)), 300, 300, 'bilinear'),
      ),
    );
    const images = tf.tidy(
      () =>
        tf.stack(
          inputs.map(({ data }) => tf.tensor3d(Float32Array.from(data), [300, 300, 3]).div(127.5).sub(1)),
        ) as tf.Tensor4D,
    );
    const found = await general.detect(images);
    images.dispose();
    expect(found.map((list) => list.map(({ label }) => detector.classNames[label]))).toEqual([
      ['Cat'],
      ['Coffee cup'],
    ]);
    const [[{ box }]] = found;
    const wanted = fixture.photos['chelsea.jpg'].graph[0].box;
    expectClose([box[0] * (451 / 300), box[2] * (451 / 300), box[1], box[3]], [wanted[0], wanted[2], wanted[1], wanted[3]], 1e-2, 'box'); // prettier-ignore
  });

  test('keeps proportions where asked to, and gives boxes in the picture’s pixels', async () => {
    const image = await readImage(photo('chelsea.jpg'));
    const [cat] = await detector.detectImage(image, { fit: 'letterbox' });
    expect(cat.name).toBe('Cat');
    expect(cat.score).toBeGreaterThan(0.6);
    const [x1, y1, x2, y2] = cat.box;
    expect(Math.min(x1, y1)).toBeGreaterThanOrEqual(0);
    expect(x2).toBeLessThanOrEqual(451);
    expect(y2).toBeLessThanOrEqual(300);
    expect((x2 - x1) * (y2 - y1)).toBeGreaterThan(0.6 * 451 * 300);
  });

  test('gives its trunk to other detectors, frozen or not', async () => {
    const trunk = await loadOpenImagesBackbone({ frozen: true, taps: 'expansions' });
    expect(trunk.parameters()).toEqual([]);
    expect(trunk.channels).toEqual([96, 144, 192, 576, 1280]);
    const plain = await loadOpenImagesBackbone();
    expect(plain.channels).toEqual([16, 24, 32, 96, 1280]);
    expect(plain.parameterCount()).toBe(detector.model.backbone.parameterCount());
    tf.tidy(() => {
      const x = tf.tensor4d(
        Float32Array.from({ length: 64 * 48 * 3 }, (_, i) => Math.sin(i)),
        [1, 64, 48, 3],
      );
      const own = detector.model.backbone.forward(x, inference);
      trunk
        .forward(x, inference)
        .forEach((map, i) => expectClose(map.dataSync(), own[i].dataSync(), 0, `map ${i}`));
      expectClose(plain.forward(x, inference)[4].dataSync(), own[4].dataSync(), 0, 'the last map');
    });
    trunk.dispose();
    plain.dispose();
  });
});
