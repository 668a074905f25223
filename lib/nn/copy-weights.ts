/** One network's values in another of the same names. */
import type { Module } from './module';

/**
 * Gives each variable of `to`, buffers too, the value of the variable of that name in `from`.
 * @throws Error for a name that `from` lacks, and what `assign` throws for another shape.
 */
export function copyWeights(from: Module, to: Module): void {
  const values = new Map(from.namedVariables().map(({ name, variable }) => [name, variable]));
  for (const { name, variable } of to.namedVariables()) {
    const value = values.get(name);
    if (!value) {
      throw new Error(
        `copyWeights: ${from.constructor.name} has no variable ${name}; copy between networks of one architecture`,
      );
    }
    variable.assign(value);
  }
}
