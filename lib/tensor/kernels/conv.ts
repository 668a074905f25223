/** Convolution with padding as papers and PyTorch give it: so many zeros on every side. */
import { tf } from '../tf';
import { addBias } from './bias';
import { registerConvolutionGradients } from './conv-gradients';

/** Options of `conv2d` and `depthwiseConv2d`. */
export interface ConvolutionOptions {
  /** Default 1. */
  readonly stride?: number;
  /** Zeros around the image: one number for all sides, or [top, bottom, left, right]. Default 0. */
  readonly padding?: number | readonly [number, number, number, number];
  /** Distance between a window's taps; above 1 only with stride 1. Default 1. */
  readonly dilation?: number;
  /** Added to each output channel, one number a channel. Default: none. */
  readonly bias?: tf.Tensor1D;
}

type TfPadding = 'same' | 'valid' | [[number, number], [number, number], [number, number], [number, number]];

/** TensorFlow's name of a padding where it has one (its 'SAME' pads more at the bottom and right), since named ones run faster. */
function tfPadding(shape: number[], window: number[], options: ConvolutionOptions): TfPadding {
  const { stride = 1, padding = 0, dilation = 1 } = options;
  const [top, bottom, left, right] =
    typeof padding === 'number' ? [padding, padding, padding, padding] : padding;
  if (![top, bottom, left, right].every((p) => Number.isInteger(p) && p >= 0)) {
    throw new RangeError(
      `conv2d: padding ${JSON.stringify(padding)} must be whole numbers of pixels, 0 or more`,
    );
  }
  if (top === 0 && bottom === 0 && left === 0 && right === 0) return 'valid';
  const same = [0, 1].flatMap((axis) => {
    const size = shape[axis + 1];
    const total = Math.max(
      0,
      (Math.ceil(size / stride) - 1) * stride + (window[axis] - 1) * dilation + 1 - size,
    );
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  });
  const isSame = [top, bottom, left, right].every((p, side) => p === same[side]);
  return isSame
    ? 'same'
    : [
        [0, 0],
        [top, bottom],
        [left, right],
        [0, 0],
      ];
}

/**
 * 2-D convolution (cross-correlation, as everywhere in deep learning), differentiable in x, filter and bias on every backend.
 * @param x [N, H, W, Cin].
 * @param filter [KH, KW, Cin, Cout].
 * @returns [N, H', W', Cout], H' = floor((H + top + bottom - dilation (KH - 1) - 1) / stride) + 1; the caller disposes it.
 * @throws RangeError for padding that isn't whole numbers, Error for a bias of another length than Cout.
 */
export function conv2d(x: tf.Tensor4D, filter: tf.Tensor4D, options: ConvolutionOptions = {}): tf.Tensor4D {
  registerConvolutionGradients();
  const { stride = 1, dilation = 1, bias } = options;
  return tf.tidy(() => {
    const y = tf.conv2d(x, filter, stride, tfPadding(x.shape, filter.shape, options), 'NHWC', dilation);
    return bias ? addBias(y, bias) : y;
  });
}

/**
 * 2-D depthwise convolution, differentiable in x, filter and bias on every backend.
 * @param x [N, H, W, C].
 * @param filter [KH, KW, C, multiplier]; output channel c * multiplier + m is input channel c under filter [.., .., c, m].
 * @returns [N, H', W', C * multiplier], sizes as for `conv2d`; the caller disposes it.
 */
export function depthwiseConv2d(
  x: tf.Tensor4D,
  filter: tf.Tensor4D,
  options: ConvolutionOptions = {},
): tf.Tensor4D {
  registerConvolutionGradients();
  const { stride = 1, dilation = 1, bias } = options;
  return tf.tidy(() => {
    // tfjs's types forget that depthwise convolutions take explicit padding too.
    const padding = tfPadding(x.shape, filter.shape, options) as 'same';
    const y = tf.depthwiseConv2d(x, filter, stride, padding, 'NHWC', dilation);
    return bias ? addBias(y, bias) : y;
  });
}
