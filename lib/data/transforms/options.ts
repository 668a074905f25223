/** What options of transforms may be: a wrong one is an error when the transform is made, not after an hour of training. */
import { resizeMethods, type ResizeMethod } from '../resize';

/** @throws RangeError unless the value is a number from 0 to 1. */
export function checkProbability(transform: string, name: string, value: number): void {
  if (typeof value === 'number' && value >= 0 && value <= 1) return;
  throw new RangeError(`${transform}: ${name} is ${String(value)}; it must be a number from 0 to 1`);
}

/** @throws RangeError unless the value is a whole number of at least `least`. */
export function checkWhole(transform: string, name: string, value: number, least = 1): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new RangeError(
    `${transform}: ${name} is ${String(value)}; it must be a whole number of at least ${least}`,
  );
}

/** @throws RangeError unless the value is a finite number of at least `least`. */
export function checkNumber(transform: string, name: string, value: number, least: number = -Infinity): void {
  if (Number.isFinite(value) && value >= least) return;
  const bound = least === -Infinity ? 'a finite number' : `a finite number of at least ${least}`;
  throw new RangeError(`${transform}: ${name} is ${String(value)}; it must be ${bound}`);
}

/** @throws RangeError unless the value is `[low, high]`, finite, `low <= high`, both within `least` and `most`. */
export function checkRange(
  transform: string,
  name: string,
  value: readonly [number, number],
  least: number = -Infinity,
  most: number = Infinity,
): void {
  const right =
    Array.isArray(value) &&
    value.length === 2 &&
    value.every((bound) => Number.isFinite(bound)) &&
    value[0] <= value[1] &&
    value[0] >= least &&
    value[1] <= most;
  if (right) return;
  const lower = least === -Infinity ? '' : `, from ${least}`;
  const upper = most === Infinity ? '' : ` to ${most}`;
  throw new RangeError(
    `${transform}: ${name} is [${String(value)}]; it must be [low, high] with low <= high${lower}${upper}`,
  );
}

/** @throws RangeError unless the value is a colour: three numbers from 0 to 255. */
export function checkColour(transform: string, name: string, value: readonly number[]): void {
  const right = Array.isArray(value) && value.length === 3 && value.every((v) => v >= 0 && v <= 255);
  if (right) return;
  throw new RangeError(
    `${transform}: ${name} is [${String(value)}]; it must be [red, green, blue] from 0 to 255`,
  );
}

/** @throws RangeError unless the value is one of the choices. */
export function checkOneOf(transform: string, name: string, value: string, choices: readonly string[]): void {
  if (choices.includes(value)) return;
  throw new RangeError(`${transform}: ${name} is ${String(value)}; it must be one of ${choices.join(', ')}`);
}

/** @throws RangeError unless the value is a way of resampling, or left out. */
export function checkMethod(transform: string, method: ResizeMethod | undefined): void {
  if (method !== undefined) checkOneOf(transform, 'method', method, resizeMethods);
}
