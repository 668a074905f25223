/** Depthwise convolution and its two gradients on the wasm backend, for one filter a channel and at least four channels. */
import type { tf } from '../../tf';
import { type ConvAttributes, convInfo } from '../conv-recast';
import { recastDepthwiseFilterGradient, recastDepthwiseInputGradient } from '../depthwise-recast';
import { depthwise, depthwiseFilterGradient, sumPieces } from './depthwise-kernels';
import { addressOf, run, type WasmArguments, type WasmHost, withMemory } from './host';
import { phasesOf, windowOf } from './windows';
import type { WindowValues } from './window';

type ConvInfo = tf.backend_util.Conv2DInfo;

const suits = (info: ConvInfo): boolean => info.outChannels === info.inChannels && info.inChannels >= 4;

/** About so many multiply-adds are worth a piece of work. */
const pieceProducts = 100_000;

/** Convolves; strides of the filter and of the result in floats. */
function convolve(
  backend: WasmHost,
  window: WindowValues,
  images: number,
  filterHeight: number,
  filter: { address: number; strideY: number; strideX: number },
  target: { address: number; imageStride: number; rowStride: number; pixelStride: number },
): void {
  const { kernel } = depthwise.find(
    ({ taps, stride }) =>
      taps === undefined ||
      (taps === window.filterWidth && stride === window.strideX && window.dilationX === 1),
  ) as (typeof depthwise)[number];
  const rowProducts = window.outWidth * window.inChannels * filterHeight * window.filterWidth;
  run(
    backend,
    kernel,
    {
      ...window,
      filterHeight,
      w: filter.address,
      wStrideY: filter.strideY * 4,
      wStrideX: filter.strideX * 4,
      y: target.address,
      imageStride: target.imageStride * 4,
      rowStride: target.rowStride * 4,
      pixelStride: target.pixelStride * 4,
    },
    images * window.outHeight,
    Math.max(1, Math.round(pieceProducts / rowProducts)),
  );
}

/** tfjs's DepthwiseConv2dNative; what these kernels are not made for goes to `original`. */
export function depthwiseConv2dOn(
  original: tf.KernelConfig,
): (args: WasmArguments<{ x: tf.Tensor4D; filter: tf.Tensor4D }, ConvAttributes>) => tf.TensorInfo {
  return (args) => {
    const { x, filter } = args.inputs;
    const info = convInfo(x.shape, filter.shape, args.attrs, true);
    if (!suits(info)) return original.kernelFunc(args as never) as tf.TensorInfo;
    const { backend } = args;
    const { batchSize, outHeight, outWidth, inChannels: c, filterWidth } = info;
    const y = backend.makeOutput([batchSize, outHeight, outWidth, c], 'float32');
    convolve(
      backend,
      windowOf(addressOf(backend, x), info),
      batchSize,
      info.filterHeight,
      { address: addressOf(backend, filter), strideY: filterWidth * c, strideX: c },
      {
        address: addressOf(backend, y),
        imageStride: outHeight * outWidth * c,
        rowStride: outWidth * c,
        pixelStride: c,
      },
    );
    return y;
  };
}

/** tfjs's DepthwiseConv2dNativeBackpropInput: a depthwise convolution of dy, for a stride one for each phase of the pixels. */
export function depthwiseBackpropInput(
  args: WasmArguments<{ dy: tf.Tensor4D; filter: tf.Tensor4D }, ConvAttributes & { inputShape: number[] }>,
): tf.TensorInfo {
  const { backend, inputs, attrs } = args;
  const { dy, filter } = inputs;
  const info = convInfo(attrs.inputShape, filter.shape, attrs, true);
  const { batchSize, inHeight, inWidth, inChannels: c, filterHeight, filterWidth } = info;
  const { strideHeight, strideWidth, dilationHeight, dilationWidth, padInfo } = info;
  if (!suits(info)) return recastDepthwiseInputGradient(dy, filter, info);
  const dx = backend.makeOutput([batchSize, inHeight, inWidth, c], 'float32');
  const columns = phasesOf(inWidth, filterWidth, strideWidth, dilationWidth, padInfo.left);
  for (const row of phasesOf(inHeight, filterHeight, strideHeight, dilationHeight, padInfo.top)) {
    for (const column of columns) {
      convolve(
        backend,
        {
          x: addressOf(backend, dy),
          inHeight: info.outHeight,
          inWidth: info.outWidth,
          inChannels: c,
          outHeight: row.count,
          outWidth: column.count,
          filterWidth: column.taps,
          strideY: 1,
          strideX: 1,
          dilationY: dilationHeight,
          dilationX: dilationWidth,
          top: row.padding,
          left: column.padding,
        },
        batchSize,
        row.taps,
        {
          address: addressOf(backend, filter) + (row.lastTap * filterWidth + column.lastTap) * c * 4,
          strideY: -strideHeight * filterWidth * c,
          strideX: -strideWidth * c,
        },
        {
          address: addressOf(backend, dx) + (row.first * inWidth + column.first) * c * 4,
          imageStride: inHeight * inWidth * c,
          rowStride: strideHeight * inWidth * c,
          pixelStride: strideWidth * c,
        },
      );
    }
  }
  return dx;
}

/** How many partial sums a filter's gradient is made of: always as many, so that it doesn't depend on the threads. */
const partialSums = 16;

/** tfjs's DepthwiseConv2dNativeBackpropFilter. */
export function depthwiseBackpropFilter(
  args: WasmArguments<{ x: tf.Tensor4D; dy: tf.Tensor4D }, ConvAttributes & { filterShape: number[] }>,
): tf.TensorInfo {
  const { backend, inputs, attrs } = args;
  const { x, dy } = inputs;
  const info = convInfo(x.shape, attrs.filterShape, attrs, true);
  if (!suits(info)) return recastDepthwiseFilterGradient(x, dy, info);
  const { batchSize, outHeight, inChannels, filterHeight, filterWidth } = info;
  const dw = backend.makeOutput([filterHeight, filterWidth, inChannels, 1], 'float32');
  const { kernel } = depthwiseFilterGradient.find(
    ({ taps }) => filterWidth % taps === 0,
  ) as (typeof depthwiseFilterGradient)[number];
  const lines = batchSize * outHeight;
  const pieceLines = Math.ceil(lines / partialSums);
  const pieces = Math.ceil(lines / pieceLines);
  const count = filterHeight * filterWidth * inChannels;
  withMemory(backend, pieces * count, (partial) => {
    const window = windowOf(addressOf(backend, x), info);
    const values = { ...window, filterHeight, dy: addressOf(backend, dy), dw: partial, lines, pieceLines };
    run(backend, kernel, values, pieces, 1);
    run(
      backend,
      sumPieces,
      { from: partial, to: addressOf(backend, dw), count, pieces },
      Math.ceil(count / 4),
    );
  });
  return dw;
}
