/**
 * Sine, cosine, arc tangent and exponential from additions and multiplications alone. Those of `Math` may differ in the last
 * bit from one JavaScript engine to the next, which is enough to move a pixel; IEEE arithmetic and `Math.sqrt` don't.
 */

const halfPi = Math.PI / 2;

/** Sine and cosine of an angle in radians (within 1e-9 for a few turns). */
export function sinCos(angle: number): { sin: number; cos: number } {
  const quarter = Math.round(angle / halfPi);
  const x = angle - quarter * halfPi; // within 45 degrees, where the series converge fast
  const x2 = x * x;
  const s = x * (1 - (x2 / 6) * (1 - (x2 / 20) * (1 - (x2 / 42) * (1 - (x2 / 72) * (1 - x2 / 110)))));
  const c =
    1 - (x2 / 2) * (1 - (x2 / 12) * (1 - (x2 / 30) * (1 - (x2 / 56) * (1 - (x2 / 90) * (1 - x2 / 132)))));
  const turn = ((quarter % 4) + 4) % 4;
  if (turn === 0) return { sin: s, cos: c };
  if (turn === 1) return { sin: c, cos: -s };
  return turn === 2 ? { sin: -s, cos: -c } : { sin: -c, cos: s };
}

/** Arc tangent of y / x in (-pi, pi], as `Math.atan2`, within 2e-6 (Abramowitz and Stegun 4.4.49): a hundredth of a texel. */
export function atan2(y: number, x: number): number {
  const ax = x < 0 ? -x : x;
  const ay = y < 0 ? -y : y;
  if (ax === 0 && ay === 0) return 0;
  const t = ay > ax ? ax / ay : ay / ax;
  const t2 = t * t;
  let a =
    t *
    (0.9999993329 +
      t2 *
        (-0.3332985605 +
          t2 *
            (0.1994653599 +
              t2 *
                (-0.1390853351 +
                  t2 * (0.0964200441 + t2 * (-0.0559098861 + t2 * (0.0218612288 + t2 * -0.004054058)))))));
  if (ay > ax) a = halfPi - a;
  if (x < 0) a = Math.PI - a;
  return y < 0 ? -a : a;
}

/** e to the power x, for x of moderate size: a series on x / 64, squared six times. */
export function exp(x: number): number {
  const t = x / 64;
  let value = 1 + t * (1 + (t / 2) * (1 + (t / 3) * (1 + (t / 4) * (1 + (t / 5) * (1 + t / 6)))));
  for (let i = 0; i < 6; i++) value *= value;
  return value;
}
