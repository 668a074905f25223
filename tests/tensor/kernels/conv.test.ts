import { describe, expect, it } from 'vitest';
import { conv2d, depthwiseConv2d } from '../../../lib/tensor/kernels/conv';
import { tf } from '../../../lib/tensor/tf';
import { backends, expectClose, expectNoLeak, normals, on } from './backends';
import { type Geometry, outputSize, scalarConvolution } from './scalar';

const base: Geometry = {
  batch: 2,
  height: 7,
  width: 6,
  channels: 3,
  out: 4,
  window: [3, 3],
  stride: 1,
  dilation: 1,
  padding: [1, 1, 1, 1],
};

const cases: Record<string, Partial<Geometry>> = {
  '3x3, padding 1': {},
  '3x3, no padding': { padding: [0, 0, 0, 0] },
  '1x1': { window: [1, 1], padding: [0, 0, 0, 0] },
  '1x1, stride 2': { window: [1, 1], stride: 2, padding: [0, 0, 0, 0] },
  '1x1, padding 1 (as wide as nothing needs)': { window: [1, 1], padding: [1, 1, 1, 1] },
  '3x3, stride 2, padding 1': { stride: 2 },
  '3x3, stride 2, padding 1, even height': { stride: 2, height: 8 },
  '3x3, stride 2, padding as TensorFlow says same': { stride: 2, padding: [1, 1, 0, 1] },
  '3x3, stride 2, no padding, a row and a column unused': { stride: 2, height: 8, padding: [0, 0, 0, 0] },
  '7x7, stride 2, padding 3': { window: [7, 7], stride: 2, padding: [3, 3, 3, 3], height: 11, width: 9 },
  '2x2, stride 3 (pixels between the windows)': { window: [2, 2], stride: 3, padding: [0, 0, 0, 0] },
  '3x3, stride 3, padding 1': { stride: 3 },
  '3x3, dilation 2, padding 2': { dilation: 2, padding: [2, 2, 2, 2] },
  '3x3, dilation 6, padding 6 (SSD fc6)': { dilation: 6, padding: [6, 6, 6, 6], height: 9, width: 10 },
  '3x3, dilation 2, uneven padding': { dilation: 2, padding: [0, 1, 2, 3] },
  '3x2 window, uneven padding': { window: [3, 2], padding: [2, 0, 0, 1] },
  '1x5 window': { window: [1, 5], padding: [0, 0, 2, 2] },
  'one image, one channel': { batch: 1, channels: 1, out: 1 },
};

