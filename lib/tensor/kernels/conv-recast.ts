/**
 * The gradients of a convolution recast as forward convolutions: no backend of tfjs passes a dilation on, and some lack a gradient.
 */
import { tf } from '../tf';
import { insertZeros, interleave, padOrCrop } from './layout';
import { runKernel } from './registry';

type ConvInfo = tf.backend_util.Conv2DInfo;

/** Attributes of both gradient kernels: tfjs's own, and `dilations`, which tfjs leaves out. */
export interface ConvAttributes {
  strides: [number, number] | number;
  pad: Parameters<typeof tf.backend_util.computeConv2DInfo>[4];
  dataFormat?: 'NHWC' | 'NCHW';
  dilations?: [number, number] | number;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** A convolution's geometry from a gradient kernel's attributes. */
export function convInfo(
  inShape: number[],
  filterShape: number[],
  attrs: ConvAttributes,
  depthwise: boolean,
): ConvInfo {
  if (attrs.dataFormat === 'NCHW') throw new Error('convolution gradients need NHWC tensors, got NCHW');
  return tf.backend_util.computeConv2DInfo(
    inShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    attrs.strides,
    attrs.dilations ?? 1,
    attrs.pad,
    attrs.dimRoundingMode,
    depthwise,
  );
}

/** A convolution without padding. The kernel is called directly: the public op refuses strides together with dilations. */
function validConv(
  x: tf.Tensor,
  filter: tf.Tensor,
  strides: [number, number],
  dilations: [number, number],
): tf.Tensor4D {
  const attrs = { strides, dilations, pad: 'valid', dataFormat: 'NHWC' };
  return runKernel('Conv2D', { x, filter }, attrs) as tf.Tensor4D;
}

/** How many products one number of a filter gradient sums up at a time. Measured: fastest between 4,096 and 16,384. */
const summandsAPiece = 8192;

/**
 * dW[i, j, ci, co] = sum over n, p, q of x[n, p s + i d - pad, q s + j d - pad, ci] * dy[n, p, q, co]: itself a convolution, of
 * x by dy, whose taps are the output pixels (so stride and dilation change places) and whose input channels are n and q. The
 * pixels it slides over are the rows of x; (j, ci) lie beside each other as its width, so that the small kernel window
 * still gives XNNPACK full tiles.
 */
export function recastFilterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, info: ConvInfo): tf.Tensor4D {
  const { batchSize: n, inChannels: ci, outChannels: co, outHeight: oh, outWidth: ow } = info;
  const { filterHeight: kh, filterWidth: kw, strideHeight: sh, strideWidth: sw } = info;
  const { dilationHeight: dh, dilationWidth: dw } = info;
  return tf.tidy(() => {
    // Exactly the rows and columns that some tap sees; columns in whole strides, so that they split into phases by a reshape.
    const h = (oh - 1) * sh + (kh - 1) * dh + 1;
    const w = Math.floor(((kw - 1) * dw) / sw) + ow;
    const { top, left } = info.padInfo;
    const padded = padOrCrop(x, top, h - info.inHeight - top, left, w * sw - info.inWidth - left);
    // [N, h, w * sw, ci] -> [h, ci, w, sw * N]: a tap's columns, one stride apart, are then a slice
    const rows = padded.transpose([1, 3, 2, 0]).reshape<tf.Tensor4D>([h, ci, w, sw * n]);
    const taps = dy.transpose([1, 2, 0, 3]).reshape<tf.Tensor4D>([oh, 1, ow * n, co]);
    /** The part of the sum that output rows `start` to `end` contribute. */
    const contribution = (start: number, end: number): tf.Tensor4D => {
      const height = (end - start - 1) * sh + (kh - 1) * dh + 1;
      const columns = Array.from({ length: kw }, (_, j) => {
        const from = [start * sh, 0, Math.floor((j * dw) / sw), ((j * dw) % sw) * n];
        return rows.slice(from, [height, ci, ow, n]).reshape([height, ci, ow * n]);
      });
      const windows = tf.concat(columns, 1).reshape([1, height, kw * ci, ow * n]);
      return validConv(windows, taps.slice([start, 0, 0, 0], [end - start, -1, -1, -1]), [dh, 1], [sh, 1]);
    };
    // In pieces: the sums are long, and their operands should stay in the processor's cache.
    const step = Math.max(1, Math.round(summandsAPiece / (ow * n)));
    let sum = contribution(0, Math.min(oh, step));
    for (let start = step; start < oh; start += step) {
      const more = tf.tidy(() => tf.add<tf.Tensor4D>(sum, contribution(start, Math.min(oh, start + step))));
      sum.dispose();
      sum = more;
    }
    return sum.reshape([kh, kw, ci, co]);
  });
}

