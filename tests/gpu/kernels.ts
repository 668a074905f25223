/**
 * Ways to compute a convolution's gradients on webgpu, on the shapes of the benchmark's networks: tfjs's kernel, the same recast
 * as forward convolutions, and as matrix products. Run it compiled: node kernels.js --json kernels.json
 */
import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { rotated } from '../../lib/bench/measure';
import { spread, type Spread } from '../../lib/bench/statistics';
import { table } from '../../lib/plot/table';
import { useBackend } from '../../lib/tensor/backend';
import {
  type ConvAttributes,
  convInfo,
  recastFilterGradient,
  recastInputGradient,
} from '../../lib/tensor/kernels/conv-recast';
import {
  recastDepthwiseFilterGradient,
  recastDepthwiseInputGradient,
} from '../../lib/tensor/kernels/depthwise-recast';
import { padOrCrop } from '../../lib/tensor/kernels/layout';
import { runKernel } from '../../lib/tensor/kernels/registry';
import { tf } from '../../lib/tensor/tf';
import { normals } from './cases';
import { compare } from './compare';

type ConvInfo = tf.backend_util.Conv2DInfo;

interface Layer {
  readonly depthwise: boolean;
  readonly batch: number;
  readonly side: number;
  readonly from: number;
  readonly to: number;
  readonly window: number;
  readonly stride: number;
}

interface Measured {
  readonly layer: string;
  readonly what: string;
  readonly way: string;
  /** Milliseconds of one call. */
  readonly time?: Spread;
  /** Why it was not measured, or that it differs from tfjs's result. */
  readonly problem?: string;
}

/** Layers of the benchmark's networks at 192 pixels, and at their smallest maps. */
function layers(batch: number, tiny: boolean): Layer[] {
  const full = { depthwise: false, batch, window: 3, stride: 1 };
  const each = { ...full, depthwise: true };
  if (tiny) {
    return [
      { ...full, batch: 2, side: 8, from: 8, to: 8 },
      { ...each, batch: 2, side: 8, from: 8, to: 8, stride: 2 },
    ];
  }
  return [
    { ...full, side: 192, from: 3, to: 32, stride: 2 },
    { ...full, side: 96, from: 32, to: 32 },
    { ...full, side: 48, from: 64, to: 64 },
    { ...full, side: 24, from: 128, to: 128 },
    { ...full, side: 12, from: 256, to: 256 },
    { ...full, side: 48, from: 24, to: 144, window: 1 },
    { ...full, side: 12, from: 112, to: 672, window: 1 },
    { ...each, side: 96, from: 96, to: 96, stride: 2 },
    { ...each, side: 48, from: 144, to: 144 },
    { ...each, side: 12, from: 672, to: 672, window: 5 },
  ];
}

/** The pixels under tap (i, j) of every window: [N OH OW, C]. */
function underTap(x: tf.Tensor4D, info: ConvInfo, i: number, j: number): tf.Tensor2D {
  const {
    batchSize: n,
    outHeight: oh,
    outWidth: ow,
    strideHeight: sh,
    strideWidth: sw,
    inChannels: c,
  } = info;
  const { top, left } = info.padInfo;
  const height = (oh - 1) * sh + info.filterHeight;
  const width = (ow - 1) * sw + info.filterWidth;
  const padded = padOrCrop(x, top, height - info.inHeight - top, left, width - info.inWidth - left);
  const end = [n, i + (oh - 1) * sh + 1, j + (ow - 1) * sw + 1, c];
  return tf.stridedSlice(padded, [0, i, j, 0], end, [1, sh, sw, 1]).reshape([n * oh * ow, c]);
}

/** dW of a convolution: for each tap the pixels under it, transposed, times dy. */
function filterGradientByTaps(x: tf.Tensor4D, dy: tf.Tensor4D, info: ConvInfo): tf.Tensor {
  const flat = dy.reshape<tf.Tensor2D>([-1, info.outChannels]);
  const taps: tf.Tensor[] = [];
  for (let i = 0; i < info.filterHeight; i++) {
    for (let j = 0; j < info.filterWidth; j++) taps.push(tf.matMul(underTap(x, info, i, j), flat, true));
  }
  return tf.stack(taps).reshape(info.filterShape as Rank4Shape);
}

type Rank4Shape = [number, number, number, number];

/** The same as one product: all taps' pixels beside each other. */
function filterGradientByColumns(x: tf.Tensor4D, dy: tf.Tensor4D, info: ConvInfo): tf.Tensor {
  const columns: tf.Tensor2D[] = [];
  for (let i = 0; i < info.filterHeight; i++) {
    for (let j = 0; j < info.filterWidth; j++) columns.push(underTap(x, info, i, j));
  }
  const pixels = columns.length === 1 ? columns[0] : tf.concat(columns, 1);
  const flat = dy.reshape<tf.Tensor2D>([-1, info.outChannels]);
  return tf.matMul(pixels, flat, true).reshape(info.filterShape as Rank4Shape);
}

/** dx of a 1x1 convolution of stride 1: a matrix product. */
function inputGradientByProduct(dy: tf.Tensor4D, filter: tf.Tensor4D, info: ConvInfo): tf.Tensor {
  const flat = dy.reshape<tf.Tensor2D>([-1, info.outChannels]);
  const weights = filter.reshape<tf.Tensor2D>([info.inChannels, info.outChannels]);
  return tf.matMul(flat, weights, false, true).reshape(info.inShape as Rank4Shape);
}

