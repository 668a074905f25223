/** Zero gradients for functions that are constant almost everywhere: tfjs throws where one meets a tensor it differentiates. */
import { tf } from '../tf';

/** Kernels of one input and of two that are piecewise constant. */
const unary = [
  'LogicalNot',
  'Floor',
  'Ceil',
  'Round',
  'Sign',
  'Step',
  'IsNan',
  'IsFinite',
  'IsInf',
  'ZerosLike',
  'OnesLike',
];
const binary = [
  'Equal',
  'NotEqual',
  'Greater',
  'GreaterEqual',
  'Less',
  'LessEqual',
  'LogicalAnd',
  'LogicalOr',
  'LogicalXor',
  'BitwiseAnd',
];
const reductions = ['All', 'Any', 'ArgMax', 'ArgMin'];

let registered = false;

/**
 * Registers zero gradients for comparisons, logical functions and roundings that have none, so that `tf.greater(prediction, 0)`
 * and the like may stand inside a differentiated function. Any number of calls does what one does; gradients that tfjs has stay.
 */
export function registerZeroGradients(): void {
  if (registered) return;
  for (const name of unary) register(name, ['x']);
  for (const name of binary) register(name, ['a', 'b']);
  for (const name of reductions) register(name, ['x']);
  registered = true;
}

function register(kernelName: string, inputs: string[]): void {
  if (tf.getGradient(kernelName)) return;
  tf.registerGradient({
    kernelName,
    inputsToSave: inputs,
    gradFunc: (_dy, saved) =>
      Object.fromEntries(inputs.map((name, i) => [name, () => tf.zeros((saved as tf.Tensor[])[i].shape)])),
  });
}
