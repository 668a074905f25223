/** Statistics of groups of images against those of all their pixels, added up one by one. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  BatchNorm2d,
  type Batch,
  batchNormTraining,
  Conv2d,
  createLoader,
  createRandom,
  drawBatches,
  effectivePixels,
  type ForwardContext,
  freezeBatchNorm,
  imageStatistics,
  type ImageStatistics,
  Module,
  statisticsError,
  tf,
  useBackend,
} from 'detlab';
import { rectangles } from '../../models/rectangles';

const images = 6;
const channels = 3;

/** Two normalisations, the second of which runs twice; the statistics that it is run by are not those of the images. */
class Net extends Module {
  readonly conv: Conv2d;
  readonly first: BatchNorm2d;
  readonly shared: { norm: BatchNorm2d };
  readonly norms: BatchNorm2d[];
  /** What the layers were given, in the order of their runs. */
  readonly seen: number[][] = [];

  constructor() {
    super();
    this.conv = new Conv2d(
      { inChannels: 3, outChannels: channels, kernel: 3, stride: 2 },
      createRandom('net'),
    );
    this.first = new BatchNorm2d({ channels });
    this.norms = [new BatchNorm2d({ channels, epsilon: 0.1 })];
    this.shared = { norm: this.norms[0] };
    this.first.running_mean.assign(tf.tensor1d([1, -2, 0.5]));
    this.first.running_var.assign(tf.tensor1d([2, 1, 3]));
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    const a = this.conv.forward(x, context);
    const b = this.first.forward(a, context).relu() as tf.Tensor4D;
    const c = this.norms[0].forward(b, context).square() as tf.Tensor4D;
    for (const input of [a, b, c]) this.seen.push([...input.dataSync()]);
    return this.norms[0].forward(c, context);
  }
}

/** Mean and biased variance of a channel over all pixels of some images, of a map `[images, pixels, channels]`. */
function direct(map: readonly number[], group: readonly number[], channel: number): [number, number] {
  const pixels = map.length / images / channels;
  const values = group.flatMap((image) =>
    Array.from({ length: pixels }, (_, p) => map[(image * pixels + p) * channels + channel]),
  );
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  return [mean, values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length];
}

describe('statistics of images', () => {
  let whole: Batch;
  const net = (): Net => new Net();
  const halves = (): AsyncGenerator<Batch> =>
    createLoader(rectangles(images), { size: 16, batchSize: 4, workers: 0, std: [60, 60, 60] }).epoch(0);
  let model: Net;
  let found: ImageStatistics[];
  beforeAll(async () => {
    await useBackend();
    const loader = createLoader(rectangles(images), { size: 16, batchSize: images, workers: 0, std: [60, 60, 60] }); // prettier-ignore
    for await (const batch of loader.epoch(0)) whole = batch;
    model = net();
    found = await imageStatistics(model, [whole]);
  });

  test('belong to the layers that ran, each time that they ran', () => {
    expect(found.map(({ layer }) => layer)).toEqual(['first', 'norms.0', 'norms.0 (2)']);
    for (const { pixels, epsilon, layer, ...rest } of found) {
      expect(rest).toMatchObject({ images, channels });
      expect(pixels).toBe(model.seen[0].length / images / channels);
      expect(epsilon).toBe(layer === 'first' ? 1e-5 : 0.1);
    }
  });

  test('give the error of groups that their pixels give', () => {
    const groups = [[0, 1], [2, 4], [5, 5], [3, 1, 0]]; // prettier-ignore
    found.forEach((statistics, run) => {
      let [mean, variance, bias] = [0, 0, 0];
      for (let c = 0; c < channels; c++) {
        const [m, v] = direct(model.seen[run], [0, 1, 2, 3, 4, 5], c);
        for (const group of groups) {
          const [groupMean, groupVariance] = direct(model.seen[run], group, c);
          mean += (groupMean - m) ** 2 / (v + statistics.epsilon) / 12;
          variance += ((groupVariance - v) / (v + statistics.epsilon)) ** 2 / 12;
          bias += (groupVariance - v) / (v + statistics.epsilon) / 12;
        }
      }
      const error = statisticsError(statistics, groups);
      expect(error.mean).toBeCloseTo(Math.sqrt(mean), 4);
      expect(error.variance).toBeCloseTo(Math.sqrt(variance), 4);
      expect(error.varianceBias).toBeCloseTo(bias, 4);
    });
    expect(statisticsError(found[0], [[0, 1, 2, 3, 4, 5]])).toEqual({
      mean: 0,
      variance: 0,
      varianceBias: 0,
    });
  });

  test('do not depend on the batches, unless the layers normalise by them', async () => {
    const inParts = await imageStatistics(net(), halves());
    inParts.forEach(({ means, variances }, run) => {
      means.forEach((v, i) => expect(v).toBeCloseTo(found[run].means[i], 4));
      variances.forEach((v, i) => expect(v).toBeCloseTo(found[run].variances[i], 4));
    });
    const byBatch = (batches: Iterable<Batch> | AsyncIterable<Batch>): Promise<ImageStatistics[]> =>
      imageStatistics(net(), batches, { batchNorm: batchNormTraining, layers: (name) => name !== 'first' });
    const [together, apart] = [await byBatch([whole]), await byBatch(halves())];
    expect(together.map(({ layer }) => layer)).toEqual(['norms.0', 'norms.0 (2)']);
    const differences = together[0].means.map((v, i) => Math.abs(v - apart[0].means[i]));
    expect(Math.max(...differences)).toBeGreaterThan(1e-3);
  });

  test('leave nothing behind', async () => {
    const before = tf.memory().numTensors;
    await imageStatistics(model, [whole]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('are not those of frozen layers, or of maps of two sizes', async () => {
    const frozen = net();
    freezeBatchNorm(frozen);
    await expect(imageStatistics(frozen, [whole])).rejects.toThrow('not frozen');
    const small = createLoader(rectangles(2), { size: 8, batchSize: 2, workers: 0 }).epoch(0);
    await expect(
      imageStatistics(model, (async function* () {
        yield whole;
        yield* small;
      })()), // prettier-ignore
    ).rejects.toThrow('images of one size');
  });

  test('the mean’s error falls with the root of the group’s size, from what an image is worth', () => {
    for (const statistics of found) {
      const worth = effectivePixels(statistics);
      const pairs = Array.from({ length: images ** 2 }, (_, i) => [i % images, Math.floor(i / images)]);
      expect(statisticsError(statistics, pairs).mean).toBeCloseTo(Math.sqrt(1 / (2 * worth)), 12);
      const drawn = drawBatches(images, 16, 4000, createRandom('groups'));
      expect(statisticsError(statistics, drawn).mean).toBeCloseTo(Math.sqrt(1 / (16 * worth)), 2);
    }
  });
});

test('independent pixels are worth themselves', () => {
  const random = createRandom('independent');
  const [count, pixels] = [400, 25];
  const statistics: ImageStatistics = {
    ...{ layer: 'x', images: count, channels: 2, pixels, epsilon: 0 },
    means: new Float64Array(2 * count),
    variances: new Float64Array(2 * count),
  };
  for (let i = 0; i < 2 * count; i++) {
    const values = Array.from({ length: pixels }, () => 3 + 2 * random.normal());
    const mean = values.reduce((sum, v) => sum + v, 0) / pixels;
    statistics.means[i] = mean;
    statistics.variances[i] = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / pixels;
  }
  // a variance of 800 numbers is known to 5 %
  expect(effectivePixels(statistics) / pixels).toBeGreaterThan(0.8);
  expect(effectivePixels(statistics) / pixels).toBeLessThan(1.2);
});