describe.each(backends)('convolutions on %s', (backend) => {
  on(backend);

  describe.each([
    ['conv2d', false],
    ['depthwiseConv2d', true],
  ] as const)('%s', (_, depthwise) => {
    it.each(Object.keys(cases))('%s', (key) => {
      const g: Geometry = { ...base, out: depthwise ? 2 : 4, ...cases[key] };
      const [oh, ow] = outputSize(g);
      const shapes = {
        x: [g.batch, g.height, g.width, g.channels] as [number, number, number, number],
        w: [...g.window, g.channels, g.out] as [number, number, number, number],
        y: [g.batch, oh, ow, depthwise ? g.channels * g.out : g.out] as [number, number, number, number],
      };
      const size = (s: number[]): number => s.reduce((a, b) => a * b, 1);
      const [x, w, dy] = [
        normals(size(shapes.x), 'x'),
        normals(size(shapes.w), 'w'),
        normals(size(shapes.y), 'dy'),
      ];
      const expected = scalarConvolution(g, x, w, dy, depthwise);
      const f = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
        (depthwise ? depthwiseConv2d : conv2d)(a as tf.Tensor4D, b as tf.Tensor4D, g);
      tf.tidy(() => {
        const [a, b] = [tf.tensor(x, shapes.x), tf.tensor(w, shapes.w)];
        const y = f(a, b);
        expect(y.shape).toEqual(shapes.y);
        expectClose(y.dataSync(), expected.y, 1e-5, 'value');
        const [da, db] = tf.grads(f)([a, b], tf.tensor(dy, shapes.y));
        expectClose(da.dataSync(), expected.dx, 1e-5, 'gradient in x');
        expectClose(db.dataSync(), expected.dw, 1e-5, 'gradient in the filter');
      });
    });
  });

  it.each([
    ['conv2d', false, '3x3, stride 2, padding 1', [2, 7, 6, 3]],
    ['conv2d', false, 'one image, one channel', [1, 7, 6, 1]],
    ['depthwiseConv2d', true, '3x3, padding 1', [2, 7, 6, 3]],
  ] as const)('%s with a bias: value, and gradients in all three', (_, depthwise, key, shape) => {
    const g: Geometry = { ...base, ...cases[key] };
    const [oh, ow] = outputSize(g);
    const channels = depthwise ? g.channels * g.out : g.out;
    const size = (s: readonly number[]): number => s.reduce((a, b) => a * b, 1);
    const x = normals(size(shape), 'x');
    const [w, bias] = [normals(9 * g.channels * g.out, 'w'), normals(channels, 'b')];
    const dy = normals(g.batch * oh * ow * channels, 'dy');
    const expected = scalarConvolution(g, x, w, dy, depthwise);
    const sums = new Float64Array(channels);
    dy.forEach((d, i) => (sums[i % channels] += d));
    const f = (a: tf.Tensor, b: tf.Tensor, c: tf.Tensor): tf.Tensor =>
      (depthwise ? depthwiseConv2d : conv2d)(a as tf.Tensor4D, b as tf.Tensor4D, {
        ...g,
        bias: c as tf.Tensor1D,
      });
    tf.tidy(() => {
      const inputs = [
        tf.tensor(x, [...shape]),
        tf.tensor(w, [3, 3, g.channels, g.out]),
        tf.tensor1d(bias),
      ] as const;
      const y = f(...inputs);
      expectClose(
        y.dataSync(),
        expected.y.map((v, i) => v + bias[i % channels]),
        1e-5,
        'value',
      );
      const gradients = tf.grads(f)([...inputs], tf.tensor(dy, y.shape));
      [expected.dx, expected.dw, sums].forEach((values, i) =>
        expectClose(gradients[i].dataSync(), values, 1e-5, `gradient ${i}`),
      );
    });
  });

  it('the gradient of a sum that a bias was added to twice stays whole', () => {
    tf.tidy(() => {
      const x = tf.tensor4d(normals(24, 'x'), [1, 2, 4, 3]);
      const [one, two] = [tf.tensor1d([1, 2, 3]), tf.tensor1d([4, 5, 6])];
      const unit = tf.eye(3).reshape<tf.Tensor4D>([1, 1, 3, 3]);
      const dy = tf.ones([1, 2, 4, 3]);
      const f = (a: tf.Tensor): tf.Tensor =>
        tf.add(conv2d(a as tf.Tensor4D, unit, { bias: one }), conv2d(a as tf.Tensor4D, unit, { bias: two }));
      expectClose(tf.grad(f)(x, dy).dataSync(), new Array(24).fill(2), 1e-6, 'gradient');
      expect(dy.isDisposed).toBe(false);
    });
  });

  it('refuses a bias of another length, naming both', () => {
    tf.tidy(() => {
      const [x, w] = [tf.ones<tf.Rank.R4>([1, 4, 4, 1]), tf.ones<tf.Rank.R4>([2, 2, 1, 5])];
      expect(() => conv2d(x, w, { bias: tf.ones([4]) })).toThrow(
        /bias has shape \[4\], but .* has 5 channels/,
      );
    });
  });

  it('multiplier 1 depthwise', () => {
    const g: Geometry = { ...base, out: 1, stride: 2 };
    const [oh, ow] = outputSize(g);
    const [x, w, dy] = [normals(2 * 7 * 6 * 3, 1), normals(27, 2), normals(2 * oh * ow * 3, 3)];
    const expected = scalarConvolution(g, x, w, dy, true);
    tf.tidy(() => {
      const f = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
        depthwiseConv2d(a as tf.Tensor4D, b as tf.Tensor4D, g);
      const inputs = [tf.tensor(x, [2, 7, 6, 3]), tf.tensor(w, [3, 3, 3, 1])];
      const [da, db] = tf.grads(f)(inputs, tf.tensor(dy, [2, oh, ow, 3]));
      expectClose(da.dataSync(), expected.dx, 1e-5, 'gradient in x');
      expectClose(db.dataSync(), expected.dw, 1e-5, 'gradient in the filter');
    });
  });

  it('plain tf.conv2d differentiates with a dilation and with a number for its padding', () => {
    if (backend === 'tensorflow') return; // its forward kernel knows no number; conv2d turns it into explicit padding
    tf.tidy(() => {
      const [x, w] = [
        tf.tensor(normals(2 * 7 * 6 * 3, 1), [2, 7, 6, 3]),
        tf.tensor(normals(108, 2), [3, 3, 3, 4]),
      ];
      const plain = tf.grads((a, b) => tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, 2, 'NHWC', 2).sum())([
        x,
        w,
      ]);
      const own = tf.grads((a, b) =>
        conv2d(a as tf.Tensor4D, b as tf.Tensor4D, { padding: 2, dilation: 2 }).sum(),
      )([x, w]);
      plain.forEach((gradient, i) =>
        expectClose(gradient.dataSync(), own[i].dataSync(), 1e-6, `gradient ${i}`),
      );
    });
  });

  it.each(['3x3, padding 1', '3x3, stride 2, padding 1', '3x3, dilation 2, padding 2'])(
    'leaks nothing: %s',
    (key) => {
      const g: Geometry = { ...base, ...cases[key] };
      expectNoLeak(() => {
        const x = tf.ones<tf.Rank.R4>([g.batch, g.height, g.width, g.channels]);
        const [w, d] = [
          tf.ones<tf.Rank.R4>([3, 3, g.channels, 4]),
          tf.ones<tf.Rank.R4>([3, 3, g.channels, 2]),
        ];
        tf.dispose(tf.grads((a, b) => conv2d(a as tf.Tensor4D, b as tf.Tensor4D, g).sum())([x, w]));
        tf.dispose(tf.grads((a, b) => depthwiseConv2d(a as tf.Tensor4D, b as tf.Tensor4D, g).sum())([x, d]));
        const bias = tf.ones<tf.Rank.R1>([4]);
        tf.dispose(tf.grad((a) => conv2d(x, w, { ...g, bias: a as tf.Tensor1D }).sum())(bias));
        tf.dispose([x, w, d, bias]);
      });
    },
  );
});

describe('padding', () => {
  it('must be whole numbers', () => {
    const [x, w] = [tf.ones<tf.Rank.R4>([1, 4, 4, 1]), tf.ones<tf.Rank.R4>([2, 2, 1, 1])];
    expect(() => conv2d(x, w, { padding: 0.5 })).toThrow(/padding 0.5 must be whole numbers/);
    expect(() => conv2d(x, w, { padding: -1 })).toThrow(/padding -1/);
  });
});
