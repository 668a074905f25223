/** Why many devices wait: a synchronised step lasts as long as the slowest of them. */

/** Far beyond what doubles tell from 0 and 1, and steps small enough for seven digits. */
const limit = 9;
const steps = 1800;

/**
 * Expected maximum of `count` independent standard normal numbers: 0 for one, 1.42 for 8, 2.59 for 128. Integrates
 * E[max] = ∫_0^∞ (1 - F^n) dx - ∫_-∞^0 F^n dx, where F is the normal distribution function, to seven digits.
 * @throws RangeError unless `count` is a whole number from 1.
 */
export function expectedMaximum(count: number): number {
  if (!Number.isInteger(count) || count < 1) {
    throw new RangeError(`expectedMaximum: count must be a whole number from 1, got ${count}`);
  }
  const width = (2 * limit) / steps;
  const density = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  let below = 0;
  let sum = 0;
  for (let i = 0; i < steps; i++) {
    const x = -limit + i * width;
    // By Simpson's rule to the middle and to the end of the interval: F there.
    const ends = density(x) + density(x + width);
    const middle = below + (width / 2) * ((density(x) + density(x + width / 2)) / 2);
    const above = below + (width / 6) * (ends + 4 * density(x + width / 2));
    const value = (f: number): number => (i < steps / 2 ? -(f ** count) : 1 - f ** count);
    sum += (width / 6) * (value(below) + 4 * value(middle) + value(above));
    below = above;
  }
  return sum;
}

/**
 * How much longer a step of several devices takes than one device's does on average, when every device's time is normal and independent of
 * the others': 1 + variation * `expectedMaximum(devices)`.
 * @param variation standard deviation over mean of a device's time
 */
export function stragglerFactor(devices: number, variation: number): number {
  if (!(variation >= 0)) {
    throw new RangeError(`stragglerFactor: variation must be a number from 0, got ${variation}`);
  }
  return 1 + variation * expectedMaximum(devices);
}
