/** Frozen batch normalisation: what detectors fine-tuned with when their batches were too small for statistics of their own. */
import { BatchNorm2d } from './batch-norm';
import { Module } from './module';

/** Options of `freezeBatchNorm`. */
export interface FreezeBatchNormOptions {
  /** Also keep scale and shift as they are: they are no parameters then, and no gradient of them is taken. Default true, as torchvision's `FrozenBatchNorm2d`. */
  readonly affine?: boolean;
}

/**
 * Makes every batch normalisation in `module` use its running statistics in training, too, and never change them: a fixed scale and shift a
 * channel, whatever the batch. That suits statistics of a good pretraining, and no others: from random weights they are 0 and 1.
 *
 * Call it before an optimiser is made of the module's parameters.
 * @returns how many layers were frozen.
 */
export function freezeBatchNorm(module: Module, { affine = true }: FreezeBatchNormOptions = {}): number {
  const layers = batchNormLayers(module);
  for (const layer of layers) {
    layer.frozen = true;
    if (affine) for (const variable of [layer.weight, layer.bias]) variable.trainable = false;
  }
  return layers.length;
}

/** Every batch normalisation in a module, depth first. */
export function batchNormLayers(module: Module): BatchNorm2d[] {
  if (module instanceof BatchNorm2d) return [module];
  const within = (value: unknown): BatchNorm2d[] => {
    if (value instanceof Module) return batchNormLayers(value);
    return Array.isArray(value) ? value.flatMap(within) : [];
  };
  return Object.values(module).flatMap(within);
}
