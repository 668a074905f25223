/** Convolutions large enough to be cut into tiles, pieces and threads, against plain loops in float64. */
import { beforeAll, describe, expect, it } from 'vitest';
import { backendInfo, useBackend } from '../../../../lib/tensor/backend';
import { conv2d, depthwiseConv2d } from '../../../../lib/tensor/kernels/conv';
import { tf } from '../../../../lib/tensor/tf';
import { expectClose, expectNoLeak, normals } from '../backends';
import { type Geometry, outputSize, scalarConvolution } from '../scalar';

beforeAll(async () => {
  process.env.DETLAB_THREADS = '3';
  await useBackend({ backend: 'wasm' });
});

it('runs on several threads', () => {
  expect(backendInfo()?.threads).toBe(3);
  expect(backendInfo()?.line).toContain('(3 threads, SIMD)');
});

const same = (window: number, dilation: number = 1): [number, number, number, number] => {
  const p = ((window - 1) * dilation) / 2;
  return [p, p, p, p];
};

const base: Geometry = {
  batch: 2,
  height: 9,
  width: 11,
  channels: 8,
  out: 16,
  window: [3, 3],
  stride: 1,
  dilation: 1,
  padding: same(3),
};

const full: Record<string, Partial<Geometry>> = {
  'a full panel': {},
  'two panels': { out: 32 },
  ...Object.fromEntries([1, 2, 3, 5, 7, 10, 13, 15, 17, 22, 27, 31].map((out) => [`${out} out`, { out }])),
  'odd channels': { channels: 7, out: 9 },
  'a sum longer than a piece': { channels: 50, out: 20 },
  'a sum of many pieces': { channels: 130, out: 6 },
  'a few channels': { channels: 3, out: 24, stride: 2 },
  '1x1': { window: [1, 1], padding: same(1), channels: 21, out: 37 },
  '1x1, stride 2': { window: [1, 1], padding: same(1), stride: 2, channels: 21, out: 12 },
  '1x1, many channels': { window: [1, 1], padding: same(1), channels: 410, out: 70 },
  '5x5, stride 2': { window: [5, 5], padding: same(5), stride: 2, out: 18 },
  '2x3, uneven padding': { window: [2, 3], padding: [1, 0, 2, 1], out: 18 },
  'stride 3': { stride: 3, out: 18 },
  dilation: { dilation: 2, padding: same(3, 2), out: 18 },
  'more windows than a piece': { batch: 3, height: 13, width: 17, out: 18 },
  'no padding': { padding: [0, 0, 0, 0], out: 18 },
};

const depthwise: Record<string, Partial<Geometry>> = {
  ...Object.fromEntries([4, 5, 6, 7, 16, 58].map((channels) => [`${channels} channels`, { channels }])),
  'few channels, which tfjs does': { channels: 3 },
  'wide rows': { width: 30 },
  'narrow rows': { width: 2 },
  'stride 2': { stride: 2, width: 23 },
  'stride 2, padding as TensorFlow says same': { stride: 2, width: 24, padding: [0, 1, 0, 1] },
  'stride 3': { stride: 3, width: 30 },
  '5x5': { window: [5, 5], padding: same(5), width: 20 },
  '5x5, stride 2': { window: [5, 5], padding: same(5), stride: 2, width: 21 },
  '7x7': { window: [7, 7], padding: same(7), width: 20 },
  '7x7, stride 2': { window: [7, 7], padding: same(7), stride: 2, width: 20 },
  '1x1': { window: [1, 1], padding: same(1) },
  '2x4, uneven padding': { window: [2, 4], padding: [1, 0, 2, 1], width: 14 },
  '9x9, larger than the image': { window: [9, 9], padding: same(9), height: 4, width: 5 },
  dilation: { dilation: 2, padding: same(3, 2), width: 20 },
  'no padding': { padding: [0, 0, 0, 0] },
  'many rows': { batch: 5, height: 12 },
};

