/** What the wasm backend lacks for training, or does slowly, registered through tfjs's public kernel registry. */
import { tf } from '../tf';
import { type ConvAttributes, convInfo, recastFilterGradient, recastInputGradient } from './conv-recast';
import { recastDepthwiseFilterGradient, recastDepthwiseInputGradient } from './depthwise-recast';
import { concatOn, sliceOn, splitOn } from './wasm-copy';
import { maxPoolGrad } from './wasm-pool';
import { batchMatMulOn } from './wasm-matmul';
import { unsortedSegmentSum } from './wasm-segments';
import { asKernelFunc, type KernelArguments, replaceKernel } from './registry';

type FilterGradientArguments = KernelArguments<
  { x: tf.Tensor4D; dy: tf.Tensor4D },
  ConvAttributes & { filterShape: number[] }
>;
type InputGradientArguments = KernelArguments<
  { dy: tf.Tensor4D; filter: tf.Tensor4D },
  ConvAttributes & { inputShape: number[] }
>;

/** A filter gradient's kernel of a recast function. */
function filterKernel(recast: typeof recastFilterGradient, depthwise: boolean): tf.KernelFunc {
  return asKernelFunc(({ inputs: { x, dy }, attrs }: FilterGradientArguments) =>
    recast(x, dy, convInfo(x.shape, attrs.filterShape, attrs, depthwise)),
  );
}

/** An input gradient's kernel of a recast function. */
function inputKernel(recast: typeof recastInputGradient, depthwise: boolean): tf.KernelFunc {
  return asKernelFunc(({ inputs: { dy, filter }, attrs }: InputGradientArguments) =>
    recast(dy, filter, convInfo(attrs.inputShape, filter.shape, attrs, depthwise)),
  );
}

/**
 * Registers the training kernels for the backend `wasm`: the gradients of convolutions and depthwise convolutions,
 * UnsortedSegmentSum (the gradient of `tf.gather`), a max-pooling gradient that is right, and faster transposed matrix products. May be called any number of times,
 * before or after the backend starts, but after its package is imported: the import registers tfjs's kernels over these.
 * @throws when '@tensorflow/tfjs-backend-wasm' has not been imported.
 */
export function registerWasmKernels(): void {
  if (!tf.getKernel('Conv2D', 'wasm')) {
    throw new Error(
      "registerWasmKernels: import '@tensorflow/tfjs-backend-wasm' first; its kernels are built upon",
    );
  }
  const replace = (name: string, make: Parameters<typeof replaceKernel>[2]): void =>
    replaceKernel(name, 'wasm', make);
  replace('Conv2DBackpropFilter', () => filterKernel(recastFilterGradient, false));
  replace('Conv2DBackpropInput', () => inputKernel(recastInputGradient, false));
  replace('DepthwiseConv2dNativeBackpropFilter', () => filterKernel(recastDepthwiseFilterGradient, true));
  replace('DepthwiseConv2dNativeBackpropInput', () => inputKernel(recastDepthwiseInputGradient, true));
  replace('MaxPoolGrad', () => asKernelFunc(maxPoolGrad));
  replace('UnsortedSegmentSum', () => asKernelFunc(unsortedSegmentSum));
  replace('Slice', (original) => asKernelFunc(sliceOn(original as tf.KernelConfig)));
  replace('SplitV', () => asKernelFunc(splitOn(tf.backend_util.prepareSplitSize)));
  replace('Concat', (original) => asKernelFunc(concatOn(original as tf.KernelConfig)));
  replace('BatchMatMul', (original) => asKernelFunc(batchMatMulOn(original as tf.KernelConfig)));
}
