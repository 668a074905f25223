/** Gradient noise on a linear model, whose gradient's covariance is known. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type Batch,
  createLoader,
  createRandom,
  type Detector,
  detectorGradient,
  drawBatches,
  gradientNoise,
  joinBatches,
  meanGradient,
  Module,
  type NoiseAtSize,
  noiseExponent,
  parameter,
  tf,
  updateVariances,
  useBackend,
} from 'detlab';
import { rectangles } from '../models/rectangles';

/** Least squares, 1/2 (w x - y)^2, at fixed weights: rows of five inputs and a target. */
const random = createRandom('least squares');
const inputs = 5;
const weights = Array.from({ length: inputs }, () => random.normal());
const rows = Array.from({ length: 60 }, () =>
  Array.from({ length: inputs + 1 }, (_, i) => random.normal() * (1 + i)),
);

function rowGradient(row: readonly number[]): number[] {
  const error = weights.reduce((sum, w, i) => sum + w * row[i], -row[inputs]);
  return weights.map((_, i) => error * row[i]);
}

/** The mean of the rows' gradients. */
function batchGradient(batch: readonly number[]): Float32Array {
  const gradient = new Float32Array(inputs);
  for (let i = 0; i < inputs; i++) {
    for (const row of batch) gradient[i] += rowGradient(rows[row])[i] / batch.length;
  }
  return gradient;
}

/** Of one row drawn at random: trace of the covariance, and the expected gradient's squared length. */
const truth = ((): { trace: number; squaredNorm: number } => {
  let [trace, squaredNorm] = [0, 0];
  for (let i = 0; i < inputs; i++) {
    const values = rows.map((row) => rowGradient(row)[i]);
    const mean = values.reduce((sum, v) => sum + v, 0) / rows.length;
    squaredNorm += mean * mean;
    trace += values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / rows.length;
  }
  return { trace, squaredNorm };
})();

const measure = (batchSize: number, batches: number, seed: string) =>
  gradientNoise(drawBatches(rows.length, batchSize, batches, createRandom(seed)), batchGradient);

describe('gradient noise', () => {
  test('is the sum of the coordinates’ unbiased variances', async () => {
    const batches = drawBatches(rows.length, 3, 12, createRandom('exact'));
    const noise = await gradientNoise(batches, batchGradient);
    const gradients = batches.map((batch) => [...batchGradient(batch)]);
    let [trace, length] = [0, 0];
    for (let i = 0; i < inputs; i++) {
      const mean = gradients.reduce((sum, g) => sum + g[i], 0) / 12;
      length += mean * mean;
      trace += gradients.reduce((sum, g) => sum + (g[i] - mean) ** 2, 0) / 11;
    }
    expect(noise.trace).toBeCloseTo(trace, 8);
    expect(noise.squaredNorm).toBeCloseTo(length - trace / 12, 8);
    expect(noise.batches).toBe(12);
  });

  test.each([1, 4, 16])('of batches of %i is the rows’ over the batch size', async (batchSize) => {
    const { trace, standardError, squaredNorm } = await measure(batchSize, 2000, `size ${batchSize}`);
    expect(Math.abs(trace - truth.trace / batchSize)).toBeLessThan(4 * standardError);
    expect(standardError).toBeLessThan(0.1 * trace);
    // the mean gradient's own error: its squared length varies by 2 |g| times a coordinate's, at most
    const error = 2 * Math.sqrt((truth.squaredNorm * trace) / 2000) + trace / 2000;
    expect(Math.abs(squaredNorm - truth.squaredNorm)).toBeLessThan(4 * error);
  });

  test('has a standard error as large as its estimates differ', async () => {
    const repeats = 300;
    const results = await Promise.all(
      Array.from({ length: repeats }, (_, i) => measure(16, 24, `repeat ${i}`)),
    );
    const traces = results.map(({ trace }) => trace);
    const mean = traces.reduce((sum, v) => sum + v, 0) / repeats;
    const deviation = Math.sqrt(traces.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (repeats - 1));
    expect(Math.abs(mean - truth.trace / 16)).toBeLessThan((4 * deviation) / Math.sqrt(repeats));
    const claimed = Math.sqrt(
      results.reduce((sum, { standardError }) => sum + standardError ** 2, 0) / repeats,
    );
    expect(claimed / deviation).toBeGreaterThan(0.8);
    expect(claimed / deviation).toBeLessThan(1.2);
  });

  test('of the mean of k batches is that of one batch k times as large', async () => {
    const singles = drawBatches(rows.length, 4, 6000, createRandom('k'));
    const fours = Array.from({ length: 1500 }, (_, i) => singles.slice(4 * i, 4 * i + 4));
    const mean = await gradientNoise(fours, meanGradient(batchGradient));
    const large = await gradientNoise(
      fours.map((batches) => batches.flat()),
      batchGradient,
    );
    // the same images either way
    expect(mean.trace).toBeCloseTo(large.trace, 4);
    expect(Math.abs(mean.trace - truth.trace / 16)).toBeLessThan(4 * mean.standardError);
  });

  test('needs three batches, of gradients alike', async () => {
    await expect(measure(1, 2, 'two')).rejects.toThrow('three batches');
    const lengths = [2, 2, 3];
    await expect(gradientNoise(lengths, (length) => new Float32Array(length))).rejects.toThrow(
      'batch 3 has 3',
    );
    expect(() => drawBatches(0, 1, 1, random)).toThrow('images');
  });
});