describe.each([
  ['conv2d', false, full],
  ['depthwiseConv2d', true, depthwise],
] as const)('%s', (_, isDepthwise, cases) => {
  it.each(Object.keys(cases))('%s', (key) => {
    const g: Geometry = { ...base, ...(isDepthwise ? { out: 1 } : {}), ...cases[key] };
    const [oh, ow] = outputSize(g);
    const shapes = {
      x: [g.batch, g.height, g.width, g.channels],
      w: [...g.window, g.channels, g.out],
      y: [g.batch, oh, ow, isDepthwise ? g.channels * g.out : g.out],
    };
    const [x, w, dy] = Object.entries(shapes).map(([name, shape]) =>
      normals(tf.util.sizeFromShape(shape), name),
    );
    const expected = scalarConvolution(g, x, w, dy, isDepthwise);
    const f = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
      (isDepthwise ? depthwiseConv2d : conv2d)(a as tf.Tensor4D, b as tf.Tensor4D, g);
    const [a, b, d] = [tf.tensor(x, shapes.x), tf.tensor(w, shapes.w), tf.tensor(dy, shapes.y)];
    // several times: each thread gets another share
    for (let round = 0; round < 3; round++) {
      tf.tidy(() => {
        const y = f(a, b);
        expect(y.shape).toEqual(shapes.y);
        expectClose(y.dataSync(), expected.y, 2e-6, 'value');
        const [da, db] = tf.grads(f)([a, b], d);
        expectClose(da.dataSync(), expected.dx, 2e-6, 'gradient in x');
        expectClose(db.dataSync(), expected.dw, 2e-6, 'gradient in the filter');
      });
    }
    expectNoLeak(() => tf.dispose(tf.grads(f)([a, b], d)));
    tf.dispose([a, b, d]);
  });
});

describe('matrix products', () => {
  it.each([
    [17, 5, 33],
    [1, 700, 1],
    [130, 260, 3],
    [64, 321, 48],
    [200, 2, 90],
  ])('%d x %d x %d', (m, k, n) => {
    for (const [transposeA, transposeB] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ]) {
      tf.tidy(() => {
        const [a, b] = [normals(m * k, 'a'), normals(k * n, 'b')];
        const product = tf.matMul(
          tf.tensor2d(a, transposeA ? [k, m] : [m, k]),
          tf.tensor2d(b, transposeB ? [n, k] : [k, n]),
          transposeA,
          transposeB,
        );
        const expected = new Float64Array(m * n);
        for (let i = 0; i < m; i++)
          for (let j = 0; j < n; j++)
            for (let s = 0; s < k; s++)
              expected[i * n + j] +=
                a[transposeA ? s * m + i : i * k + s] * b[transposeB ? j * k + s : s * n + j];
        expectClose(product.dataSync(), expected, 2e-6, `transposed: ${transposeA}, ${transposeB}`);
      });
    }
  });

  it('of nothing', () => {
    tf.tidy(() => {
      expect(tf.matMul(tf.zeros([0, 4]), tf.zeros([4, 3])).shape).toEqual([0, 3]);
      expect(Array.from(tf.matMul(tf.zeros([2, 0]), tf.zeros([0, 3])).dataSync())).toEqual([
        0, 0, 0, 0, 0, 0,
      ]);
    });
  });
});

it('the same sums to the bit, however the work was shared', () => {
  tf.tidy(() => {
    const x = tf.tensor4d(normals(8 * 20 * 20 * 24, 'x'), [8, 20, 20, 24]);
    const w = tf.tensor4d(normals(9 * 24 * 40, 'w'), [3, 3, 24, 40]);
    const f = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
      conv2d(a as tf.Tensor4D, b as tf.Tensor4D, { padding: 1, stride: 2 });
    const read = (): string[] =>
      [f(x, w), ...tf.grads(f)([x, w])].map((t) => Buffer.from(t.dataSync().buffer).toString('base64'));
    const first = read();
    for (let round = 0; round < 5; round++)
      expect(read().map((bytes, i) => bytes === first[i])).toEqual([true, true, true]);
  });
});
