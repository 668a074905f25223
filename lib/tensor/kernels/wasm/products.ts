/** Convolution, its two gradients and matrix products on the wasm backend. */
import { type tf } from '../../tf';
import { type ConvAttributes, convInfo } from '../conv-recast';
import { addressOf, poolOf, run, type WasmArguments, type WasmHost, withMemory } from './host';
import {
  blockDepth,
  blockRows,
  convolve,
  filterGradient,
  packPanels,
  packPieces,
  stripColumns,
  stripWindows,
} from './product-kernels';
import { tileColumns } from './tile';
import type { WindowValues } from './window';
import { phasesOf, windowOf } from './windows';

const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;

/** Panels divided into about `wanted` groups of the same size, the last one's excepted. */
function groupsOf(panels: number, wanted: number): { groups: number; groupPanels: number } {
  const groupPanels = Math.ceil(panels / Math.max(1, Math.min(panels, Math.ceil(wanted))));
  return { groups: Math.ceil(panels / groupPanels), groupPanels };
}

/** A matrix to be packed into panels: see `packPanels`. Strides in floats. */
interface Factor {
  readonly address: number;
  readonly inner: number;
  readonly rowStride: number;
  readonly columnStride: number;
  readonly tapsX?: number;
  readonly tapStrideY?: number;
  readonly tapStrideX?: number;
}

/** Where the results go: strides in floats. */
interface Target {
  readonly address: number;
  readonly imageStride: number;
  readonly rowStride: number;
  readonly pixelStride: number;
}

/** y = what the windows see times a matrix of `depth` by `columns`. */
function multiplyWindows(
  backend: WasmHost,
  window: WindowValues,
  images: number,
  depth: number,
  columns: number,
  factor: Factor,
  target: Target,
): void {
  const { inHeight, inWidth, inChannels, outHeight, outWidth, strideY, strideX, top, left } = window;
  const windows = images * outHeight * outWidth;
  // A window of one pixel, inside the image: nothing has to be gathered.
  const inside = (outHeight - 1) * strideY < inHeight && (outWidth - 1) * strideX < inWidth;
  const direct = depth === inChannels && top === 0 && left === 0 && inside;
  if (windows === 0 || columns === 0) return;
  const panels = Math.ceil(columns / tileColumns);
  const packed =
    columns <= tileColumns &&
    columns % 4 === 0 &&
    factor.columnStride === 1 &&
    factor.rowStride === columns &&
    factor.inner === depth;
  const { threads } = poolOf(backend);
  const multiply = (address: number): void => {
    // Enough items for every thread to have several; how they are cut changes no sum.
    const wanted = threads * 4;
    const rows =
      threads === 1 ? blockRows : Math.min(blockRows, Math.max(16, roundUp(Math.ceil(windows / wanted), 2)));
    const blocks = Math.ceil(windows / rows);
    const { groups, groupPanels } = groupsOf(panels, threads === 1 ? 1 : wanted / blocks);
    run(
      backend,
      convolve,
      {
        ...window,
        panels: address,
        y: target.address,
        windows,
        depth,
        pieceDepth: roundUp(Math.ceil(depth / Math.ceil(depth / blockDepth)), 4),
        columns,
        groups,
        groupPanels,
        direct: direct ? 1 : 0,
        imageStride: target.imageStride * 4,
        rowStride: target.rowStride * 4,
        pixelStride: target.pixelStride * 4,
        rows,
      },
      blocks * groups,
      1,
    );
  };
  if (packed) return multiply(factor.address);
  withMemory(backend, depth * roundUp(columns, 4), (address) => {
    run(
      backend,
      packPanels,
      {
        from: factor.address,
        to: address,
        rows: depth,
        columns,
        inner: factor.inner,
        rowStride: factor.rowStride * 4,
        columnStride: factor.columnStride * 4,
        tapsX: factor.tapsX ?? 1,
        tapStrideY: (factor.tapStrideY ?? 0) * 4,
        tapStrideX: (factor.tapStrideX ?? 0) * 4,
      },
      panels,
      Math.max(1, Math.ceil(8192 / depth)),
    );
    multiply(address);
  });
}

