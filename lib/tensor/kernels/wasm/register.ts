/** What the wasm backend lacks for training, or does slowly, registered through tfjs's public kernel registry. */
import { tf } from '../../tf';
import { concatOn, identity, packOn, sliceOn, splitOn, tileOn, transposeOn, unpackOn } from './copy';
import { depthwiseBackpropFilter, depthwiseBackpropInput, depthwiseConv2dOn } from './depthwise';
import { binary, comparisons, gradients, unary } from './map-kernels';
import { binaryOn, comparisonOn, gradientKernel, unaryOn } from './maps';
import { batchNormTraining, batchNormTrainingGradient } from './norm';
import { maxPoolGrad } from './max-pool';
import { batchMatMulOn } from './matmul';
import { adamUpdate, blendTensors, momentumUpdate, sumOfSquares } from './optimizer';
import { conv2d, conv2dBackpropFilter, conv2dBackpropInput } from './products';
import { reductionOn } from './reduce';
import { unsortedSegmentSum } from './segments';
import { asKernelFunc, replaceKernel } from '../registry';

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
  replace('Conv2D', () => asKernelFunc(conv2d));
  replace('Conv2DBackpropFilter', () => asKernelFunc(conv2dBackpropFilter));
  replace('Conv2DBackpropInput', () => asKernelFunc(conv2dBackpropInput));
  replace('DepthwiseConv2dNative', (original) =>
    asKernelFunc(depthwiseConv2dOn(original as tf.KernelConfig)),
  );
  replace('DepthwiseConv2dNativeBackpropFilter', () => asKernelFunc(depthwiseBackpropFilter));
  replace('DepthwiseConv2dNativeBackpropInput', () => asKernelFunc(depthwiseBackpropInput));
  for (const name of Object.keys(binary)) {
    replace(name, (original) => asKernelFunc(binaryOn(name, original as tf.KernelConfig)));
  }
  for (const name of Object.keys(comparisons)) {
    replace(name, (original) => asKernelFunc(comparisonOn(name, original as tf.KernelConfig)));
  }
  for (const name of Object.keys(unary)) {
    replace(name, (original) => asKernelFunc(unaryOn(name, original)));
  }
  for (const name of Object.keys(gradients)) replace(name, () => asKernelFunc(gradientKernel(name)));
  replace('BatchNormTraining', () => asKernelFunc(batchNormTraining));
  replace('BatchNormTrainingGradient', () => asKernelFunc(batchNormTrainingGradient));
  for (const name of ['Sum', 'Mean', 'Max'] as const) {
    replace(name, (original) => asKernelFunc(reductionOn(name, original as tf.KernelConfig)));
  }
  replace('MomentumUpdate', () => asKernelFunc(momentumUpdate));
  replace('AdamUpdate', () => asKernelFunc(adamUpdate));
  replace('Blend', () => asKernelFunc(blendTensors));
  replace('SumOfSquares', () => asKernelFunc(sumOfSquares));
  replace('MaxPoolGrad', () => asKernelFunc(maxPoolGrad));
  replace('UnsortedSegmentSum', () => asKernelFunc(unsortedSegmentSum));
  replace('Slice', (original) => asKernelFunc(sliceOn(original as tf.KernelConfig)));
  replace('SplitV', () => asKernelFunc(splitOn(tf.backend_util.prepareSplitSize)));
  replace('Concat', (original) => asKernelFunc(concatOn(original as tf.KernelConfig)));
  replace('Pack', (original) => asKernelFunc(packOn(original as tf.KernelConfig)));
  replace('Unpack', (original) => asKernelFunc(unpackOn(original as tf.KernelConfig)));
  replace('Transpose', (original) => asKernelFunc(transposeOn(original as tf.KernelConfig)));
  replace('Tile', (original) => asKernelFunc(tileOn(original as tf.KernelConfig)));
  replace('Identity', () => asKernelFunc(identity));
  replace('BatchMatMul', (original) => asKernelFunc(batchMatMulOn(original as tf.KernelConfig)));
}
