/** A control for reused weights: the same numbers in the wrong places. */
import type { Random } from '../tensor/random';
import { tf } from '../tensor/tf';
import type { Module } from './module';

/**
 * Shuffles the numbers within each of a module's variables, running statistics too: their distributions stay as they are, and what was learnt is gone.
 * What a frozen network still does then is the scale of its weights' doing.
 */
export function shuffleWeights(module: Module, random: Random): void {
  for (const { name, variable } of module.namedVariables()) {
    const values = Array.from(variable.dataSync());
    const shuffled = tf.tensor(random.fork(name).shuffle(values), variable.shape, variable.dtype);
    variable.assign(shuffled);
    shuffled.dispose();
  }
}
