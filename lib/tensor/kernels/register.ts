/** Everything that training needs registered with TensorFlow.js, in one call. */
import { tf } from '../tf';
import { registerWasmCast } from './cast';
import { registerConvolutionGradients } from './conv-gradients';
import { registerCorrections } from './corrections';
import { registerCropAndResizeGradient } from './crop-and-resize';
import { registerCpuKernels } from './cpu';
import { registerTensorFlowGather, registerWasmGather } from './gather';
import { registerZeroGradients } from './gradients';
import { registerIndexGradients } from './index-gradients';
import { registerStatelessUniform } from './stateless-uniform';
import { registerStridedSlice, registerStridedSliceGradient } from './strided-slice';
import { registerWasmKernels } from './wasm/register';

/**
 * Registers detlab's kernels and gradients: zero gradients for comparisons, convolution gradients with dilations and explicit
 * padding, the gradients that tfjs lacks or gets wrong, and the kernels that the backends imported so far lack or do badly. Any
 * number of calls does what one does.
 */
export function registerKernels(): void {
  registerZeroGradients();
  registerConvolutionGradients();
  registerCorrections();
  registerIndexGradients();
  registerStridedSliceGradient();
  registerCropAndResizeGradient();
  if (tf.getKernel('Conv2D', 'cpu')) {
    registerCpuKernels();
    registerStridedSlice('cpu');
    registerStatelessUniform('cpu');
  }
  if (tf.getKernel('Conv2D', 'tensorflow')) {
    registerTensorFlowGather();
    registerStatelessUniform('tensorflow');
  }
  if (tf.getKernel('Conv2D', 'wasm')) {
    registerWasmKernels();
    registerWasmGather();
    registerStridedSlice('wasm');
    registerWasmCast();
    registerStatelessUniform('wasm');
  }
}