/** The filter's taps at `rows` x `columns`, in that order, input and output channels swapped: [rows, columns, co, ci]. */
function pickTaps(
  swapped: tf.Tensor2D,
  filterWidth: number,
  rows: number[],
  columns: number[],
  shape: number[],
): tf.Tensor {
  const size = swapped.shape[1];
  const taps = rows.flatMap((i) => columns.map((j) => swapped.slice([i * filterWidth + j, 0], [1, size])));
  return tf.concat(taps, 0).reshape([rows.length, columns.length, ...shape]);
}

const reversed = (count: number): number[] => Array.from({ length: count }, (_, i) => count - 1 - i);

/**
 * dx is the convolution of dy by the filter turned by 180 degrees. For a stride, either dy gets zeros between its pixels, or,
 * cheaper, each phase of dx (pixels equal modulo the stride) is a convolution of its own by the taps that reach it.
 */
export function recastInputGradient(dy: tf.Tensor4D, filter: tf.Tensor4D, info: ConvInfo): tf.Tensor4D {
  const { strideHeight: sh, strideWidth: sw, dilationHeight: dh, dilationWidth: dw } = info;
  const { filterHeight: kh, filterWidth: kw } = info;
  return tf.tidy(() => {
    // [kh, kw, ci, co] -> [kh * kw, co * ci]
    const swapped = filter
      .transpose([0, 1, 3, 2])
      .reshape<tf.Tensor2D>([kh * kw, info.inChannels * info.outChannels]);
    const channels = [info.outChannels, info.inChannels];
    if ((sh > 1 || sw > 1) && dh === 1 && dw === 1) return inputGradientByPhases(dy, swapped, channels, info);
    const spread = insertZeros(dy, sh, sw);
    const top = (kh - 1) * dh - info.padInfo.top;
    const left = (kw - 1) * dw - info.padInfo.left;
    const padded = padOrCrop(
      spread,
      top,
      info.inHeight + (kh - 1) * dh - top - spread.shape[1],
      left,
      info.inWidth + (kw - 1) * dw - left - spread.shape[2],
    );
    return validConv(padded, pickTaps(swapped, kw, reversed(kh), reversed(kw), channels), [1, 1], [dh, dw]);
  });
}

/** One axis of one phase: the taps that reach it (descending) and the padding of dy that aligns them. */
function phaseOf(
  phase: number,
  count: number,
  taps: number,
  stride: number,
  pad: number,
  available: number,
): {
  taps: number[];
  before: number;
  after: number;
} {
  // x pixel i = phase + stride q gets dy pixel p through tap k when i + pad = p stride + k
  const first = (phase + pad) % stride;
  const reach = Array.from(
    { length: Math.max(0, Math.ceil((taps - first) / stride)) },
    (_, j) => first + stride * j,
  );
  const before = reach.length - 1 - Math.floor((phase + pad) / stride);
  return { taps: reach.reverse(), before, after: count + reach.length - 1 - before - available };
}

function inputGradientByPhases(
  dy: tf.Tensor4D,
  swapped: tf.Tensor2D,
  channels: number[],
  info: ConvInfo,
): tf.Tensor4D {
  const { strideHeight: sh, strideWidth: sw, inHeight, inWidth, batchSize: n, inChannels: ci } = info;
  const height = Math.ceil(inHeight / sh);
  const width = Math.ceil(inWidth / sw);
  const phases = Array.from({ length: sh }, (_, a) =>
    Array.from({ length: sw }, (_, b) => {
      const vertical = phaseOf(a, height, info.filterHeight, sh, info.padInfo.top, info.outHeight);
      const horizontal = phaseOf(b, width, info.filterWidth, sw, info.padInfo.left, info.outWidth);
      if (vertical.taps.length === 0 || horizontal.taps.length === 0)
        return tf.zeros<tf.Rank.R4>([n, height, width, ci]);
      const padded = padOrCrop(dy, vertical.before, vertical.after, horizontal.before, horizontal.after);
      const taps = pickTaps(swapped, info.filterWidth, vertical.taps, horizontal.taps, channels);
      return validConv(padded, taps, [1, 1], [1, 1]);
    }),
  );
  return padOrCrop(interleave(phases), 0, inHeight - height * sh, 0, inWidth - width * sw);
}
