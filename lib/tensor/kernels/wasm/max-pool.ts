/** The gradient of max pooling on the wasm backend: tfjs 4.22's own gives wrong values there, even for one 4x4 image. */
import { tf } from '../../tf';
import { addressOf, run, type WasmArguments } from './host';
import { maxPoolGradient } from './max-pool-kernels';

interface Attributes {
  filterSize: [number, number] | number;
  strides: [number, number] | number;
  pad: Parameters<typeof tf.backend_util.computePool2DInfo>[4];
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** tfjs's MaxPoolGrad. */
export function maxPoolGrad(
  args: WasmArguments<{ dy: tf.Tensor; input: tf.Tensor; output: tf.Tensor }, Attributes>,
): tf.TensorInfo {
  const { backend, inputs, attrs } = args;
  const { filterSize, strides, pad, dimRoundingMode } = attrs;
  const shape = inputs.input.shape as [number, number, number, number];
  const info = tf.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
  const dx = backend.makeOutput(shape, 'float32');
  const at = (tensor: tf.TensorInfo): number => addressOf(backend, tensor);
  run(
    backend,
    maxPoolGradient,
    {
      x: at(inputs.input),
      y: at(inputs.output),
      dy: at(inputs.dy),
      dx: at(dx),
      inHeight: info.inHeight,
      inWidth: info.inWidth,
      channels: info.inChannels,
      outHeight: info.outHeight,
      outWidth: info.outWidth,
      filterHeight: info.filterHeight,
      filterWidth: info.filterWidth,
      strideY: info.strideHeight,
      strideX: info.strideWidth,
      top: info.padInfo.top,
      left: info.padInfo.left,
    },
    info.batchSize,
    1,
  );
  return dx;
}
