/** Checks that the optimisers and the training loop share; each error says whose option it is. */
import type { NamedVariable } from '../nn/module';
import type { tf } from '../tensor/tf';

/** @throws RangeError unless `low <= value < high`. */
export function checkOption(
  optimizer: string,
  option: string,
  value: number,
  low: number,
  high: number,
): void {
  if (value >= low && value < high) return;
  const range = high === Infinity ? `a number from ${low}` : `at least ${low} and less than ${high}`;
  throw new RangeError(`${optimizer}: ${option} must be ${range}, got ${value}`);
}

/** @throws RangeError unless there is one gradient a parameter. */
export function checkGradients(
  optimizer: string,
  parameters: readonly NamedVariable[],
  gradients: readonly (tf.Tensor | undefined)[],
): void {
  if (gradients.length === parameters.length) return;
  throw new RangeError(
    `${optimizer}: got ${gradients.length} gradients for ${parameters.length} parameters; give one a parameter, in their order`,
  );
}

/** @throws RangeError unless the limit is above 0. */
export function checkLimit(where: string, name: string, value: number): void {
  if (!(value > 0)) throw new RangeError(`${where}: ${name} must be above 0, got ${value}`);
}
