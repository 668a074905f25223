/** What measured throughput says of the part of a step that more workers don't make shorter (Amdahl, 1967). */

/** A measurement. */
export interface MeasuredThroughput {
  readonly workers: number;
  /** Of all workers together. */
  readonly imagesPerSecond: number;
}

/** A line through measured times: an image takes `serialSeconds + parallelSeconds / workers`. */
export interface AmdahlFit {
  readonly serialSeconds: number;
  readonly parallelSeconds: number;
  /**
   * `serialSeconds` over both: 0 when every worker adds as much as the first, 1 when none adds anything. Below 0 where more workers gain
   * more than their number, above 1 where they lose.
   */
  readonly serialFraction: number;
  /** Root mean square of the fit's relative errors; about 0 for two numbers of workers, which any line goes through. */
  readonly error: number;
  /** Throughput that the line gives. */
  imagesPerSecond(workers: number): number;
}

/**
 * Fits Amdahl's law by least squares of the relative errors of the time for an image. Several measurements of one number of workers each
 * count.
 * @throws RangeError for fewer than two numbers of workers, or a throughput that is no positive number.
 */
export function fitAmdahl(measured: readonly MeasuredThroughput[]): AmdahlFit {
  for (const { workers, imagesPerSecond } of measured) {
    if (workers > 0 && imagesPerSecond > 0 && imagesPerSecond < Infinity) continue;
    throw new RangeError(
      `fitAmdahl: workers and throughput must be above 0, got ${workers} and ${imagesPerSecond}`,
    );
  }
  if (new Set(measured.map(({ workers }) => workers)).size < 2) {
    throw new RangeError('fitAmdahl: throughput of at least two numbers of workers is needed');
  }
  // Relative error of a + b / n against a time t: a / t + b / (n t) - 1, so a line through (1 / t, 1 / (n t)).
  let [uu, uv, vv, u, v] = [0, 0, 0, 0, 0];
  for (const { workers, imagesPerSecond } of measured) {
    const share = imagesPerSecond / workers;
    uu += imagesPerSecond * imagesPerSecond;
    uv += imagesPerSecond * share;
    vv += share * share;
    u += imagesPerSecond;
    v += share;
  }
  const determinant = uu * vv - uv * uv;
  const serialSeconds = (u * vv - v * uv) / determinant;
  const parallelSeconds = (v * uu - u * uv) / determinant;
  const seconds = (workers: number): number => serialSeconds + parallelSeconds / workers;
  const errors = measured.map(
    ({ workers, imagesPerSecond }) => (seconds(workers) * imagesPerSecond - 1) ** 2,
  );
  return {
    serialSeconds,
    parallelSeconds,
    serialFraction: serialSeconds / (serialSeconds + parallelSeconds),
    error: Math.sqrt(errors.reduce((sum, error) => sum + error, 0) / errors.length),
    imagesPerSecond: (workers) => 1 / seconds(workers),
  };
}
