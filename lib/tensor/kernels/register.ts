/** Everything that training needs registered with TensorFlow.js, in one call. */
import { tf } from '../tf';
import { registerConvolutionGradients } from './conv-gradients';
import { registerZeroGradients } from './gradients';
import { registerWasmKernels } from './wasm';

/**
 * Registers detlab's kernels and gradients: zero gradients for comparisons, convolution gradients with dilations and explicit
 * padding, and, where the wasm backend's package is imported, its missing kernels. Any number of calls does what one does.
 */
export function registerKernels(): void {
  registerZeroGradients();
  registerConvolutionGradients();
  if (tf.getKernel('Conv2D', 'wasm')) registerWasmKernels();
}
