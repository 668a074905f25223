/**
 * How much of a batch's gradient is chance: its covariance over batches, and what that means for the learning rate of larger batches
 * (MegDet, arXiv 1711.07240; McCandlish et al., arXiv 1812.06162).
 */

/** The gradient of a batch, all parameters one after another. */
export type BatchGradient<Batch> = (batch: Batch) => Float32Array | Promise<Float32Array>;

/** A gradient over many batches of one size, drawn independently. */
export interface GradientNoise {
  /** How many batches were measured. */
  readonly batches: number;
  /** Trace of the covariance of a batch's gradient: its expected squared distance from the expected gradient. Unbiased. */
  readonly trace: number;
  /** Standard error of `trace`. */
  readonly standardError: number;
  /** Squared length of the expected gradient. Unbiased, therefore below 0 now and then where noise is all there is. */
  readonly squaredNorm: number;
}

/**
 * Measures the noise of a batch's gradient, one batch after another: besides a batch's gradient it keeps the mean of those before, in
 * double precision.
 *
 * The gradient of batch k has an expected squared distance of k / (k - 1) traces from the mean of the k - 1 before it. Each batch but the
 * first therefore gives an estimate of the trace of its own; their mean is the usual unbiased estimate (Welford's), and as they are
 * uncorrelated for normal gradients, their spread gives its standard error.
 * @param batches three or more, drawn independently (see `drawBatches`)
 * @throws RangeError for fewer, or for gradients of different lengths.
 */
export async function gradientNoise<Batch>(
  batches: Iterable<Batch> | AsyncIterable<Batch>,
  gradient: BatchGradient<Batch>,
): Promise<GradientNoise> {
  let mean = new Float64Array();
  let count = 0;
  // Of the estimates: sum, and sum of squares of the distances from their mean.
  let trace = 0;
  let spread = 0;
  for await (const batch of batches) {
    const value = await gradient(batch);
    count++;
    if (count === 1) {
      mean = Float64Array.from(value);
      continue;
    }
    if (value.length !== mean.length) {
      throw new RangeError(
        `gradientNoise: the gradient of batch ${count} has ${value.length} numbers, those before had ${mean.length}`,
      );
    }
    let distance = 0;
    for (let i = 0; i < mean.length; i++) {
      const step = value[i] - mean[i];
      distance += step * step;
      mean[i] += step / count;
    }
    const estimate = (distance * (count - 1)) / count;
    const change = estimate - trace;
    trace += change / (count - 1);
    spread += change * (estimate - trace);
  }
  if (count < 3) throw new RangeError(`gradientNoise: three batches or more are needed, got ${count}`);
  const length = mean.reduce((sum, v) => sum + v * v, 0);
  return {
    batches: count,
    trace,
    standardError: Math.sqrt(spread / (count - 2) / (count - 1)),
    squaredNorm: length - trace / count,
  };
}

/**
 * The mean of the gradients of several batches: what one update takes of several devices, or of batches one after another at the same
 * weights.
 */
export function meanGradient<Batch>(gradient: BatchGradient<Batch>): BatchGradient<readonly Batch[]> {
  return async (batches) => {
    const sum = Float64Array.from(await gradient(batches[0]));
    for (const batch of batches.slice(1)) {
      const value = await gradient(batch);
      for (let i = 0; i < sum.length; i++) sum[i] += value[i];
    }
    return Float32Array.from(sum, (v) => v / batches.length);
  };
}

/** The noise of batches of one size. */
export interface NoiseAtSize {
  readonly batchSize: number;
  readonly noise: GradientNoise;
}

/** By which power of the batch size the noise goes, with its standard error. */
export interface NoiseExponent {
  readonly exponent: number;
  readonly standardError: number;
}

/**
 * The slope of ln trace over ln batch size: -1 where a batch's gradient is the mean of independent images'. Weighted least squares.
 * @throws RangeError for fewer than two sizes.
 */
export function noiseExponent(measured: readonly NoiseAtSize[]): NoiseExponent {
  if (new Set(measured.map(({ batchSize }) => batchSize)).size < 2) {
    throw new RangeError('noiseExponent: two batch sizes or more are needed');
  }
  let [w, wx, wy, wxx, wxy] = [0, 0, 0, 0, 0];
  for (const { batchSize, noise } of measured) {
    const weight = (noise.trace / noise.standardError) ** 2;
    const [x, y] = [Math.log(batchSize), Math.log(noise.trace)];
    w += weight;
    wx += weight * x;
    wy += weight * y;
    wxx += weight * x * x;
    wxy += weight * x * y;
  }
  const determinant = w * wxx - wx * wx;
  return { exponent: (w * wxy - wx * wy) / determinant, standardError: Math.sqrt(w / determinant) };
}

/**
 * The noise of one update with a batch k times the base, over the noise of the k updates of the base that it replaces; 1 where they are
 * equal.
 */
export interface UpdateVariance {
  readonly batchSize: number;
  /** k. */
  readonly scale: number;
  /** At the base's learning rate. Expected 1 / k^2. */
  readonly constant: number;
  /** At sqrt(k) times it. Expected 1 / k. */
  readonly squareRoot: number;
  /** At k times it, the linear scaling rule. Expected 1. */
  readonly linear: number;
  /** Standard error of `linear`. */
  readonly linearError: number;
}

/**
 * MegDet's argument for the linear scaling rule, with measured numbers: k updates at rate r with batches of B together move the weights by
 * a sum of variance k r^2 trace(B), one update at rate r' with a batch of k B by one of r'^2 trace(k B). Where trace(B) falls as 1 / B they
 * are equal at r' = k r; that the gradients' means be equal need not be assumed. (The weights move during the k updates; that is left out.)
 * @param measured the first is the base
 */
export function updateVariances(measured: readonly NoiseAtSize[]): UpdateVariance[] {
  const [base] = measured;
  return measured.map(({ batchSize, noise }) => {
    const scale = batchSize / base.batchSize;
    const ratio = noise.trace / base.noise.trace;
    const relative = Math.hypot(
      noise.standardError / noise.trace,
      base.noise.standardError / base.noise.trace,
    );
    return {
      batchSize,
      scale,
      constant: ratio / scale,
      squareRoot: ratio,
      linear: ratio * scale,
      linearError: noise === base.noise ? 0 : ratio * scale * relative,
    };
  });
}