/** tfjs's Conv2D. */
export function conv2d(
  args: WasmArguments<{ x: tf.Tensor4D; filter: tf.Tensor4D }, ConvAttributes>,
): tf.TensorInfo {
  const { backend, inputs, attrs } = args;
  const { x, filter } = inputs;
  const info = convInfo(x.shape, filter.shape, attrs, false);
  const { batchSize, inChannels, outChannels, outHeight, outWidth } = info;
  const y = backend.makeOutput([batchSize, outHeight, outWidth, outChannels], 'float32');
  const depth = info.filterHeight * info.filterWidth * inChannels;
  multiplyWindows(
    backend,
    windowOf(addressOf(backend, x), info),
    batchSize,
    depth,
    outChannels,
    { address: addressOf(backend, filter), inner: depth, rowStride: outChannels, columnStride: 1 },
    {
      address: addressOf(backend, y),
      imageStride: outHeight * outWidth * outChannels,
      rowStride: outWidth * outChannels,
      pixelStride: outChannels,
    },
  );
  return y;
}

/**
 * tfjs's Conv2DBackpropInput: itself a convolution of dy; for a stride one for each phase, of the pixels that are equal modulo the
 * stride.
 */
export function conv2dBackpropInput(
  args: WasmArguments<{ dy: tf.Tensor4D; filter: tf.Tensor4D }, ConvAttributes & { inputShape: number[] }>,
): tf.TensorInfo {
  const { backend, inputs, attrs } = args;
  const { dy, filter } = inputs;
  const info = convInfo(attrs.inputShape, filter.shape, attrs, false);
  const { batchSize, inHeight, inWidth, inChannels: ci, outChannels: co, filterWidth } = info;
  const { strideHeight, strideWidth, dilationHeight, dilationWidth, padInfo } = info;
  const dx = backend.makeOutput([batchSize, inHeight, inWidth, ci], 'float32');
  const [from, to] = [addressOf(backend, filter), addressOf(backend, dx)];
  const rows = phasesOf(inHeight, info.filterHeight, strideHeight, dilationHeight, padInfo.top);
  const columns = phasesOf(inWidth, filterWidth, strideWidth, dilationWidth, padInfo.left);
  if (rows.concat(columns).some((phase) => phase.taps === 0)) {
    (backend.typedArrayFromHeap(dx) as Float32Array).fill(0);
  }
  for (const row of rows) {
    for (const column of columns) {
      const depth = row.taps * column.taps * co;
      if (depth === 0) continue;
      multiplyWindows(
        backend,
        {
          x: addressOf(backend, dy),
          inHeight: info.outHeight,
          inWidth: info.outWidth,
          inChannels: co,
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
        depth,
        ci,
        {
          address: from + (row.lastTap * filterWidth + column.lastTap) * ci * co * 4,
          inner: co,
          rowStride: 1,
          columnStride: co,
          tapsX: column.taps,
          tapStrideY: -strideHeight * filterWidth * ci * co,
          tapStrideX: -strideWidth * ci * co,
        },
        {
          address: to + (row.first * inWidth + column.first) * ci * 4,
          imageStride: inHeight * inWidth * ci,
          rowStride: strideHeight * inWidth * ci,
          pixelStride: strideWidth * ci,
        },
      );
    }
  }
  return dx;
}

/** Below so many rows of the result, dy is read as it lies: packing it would cost more than it brings. */
const packedDepth = 64;

/** [depth, columns] = what the windows see, transposed, times dy, a matrix of as many rows as there are windows. */
function multiplyTransposed(
  backend: WasmHost,
  window: WindowValues,
  images: number,
  depth: number,
  columns: number,
  dy: number,
  dw: number,
): void {
  const { inHeight, inWidth, inChannels, outHeight, outWidth, strideY, strideX, top, left } = window;
  const windows = images * outHeight * outWidth;
  const direct =
    depth === inChannels &&
    top === 0 &&
    left === 0 &&
    strideY === 1 &&
    strideX === 1 &&
    outHeight === inHeight &&
    outWidth === inWidth;
  const panels = Math.ceil(columns / tileColumns);
  const multiply = (address: number, packed: boolean): void => {
    const wanted = poolOf(backend).threads * 4;
    const strip = Math.ceil(depth / stripColumns) * panels < wanted ? stripColumns / 2 : stripColumns;
    const strips = Math.ceil(depth / strip);
    const { groups, groupPanels } = groupsOf(panels, wanted / strips);
    run(
      backend,
      filterGradient,
      {
        ...window,
        dy: address,
        dw,
        windows,
        depth,
        columns,
        packed: packed ? 1 : 0,
        groups,
        groupPanels,
        strip,
        direct: direct ? 1 : 0,
      },
      strips * groups,
      1,
    );
  };
  if (panels === 1 || depth < packedDepth) return multiply(dy, false);
  withMemory(backend, windows * roundUp(columns, 4), (pieces) => {
    const items = Math.ceil(windows / stripWindows);
    const piece = Math.max(1, Math.ceil(16_384 / (stripWindows * columns)));
    run(backend, packPieces, { from: dy, to: pieces, rows: windows, columns }, items, piece);
    multiply(pieces, true);
  });
}

/** tfjs's Conv2DBackpropFilter. */
export function conv2dBackpropFilter(
  args: WasmArguments<{ x: tf.Tensor4D; dy: tf.Tensor4D }, ConvAttributes & { filterShape: number[] }>,
): tf.TensorInfo {
  const { backend, inputs, attrs } = args;
  const { x, dy } = inputs;
  const info = convInfo(x.shape, attrs.filterShape, attrs, false);
  const { batchSize, inChannels, outChannels, filterHeight, filterWidth, outHeight, outWidth } = info;
  const dw = backend.makeOutput([filterHeight, filterWidth, inChannels, outChannels], 'float32');
  const windows = batchSize * outHeight * outWidth;
  if (windows === 0) (backend.typedArrayFromHeap(dw) as Float32Array).fill(0);
  else {
    multiplyTransposed(
      backend,
      windowOf(addressOf(backend, x), info),
      batchSize,
      filterHeight * filterWidth * inChannels,
      outChannels,
      addressOf(backend, dy),
      addressOf(backend, dw),
    );
  }
  return dw;
}

/** The windows that are the rows of a matrix. */
function rowsOf(address: number, rows: number, columns: number): WindowValues {
  return {
    x: address,
    inHeight: 1,
    inWidth: rows,
    inChannels: columns,
    outHeight: 1,
    outWidth: rows,
    filterWidth: 1,
    strideY: 1,
    strideX: 1,
    dilationY: 1,
    dilationX: 1,
    top: 0,
    left: 0,
  };
}

/**
 * c [m, n] = a [m, k] (or the transpose of a [k, m]) times b [k, n] (or the transpose of b [n, k]); not both transposed. None of the
 * sizes may be 0.
 */
export function multiplyMatrices(
  backend: WasmHost,
  sizes: { m: number; k: number; n: number },
  a: { address: number; transposed: boolean },
  b: { address: number; transposed: boolean },
  c: number,
): void {
  const { m, k, n } = sizes;
  if (a.transposed) return multiplyTransposed(backend, rowsOf(a.address, k, m), 1, m, n, b.address, c);
  const factor = b.transposed
    ? { address: b.address, inner: k, rowStride: 1, columnStride: k }
    : { address: b.address, inner: k, rowStride: n, columnStride: 1 };
  multiplyWindows(backend, rowsOf(a.address, m, k), 1, k, n, factor, {
    address: c,
    imageStride: m * n,
    rowStride: m * n,
    pixelStride: n,
  });
}
