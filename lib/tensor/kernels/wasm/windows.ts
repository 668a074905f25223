/** The windows of convolutions and of their input gradients, as the kernels take them. */
import type { tf } from '../../tf';
import type { WindowValues } from './window';

type ConvInfo = tf.backend_util.Conv2DInfo;

/** The windows of a convolution over x. */
export function windowOf(address: number, info: ConvInfo): WindowValues {
  return {
    x: address,
    inHeight: info.inHeight,
    inWidth: info.inWidth,
    inChannels: info.inChannels,
    outHeight: info.outHeight,
    outWidth: info.outWidth,
    filterWidth: info.filterWidth,
    strideY: info.strideHeight,
    strideX: info.strideWidth,
    dilationY: info.dilationHeight,
    dilationX: info.dilationWidth,
    top: info.padInfo.top,
    left: info.padInfo.left,
  };
}

/** One axis of one phase of an input gradient: pixels equal modulo the stride. */
export interface Phase {
  /** The first pixel, and how many there are. */
  readonly first: number;
  readonly count: number;
  /** The taps that reach them, the last one first, `step` apart. */
  readonly lastTap: number;
  readonly taps: number;
  readonly padding: number;
}

/** The phases of an axis of `size` pixels. A stride above 1 together with a dilation above 1 isn't provided for. */
export function phasesOf(
  size: number,
  taps: number,
  stride: number,
  dilation: number,
  padding: number,
): Phase[] {
  if (stride === 1)
    return [{ first: 0, count: size, lastTap: taps - 1, taps, padding: (taps - 1) * dilation - padding }];
  return Array.from({ length: Math.min(stride, size) }, (_, first) => {
    // pixel first + stride t gets dy pixel t + base - u through tap firstTap + stride u
    const firstTap = (first + padding) % stride;
    const reach = Math.max(0, Math.ceil((taps - firstTap) / stride));
    const base = Math.floor((first + padding) / stride);
    return {
      first,
      count: Math.ceil((size - first) / stride),
      lastTap: firstTap + stride * (reach - 1),
      taps: reach,
      padding: reach - 1 - base,
    };
  });
}