describe('what follows from it', () => {
  const exact = (batchSize: number, power: number): NoiseAtSize => {
    const trace = 7 * batchSize ** power;
    return { batchSize, noise: { batches: 9, trace, standardError: trace / 10, squaredNorm: 1 } };
  };

  test('the exponent of the batch size', async () => {
    const { exponent, standardError } = noiseExponent([1, 2, 4, 8].map((size) => exact(size, -0.8)));
    expect(exponent).toBeCloseTo(-0.8, 12);
    // the error of a slope through ln 1, ln 2, ln 4, ln 8, each known to 0.1
    expect(standardError).toBeCloseTo(0.1 / Math.sqrt(5) / Math.log(2), 12);
    expect(() => noiseExponent([exact(2, -1), exact(2, -1)])).toThrow('two batch sizes');

    const measured = await Promise.all(
      [1, 2, 4, 8, 16].map(async (batchSize) => ({
        batchSize,
        noise: await measure(batchSize, 400, `exponent ${batchSize}`),
      })),
    );
    const found = noiseExponent(measured);
    expect(Math.abs(found.exponent + 1)).toBeLessThan(4 * found.standardError);
    for (const { linear, linearError } of updateVariances(measured)) {
      expect(Math.abs(linear - 1)).toBeLessThanOrEqual(4 * linearError);
    }
  });

  test('the linear rule keeps the variance of what it replaces, the others shrink it', () => {
    const [base, large] = updateVariances([exact(16, -1), exact(256, -1)]);
    expect(base).toEqual({ batchSize: 16, scale: 1, constant: 1, squareRoot: 1, linear: 1, linearError: 0 });
    expect(large.scale).toBe(16);
    expect([large.constant, large.squareRoot, large.linear]).toEqual(
      [1 / 256, 1 / 16, 1].map((v) => expect.closeTo(v, 12)),
    );
    expect(large.linearError).toBeCloseTo(Math.SQRT2 / 10, 12);
  });
});

/** One weight a class: the squared distance of weight times brightness from the class' number of objects, meant over the batch. */
class Counter extends Module {
  readonly weight: tf.Variable<tf.Rank.R1> = parameter(tf.tensor1d([0.5, -1]));
  readonly fixed: tf.Variable<tf.Rank.R1> = parameter(tf.tensor1d([3]), false);
  readonly unused: tf.Variable<tf.Rank.R1> | undefined;

  constructor(unused: boolean) {
    super();
    this.unused = unused ? parameter(tf.tensor1d([1])) : undefined;
  }

  forward(images: tf.Tensor4D): tf.Tensor {
    return tf.outerProduct(tf.mean(images, [1, 2, 3]) as tf.Tensor1D, this.weight);
  }
}

function counting(unused: boolean = false): Detector {
  const model = new Counter(unused);
  const not = (): never => {
    throw new Error('not part of a loss');
  };
  return {
    model,
    inputSize: { width: 40, height: 40 },
    classes: 2,
    targets: (groundTruth) => ({
      counts: tf.tensor2d(
        groundTruth.map((objects) => [0, 1].map((c) => objects.filter(({ label }) => label === c).length)),
      ),
    }),
    loss: (images, { counts }, { training }) => {
      if (!training) throw new Error('a gradient is taken in training');
      const total = tf.mean(tf.sum(tf.square(tf.sub(model.forward(images), counts)), 1)) as tf.Scalar;
      return { total, parts: {} };
    },
    predict: not,
    detect: not,
  };
}

describe('a detector’s gradient', () => {
  const images: Batch[] = [];
  beforeAll(async () => {
    await useBackend();
    const loader = createLoader(rectangles(5), { size: 40, batchSize: 1, workers: 0, std: [50, 50, 50] });
    for await (const batch of loader.epoch(0)) images.push(batch);
  });

  test.each([false, true])('is that of its loss (compiled: %s)', async (compiled) => {
    const { gradient, dispose } = detectorGradient(counting(), { compiled });
    const before = tf.memory().numTensors;
    const batch = joinBatches(images.slice(1, 4));
    const expected = [0, 0];
    for (const { images: pixels, groundTruth } of images.slice(1, 4)) {
      const brightness = pixels.reduce((sum, v) => sum + v, 0) / pixels.length;
      [0.5, -1].forEach((weight, c) => {
        const count = groundTruth[0].filter(({ label }) => label === c).length;
        expected[c] += (2 * brightness * (weight * brightness - count)) / 3;
      });
    }
    const values = await gradient(batch);
    expect(values).toHaveLength(2);
    values.forEach((value, c) => expect(value).toBeCloseTo(expected[c], 4));
    if (!compiled) expect(tf.memory().numTensors).toBe(before);
    dispose();
  });

  test('names a parameter that it does not depend on', async () => {
    const { gradient } = detectorGradient(counting(true));
    await expect(gradient(images[0])).rejects.toThrow('the parameter unused');
  });

  test('batches join with their ids, boxes and pixels', () => {
    const joined = joinBatches([joinBatches(images.slice(0, 2)), images[4]]);
    expect(joined.ids).toEqual(['r0', 'r1', 'r4']);
    expect(joined.shape).toEqual([3, 40, 40, 3]);
    expect(joined.groundTruth.map(({ length }) => length)).toEqual([0, 2, 2]);
    expect([...joined.images.subarray(2 * 4800)]).toEqual([...images[4].images]);
    expect(joined.fits).toHaveLength(3);
    expect(() => joinBatches([])).toThrow('no batches');
    const other = { ...images[0], shape: [1, 20, 80, 3] } as const;
    expect(() => joinBatches([images[0], other])).toThrow('80 x 20');
  });
});
