/** Freezing a network or a part of it: nothing of it is trained, and its batch normalisation stays as it is. */
import { batchNormLayers, freezeBatchNorm } from './freeze-batch-norm';
import type { ForwardContext, Module } from './module';

/**
 * Freezes `module` for good: none of its variables is a parameter any more, and its batch normalisation goes by the running statistics and
 * leaves them alone. An optimiser that is made afterwards has no slots for it, gradients stop at it, and a trunk that is frozen keeps
 * nothing for a gradient (`trunkMaps`).
 *
 * Call it before an optimiser is made of the network's parameters.
 * @returns how many numbers it took out of training.
 */
export function freezeModule(module: Module): number {
  const taken = module.parameterCount();
  freezeBatchNorm(module);
  for (const { variable } of module.namedVariables()) variable.trainable = false;
  return taken;
}

/** Whether training changes nothing in `module`: it has no parameter, and no batch normalisation that follows the batches. */
export function isFrozen(module: Module): boolean {
  return module.parameters().length === 0 && batchNormLayers(module).every(({ frozen }) => frozen);
}

/** How `module` runs: frozen, as in inference, in training too; else as it is told, and this is the very `context`. */
export function contextFor(module: Module, context: ForwardContext): ForwardContext {
  return context.training && isFrozen(module) ? { ...context, training: false } : context;
}
