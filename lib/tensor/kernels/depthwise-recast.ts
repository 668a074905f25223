/** The gradients of a depthwise convolution, made of forward kernels, for what a backend's own don't know. */
import { tf } from '../tf';
import { channelSums } from './channels';
import { insertZeros, padOrCrop } from './layout';
import { runKernel } from './registry';

type ConvInfo = tf.backend_util.Conv2DInfo;

/** Output channel c m + j of a depthwise convolution with multiplier m comes from input channel c: these are the channels of one j. */
function multiplierSlice(dy: tf.Tensor4D, multiplier: number, j: number): tf.Tensor4D {
  if (multiplier === 1) return dy;
  const [n, h, w, c] = dy.shape;
  const channels = c / multiplier;
  return dy
    .reshape<tf.Tensor3D>([n * h * w, channels, multiplier])
    .slice([0, 0, j], [-1, -1, 1])
    .reshape([n, h, w, channels]);
}

/** dW[i, j, c, m]: for each tap the pixels of x it sees, times dy, summed. */
export function recastDepthwiseFilterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, info: ConvInfo): tf.Tensor4D {
  const {
    batchSize: n,
    outHeight: oh,
    outWidth: ow,
    filterHeight: kh,
    filterWidth: kw,
    inChannels: c,
  } = info;
  const { strideHeight: sh, strideWidth: sw, dilationHeight: dh, dilationWidth: dw } = info;
  const { top, left } = info.padInfo;
  const multiplier = info.outChannels / info.inChannels;
  return tf.tidy(() => {
    // Whole strides, so that the pixels one stride apart are a slice of a reshaped tensor.
    const h = Math.floor(((kh - 1) * dh) / sh) + oh;
    const w = Math.floor(((kw - 1) * dw) / sw) + ow;
    const padded = padOrCrop(x, top, h * sh - info.inHeight - top, left, w * sw - info.inWidth - left);
    const parts = Array.from({ length: multiplier }, (_, m) => multiplierSlice(dy, multiplier, m));
    const sums: tf.Tensor1D[] = Array.from({ length: kh * kw });
    for (let j = 0; j < kw; j++) {
      const columns = padded
        .reshape<tf.Tensor3D>([n * h * sh, w, sw * c])
        .slice([0, Math.floor((j * dw) / sw), ((j * dw) % sw) * c], [-1, ow, c])
        .reshape<tf.Tensor4D>([n, h, sh, ow * c]);
      for (let i = 0; i < kh; i++) {
        sums[i * kw + j] = tf.tidy(() => {
          const seen = columns.slice([0, Math.floor((i * dh) / sh), (i * dh) % sh, 0], [n, oh, 1, ow * c]);
          const pixels = seen.reshape([n, oh, ow, c]);
          const sumsOfParts = parts.map((part) => channelSums(tf.mul(pixels, part)));
          return tf.stack(sumsOfParts, 1).reshape<tf.Tensor1D>([c * multiplier]);
        });
      }
      columns.dispose();
    }
    return tf.concat(sums, 0).reshape([kh, kw, c, multiplier]);
  });
}

/** dx: the depthwise convolution of dy (zeros between its pixels where there is a stride) by the filter turned by 180 degrees. */
export function recastDepthwiseInputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  info: ConvInfo,
): tf.Tensor4D {
  const { strideHeight: sh, strideWidth: sw, dilationHeight: dh, dilationWidth: dw } = info;
  const { filterHeight: kh, filterWidth: kw, inChannels: c } = info;
  const multiplier = filter.shape[3];
  return tf.tidy(() => {
    const top = (kh - 1) * dh - info.padInfo.top;
    const left = (kw - 1) * dw - info.padInfo.left;
    const spread = insertZeros(dy, sh, sw);
    const bottom = info.inHeight + (kh - 1) * dh - top - spread.shape[1];
    const right = info.inWidth + (kw - 1) * dw - left - spread.shape[2];
    const padded = padOrCrop(spread, top, bottom, left, right);
    const turned = tf.reverse(filter, [0, 1]);
    const parts = Array.from({ length: multiplier }, (_, m) => {
      const taps = turned.slice([0, 0, 0, m], [kh, kw, c, 1]);
      return runKernel(
        'DepthwiseConv2dNative',
        { x: multiplierSlice(padded, multiplier, m), filter: taps },
        { strides: [1, 1], pad: 'valid', dataFormat: 'NHWC', dilations: [dh, dw] },
      ) as tf.Tensor4D;
    });
    return parts.length === 1 ? parts[0] : tf.addN(parts);
  });
}