interface Way {
  readonly what: string;
  readonly way: string;
  readonly run: () => tf.Tensor;
}

function ways(layer: Layer, x: tf.Tensor4D, filter: tf.Tensor4D, dy: tf.Tensor4D, info: ConvInfo): Way[] {
  const { depthwise, stride, window } = layer;
  const attrs: ConvAttributes = { strides: stride, pad: 'same', dataFormat: 'NHWC', dilations: 1 };
  const kernel = depthwise ? 'DepthwiseConv2dNative' : 'Conv2D';
  const filterGradient = (way: string, run: () => tf.Tensor): Way => ({ what: 'filter gradient', way, run });
  const inputGradient = (way: string, run: () => tf.Tensor): Way => ({ what: 'input gradient', way, run });
  const recastFilter = depthwise ? recastDepthwiseFilterGradient : recastFilterGradient;
  const recastInput = depthwise ? recastDepthwiseInputGradient : recastInputGradient;
  const list = [
    filterGradient('tfjs', () =>
      runKernel(`${kernel}BackpropFilter`, { x, dy }, { ...attrs, filterShape: filter.shape }),
    ),
    filterGradient('recast', () => recastFilter(x, dy, info)),
    inputGradient('tfjs', () =>
      runKernel(`${kernel}BackpropInput`, { dy, filter }, { ...attrs, inputShape: x.shape }),
    ),
    inputGradient('recast', () => recastInput(dy, filter, info)),
  ];
  if (depthwise) return list;
  list.push(
    filterGradient('a product for each tap', () => filterGradientByTaps(x, dy, info)),
    filterGradient('one product', () => filterGradientByColumns(x, dy, info)),
  );
  if (window === 1 && stride === 1) {
    list.push(inputGradient('one product', () => inputGradientByProduct(dy, filter, info)));
  }
  return list;
}

/** Milliseconds of one call: several are queued, and one value of the last is waited for. */
async function time(run: () => tf.Tensor, calls: number): Promise<number> {
  const started = performance.now();
  const last = tf.tidy(() => {
    for (let i = 1; i < calls; i++) run().dispose();
    return tf.slice(run().flatten(), 0, 1);
  });
  await last.data();
  last.dispose();
  return (performance.now() - started) / calls;
}

async function measure(layer: Layer, rounds: number): Promise<Measured[]> {
  const { depthwise, batch, side, from, to, window, stride } = layer;
  const shape: Rank4Shape = [batch, side, side, from];
  const filterShape: Rank4Shape = [window, window, from, depthwise ? 1 : to];
  const info = convInfo(shape, filterShape, { strides: stride, pad: 'same' }, depthwise);
  const name = `${depthwise ? 'depthwise ' : ''}${window}x${window}, ${batch}x${side}x${side}x${from} to ${to}, stride ${stride}`;
  const tensor = (of: Rank4Shape, seed: string): tf.Tensor4D =>
    tf.tensor4d(normals(tf.util.sizeFromShape(of), seed), of);
  const x = tensor(shape, 'x');
  const filter = tensor(filterShape, 'filter');
  const dy = tensor(info.outShape as Rank4Shape, 'dy');
  const list = ways(layer, x, filter, dy, info);
  const times = list.map((): number[] => []);
  const problems = list.map((): string | undefined => undefined);
  const expected = new Map<string, { shape: string; numbers: ArrayLike<number> }>();
  for (const [i, { what, run }] of list.entries()) {
    try {
      const result = tf.tidy(run);
      const values = { shape: `[${result.shape}]`, numbers: await result.data() };
      result.dispose();
      if (!expected.has(what)) expected.set(what, values);
      const check = compare(name, what, values, expected.get(what)!, 1e-3);
      if (!check.ok) problems[i] = `differs: ${check.problem}`;
    } catch (error) {
      problems[i] = error instanceof Error ? error.message : String(error);
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (const i of rotated(list.length, round)) {
      if (problems[i] === undefined) times[i].push(await time(list[i].run, 5));
    }
  }
  tf.dispose([x, filter, dy]);
  return list.map(({ what, way }, i): Measured => {
    const problem = problems[i];
    return problem === undefined
      ? { layer: name, what, way, time: spread(times[i]) }
      : { layer: name, what, way, problem };
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'string' },
      rounds: { type: 'string', default: '5' },
      batch: { type: 'string', default: '32' },
      tiny: { type: 'boolean', default: false },
    },
  });
  console.log((await useBackend({ backend: 'webgpu' })).line);
  const measured: Measured[] = [];
  for (const layer of layers(Number(values.batch), values.tiny)) {
    const rows = await measure(layer, Number(values.rounds));
    measured.push(...rows);
    console.log(`\n${rows[0].layer}`);
    const shown = rows.map(({ what, way, time: taken, problem }) => ({
      what,
      way,
      ms: taken ? taken.median.toFixed(3) : '-',
      'least-most': taken ? `${taken.min.toFixed(3)}-${taken.max.toFixed(3)}` : (problem ?? ''),
    }));
    console.log(table(shown).text());
    if (values.json) fs.writeFileSync(values.json, JSON.stringify(measured, null, 1));
  }
  process.exit(0); // Dawn would hold the process
}

void main();
