/** The gradient of max pooling on the wasm backend: tfjs 4.22's own gives wrong values there, even for one 4x4 image. */
import { tf } from '../../tf';
import { type KernelArguments } from '../registry';

interface Attributes {
  filterSize: [number, number] | number;
  strides: [number, number] | number;
  pad: Parameters<typeof tf.backend_util.computePool2DInfo>[4];
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** Each dy goes to the first pixel of its window, in reading order, that holds the window's maximum. */
export function maxPoolGrad(
  args: KernelArguments<{ dy: tf.Tensor; input: tf.Tensor; output: tf.Tensor }, Attributes>,
): tf.TensorInfo {
  const { dy, input, output } = args.inputs;
  const { filterSize, strides, pad, dimRoundingMode } = args.attrs;
  const shape = input.shape as [number, number, number, number];
  const info = tf.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
  const dx = args.backend.makeOutput(input.shape, 'float32');
  const x = args.backend.typedArrayFromHeap(input);
  const y = args.backend.typedArrayFromHeap(output);
  const from = args.backend.typedArrayFromHeap(dy);
  const to = args.backend.typedArrayFromHeap(dx).fill(0);
  const { batchSize, inHeight, inWidth, outHeight, outWidth, inChannels: channels } = info;
  for (let n = 0; n < batchSize; n++) {
    for (let p = 0; p < outHeight; p++) {
      const top = p * info.strideHeight - info.padInfo.top;
      const [firstRow, rowEnd] = [Math.max(0, top), Math.min(inHeight, top + info.filterHeight)];
      for (let q = 0; q < outWidth; q++) {
        const left = q * info.strideWidth - info.padInfo.left;
        const [firstColumn, columnEnd] = [Math.max(0, left), Math.min(inWidth, left + info.filterWidth)];
        const out = ((n * outHeight + p) * outWidth + q) * channels;
        for (let c = 0; c < channels; c++) {
          const maximum = y[out + c];
          search: for (let r = firstRow; r < rowEnd; r++) {
            let at = ((n * inHeight + r) * inWidth + firstColumn) * channels + c;
            for (let s = firstColumn; s < columnEnd; s++, at += channels) {
              if (x[at] !== maximum) continue;
              to[at] += from[out + c];
              break search;
            }
          }
        }
      }
    }
  }
  return dx;
}
