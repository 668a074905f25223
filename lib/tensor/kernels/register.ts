/** Everything that training needs registered with TensorFlow.js, in one call. */
import { tf } from '../tf';
import { registerConvolutionGradients } from './conv-gradients';
import { registerCorrections } from './corrections';
import { registerTensorFlowGather, registerWasmGather } from './gather';
import { registerZeroGradients } from './gradients';
import { registerWasmKernels } from './wasm';

/**
 * Registers detlab's kernels and gradients: zero gradients for comparisons, convolution gradients with dilations and explicit
 * padding, the gradients that tfjs lacks or gets wrong, and the kernels that the backends imported so far lack or do badly. Any
 * number of calls does what one does.
 */
export function registerKernels(): void {
  registerZeroGradients();
  registerConvolutionGradients();
  registerCorrections();
  if (tf.getKernel('Conv2D', 'tensorflow')) registerTensorFlowGather();
  if (tf.getKernel('Conv2D', 'wasm')) {
    registerWasmKernels();
    registerWasmGather();
  }
}
