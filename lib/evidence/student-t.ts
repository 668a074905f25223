/** Student's t distribution: how far the mean of few measurements may be from the truth. */

/**
 * P(T ≤ t) for `freedom` degrees of freedom (any positive number), by the regularised incomplete beta function
 * (Abramowitz and Stegun 26.7.1 and 26.5.27).
 */
export function studentT(t: number, freedom: number): number {
  checkFreedom(freedom);
  if (Number.isNaN(t)) return NaN;
  if (!Number.isFinite(t)) return t > 0 ? 1 : 0;
  const tail = 0.5 * incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5);
  return t > 0 ? 1 - tail : tail;
}

/**
 * The t that a variable of `freedom` degrees of freedom stays below with this probability, to nine digits or more. 0.975 gives the ends of a
 * two-sided 95 % interval: 4.303 for three measurements (two degrees of freedom).
 * @throws RangeError on a probability outside (0, 1) or degrees of freedom that are not positive.
 */
export function studentTQuantile(probability: number, freedom: number): number {
  checkFreedom(freedom);
  if (!(probability > 0 && probability < 1))
    throw new RangeError(`studentTQuantile: the probability is between 0 and 1, got ${probability}`);
  if (probability === 0.5) return 0;
  if (probability < 0.5) return -studentTQuantile(1 - probability, freedom);
  // By what keeps its digits: next to the middle P(|T| < t), which goes to 0 there as t does; further out the upper tail,
  // which goes to 0 where 1 - p would lose them.
  const isBelow =
    probability < 0.75
      ? (t: number): boolean =>
          incompleteBeta((t * t) / (freedom + t * t), 0.5, freedom / 2) < 2 * probability - 1
      : (t: number): boolean =>
          0.5 * incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5) > 1 - probability;
  let [low, high] = [0, 1];
  while (isBelow(high)) [low, high] = [high, 2 * high];
  for (let i = 0; i < 200 && high - low > 1e-14 * high; i++) {
    const middle = (low + high) / 2;
    if (isBelow(middle)) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function checkFreedom(freedom: number): void {
  if (!(freedom > 0 && Number.isFinite(freedom)))
    throw new RangeError(`Student's t: degrees of freedom are positive, got ${freedom}`);
}

/** I_x(a, b), by its continued fraction, on the side where that converges fast. */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  return x < (a + 1) / (a + b + 2)
    ? (front * betaFraction(x, a, b)) / a
    : 1 - (front * betaFraction(1 - x, b, a)) / b;
}

/** The continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8), by Lentz's method. */
function betaFraction(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  const away = (value: number): number => (Math.abs(value) < tiny ? tiny : value);
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let result = d;
  for (let m = 1; m <= 500; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    result *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    const factor = d * c;
    result *= factor;
    if (Math.abs(factor - 1) < 1e-15) break;
  }
  return result;
}

/** ln Γ(x) for x > 0: Stirling's series, from where it is exact to a double's digits. */
function logGamma(x: number): number {
  let shift = 0;
  let z = x;
  for (; z < 15; z++) shift += Math.log(z);
  const inverse = 1 / (z * z);
  const series =
    (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse * (1 / 1680 - inverse / 1188)))) / z;
  return (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
