/** Elementwise functions, sums, normalisation and copies large enough to be cut into pieces and threads, against plain loops. */
import { beforeAll, describe, expect, it } from 'vitest';
import { useBackend } from '../../../../lib/tensor/backend';
import { relu, relu6, sigmoid, swish } from '../../../../lib/tensor/kernels/activations';
import { batchNormTraining } from '../../../../lib/tensor/kernels/batch-norm';
import { maxPool2d } from '../../../../lib/tensor/kernels/pool';
import { tf } from '../../../../lib/tensor/tf';
import { expectClose, expectNoLeak, normals } from '../backends';

beforeAll(async () => {
  process.env.DETLAB_THREADS = '3';
  await useBackend({ backend: 'wasm' });
});

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Asserts the same values to the bit; a comparison of large arrays that tells each difference would take minutes. */
function expectSame(actual: tf.Tensor, expected: ArrayLike<number> | tf.Tensor, what: string): void {
  const values = expected instanceof tf.Tensor ? expected.dataSync() : expected;
  const found = actual.dataSync();
  expect(found.length, what).toBe(values.length);
  const different = Array.from(values).findIndex((value, i) => value !== found[i]);
  expect(different, `${what}: differs there`).toBe(-1);
}

/** Visits the indices of a shape in order. */
function* indices(shape: readonly number[]): Generator<number[]> {
  const index = shape.map(() => 0);
  for (let i = 0; i < sizeOf(shape); i++) {
    yield index;
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
  }
}

/** Where an index lies in a tensor that is broadcast. */
function offset(shape: readonly number[], index: readonly number[]): number {
  const first = index.length - shape.length;
  return shape.reduce((at, size, axis) => at * size + (size === 1 ? 0 : index[axis + first]), 0);
}

describe('functions of two tensors', () => {
  const functions: Record<
    string,
    [(a: tf.Tensor, b: tf.Tensor) => tf.Tensor, (a: number, b: number) => number]
  > = {
    add: [tf.add, (a, b) => a + b],
    sub: [tf.sub, (a, b) => a - b],
    mul: [tf.mul, (a, b) => a * b],
    div: [tf.div, (a, b) => a / b],
    maximum: [tf.maximum, Math.max],
    minimum: [tf.minimum, Math.min],
  };
  const shapes: [number[], number[]][] = [
    [[70_001], [70_001]],
    [
      [3, 5, 7],
      [3, 5, 7],
    ],
    [[40_003], []],
    [[], [40_003]],
    [[], []],
    [[1, 1], [1]],
    [[2, 9, 9, 130], [130]],
    [[7], [3, 11, 7]],
    [
      [3, 10, 11, 24],
      [3, 1, 1, 24],
    ],
    [
      [3, 40, 1],
      [3, 40, 21],
    ],
    [
      [3, 1, 5],
      [1, 4, 1],
    ],
    [
      [300, 1],
      [1, 301],
    ],
    [
      [2, 3, 1, 5, 2],
      [2, 1, 4, 5, 1],
    ],
    [[0, 3], [3]],
    [
      [5, 2, 1, 3, 1, 2],
      [1, 2, 4, 1, 3, 1],
    ],
  ];
  it.each(Object.keys(functions))('%s', (name) => {
    const [f, reference] = functions[name];
    for (const [aShape, bShape] of shapes) {
      tf.tidy(() => {
        const [a, b] = [normals(sizeOf(aShape), 'a'), normals(sizeOf(bShape), 'b')];
        const y = f(tf.tensor(a, aShape), tf.tensor(b, bShape));
        const expected = new Float32Array(y.size);
        let at = 0;
        for (const index of indices(y.shape))
          expected[at++] = reference(a[offset(aShape, index)], b[offset(bShape, index)]);
        expect(y.shape).toEqual(tf.backend_util.assertAndGetBroadcastShape(aShape, bShape));
        expectSame(y, expected, `[${aShape}] and [${bShape}]`);
      });
    }
  });

  it.each([
    ['equal', (a: number, b: number) => a === b],
    ['notEqual', (a: number, b: number) => a !== b],
    ['less', (a: number, b: number) => a < b],
    ['lessEqual', (a: number, b: number) => a <= b],
    ['greater', (a: number, b: number) => a > b],
    ['greaterEqual', (a: number, b: number) => a >= b],
  ] as const)('%s, of floats and of whole numbers', (name, reference) => {
    for (const dtype of ['float32', 'int32'] as const) {
      for (const [aShape, bShape] of shapes) {
        tf.tidy(() => {
          const [a, b] = [aShape, bShape].map((shape, i) => normals(sizeOf(shape), `${i}`).map(Math.round));
          const y = tf[name](tf.tensor(a, aShape, dtype), tf.tensor(b, bShape, dtype));
          const expected = new Float32Array(y.size);
          let at = 0;
          for (const index of indices(y.shape))
            expected[at++] = Number(reference(a[offset(aShape, index)], b[offset(bShape, index)]));
          expect(y.dtype).toBe('bool');
          expectSame(y, expected, `${dtype} [${aShape}] and [${bShape}]`);
        });
      }
    }
  });

  it('comparisons of what is no number, of large whole numbers, of truth values', () => {
    tf.tidy(() => {
      const x = tf.tensor1d([NaN, 1, NaN, Infinity, -0]);
      const y = tf.tensor1d([NaN, NaN, 1, Infinity, 0]);
      expect(Array.from(tf.equal(x, y).dataSync())).toEqual([0, 0, 0, 1, 1]);
      expect(Array.from(tf.notEqual(x, y).dataSync())).toEqual([1, 1, 1, 0, 0]);
      expect(Array.from(tf.lessEqual(x, y).dataSync())).toEqual([0, 0, 0, 1, 1]);
      const large = tf.tensor1d([2 ** 31 - 1, -(2 ** 31), 16_777_217], 'int32');
      const other = tf.tensor1d([2 ** 31 - 2, 2 ** 31 - 1, 16_777_216], 'int32');
      expect(Array.from(tf.greater(large, other).dataSync())).toEqual([1, 0, 1]);
      expect(Array.from(tf.equal(tf.tensor1d([true, false]), tf.tensor1d([true, true])).dataSync())).toEqual([
        1, 0,
      ]);
    });
  });

  it('of other types', () => {
    tf.tidy(() => {
      const [a, b] = [tf.tensor1d([7, -7, 3], 'int32'), tf.tensor1d([2, 2, 2], 'int32')];
      expect(Array.from(tf.add(a, b).dataSync())).toEqual([9, -5, 5]);
      expect(tf.mul(a, b).dtype).toBe('int32');
      expect(Array.from(tf.maximum(a, 0.5).dataSync())).toEqual([7, 0.5, 3]);
    });
  });
});

describe('activations', () => {
  const logistic = (x: number): number => 1 / (1 + Math.exp(-x));
  const functions: Record<
    string,
    [(x: tf.Tensor) => tf.Tensor, (x: number) => number, (x: number) => number]
  > = {
    relu: [relu, (x) => Math.max(0, x), (x) => (x > 0 ? 1 : 0)],
    relu6: [relu6, (x) => Math.min(6, Math.max(0, x)), (x) => (x > 0 && x < 6 ? 1 : 0)],
    sigmoid: [sigmoid, logistic, (x) => logistic(x) * (1 - logistic(x))],
    swish: [swish, (x) => x * logistic(x), (x) => logistic(x) * (1 + x * (1 - logistic(x)))],
  };
  it.each(Object.keys(functions))('%s and its gradient', (name) => {
    const [f, value, slope] = functions[name];
    for (const count of [1, 3, 4, 4097, 50_003]) {
      tf.tidy(() => {
        const x = normals(count, 'x').map((v) => v * 5);
        const dy = normals(count, 'dy');
        const t = tf.tensor1d(x);
        expectClose(f(t).dataSync(), Array.from(x, value), 1e-6, 'value');
        const expected = Array.from(x, (v, i) => slope(v) * dy[i]);
        expectClose(
          tf
            .grad((a) => f(a))(t, tf.tensor1d(dy))
            .dataSync(),
          expected,
          1e-6,
          'gradient',
        );
      });
    }
  });

  it('exp, over its whole range', () => {
    tf.tidy(() => {
      const x = tf.range(-103.9, 88.7, 0.013);
      const y = tf.exp(x).dataSync();
      const worst = Array.from(x.dataSync(), (v, i) => {
        // below the smallest normal number, digits are lost
        const unit = Math.max(2 ** -149, Math.exp(v) * 2 ** -23);
        return Math.abs(y[i] - Math.exp(v)) / unit;
      }).reduce((a, b) => Math.max(a, b), 0);
      expect(worst).toBeLessThan(2);
      const ends = tf.exp(tf.tensor1d([-Infinity, -1e30, -104, 0, 89, 1e30, Infinity, NaN]));
      expect(Array.from(ends.dataSync())).toEqual([0, 0, 0, 1, Infinity, Infinity, Infinity, NaN]);
    });
  });

  it('far out, and of what is no number', () => {
    tf.tidy(() => {
      const x = tf.tensor1d([-Infinity, -1e30, -100, -88, 0, 88, 100, 1e30, Infinity]);
      expectClose(sigmoid(x).dataSync(), [0, 0, 0, 0, 0.5, 1, 1, 1, 1], 1e-30, 'sigmoid');
      expect(sigmoid(tf.tensor1d([NaN])).dataSync()[0]).toBeNaN();
      expect(relu(tf.tensor1d([NaN])).dataSync()[0]).toBeNaN();
      expect(relu6(tf.tensor1d([NaN])).dataSync()[0]).toBeNaN();
      const signs = tf.sign(
        tf.tensor1d([-Infinity, -2, -1e-8, -1e-38, -0, 0, 1e-38, 1e-8, 3, Infinity, NaN]),
      );
      expect([...signs.dataSync()]).toEqual([-1, -1, -1, -1, 0, 0, 1, 1, 1, 1, NaN]);
      const steps = tf.range(-80, 80, 0.37);
      const relative = tf.div(sigmoid(steps), tf.tensor1d(Array.from(steps.dataSync(), logistic)));
      expectClose(relative.dataSync(), Array<number>(steps.size).fill(1), 1e-6, 'relative error');
    });
  });
});

describe('sums, means and maxima', () => {
  const cases: [number[], number | number[]][] = [
    [[70_001], 0],
    [[5], 0],
    [[3, 9_001], [1]],
    [[3, 9_001], [0]],
    [
      [2, 30, 31, 24],
      [0, 1, 2],
    ],
    [
      [2, 30, 31, 24],
      [1, 2],
    ],
    [[4, 700, 6], [-2]],
    [
      [4, 700, 5],
      [0, 2],
    ],
    [
      [40, 7, 3],
      [0, 1],
    ],
    [
      [40, 7, 3],
      [0, 1, 2],
    ],
    [[2, 3], []],
    [[0, 3], [0]],
  ];
  it.each(cases)('of %j over %j', (shape, axis) => {
    tf.tidy(() => {
      const x = normals(sizeOf(shape), 'x').map((v) => v + 0.5);
      const axes = [axis].flat().map((a) => (a < 0 ? a + shape.length : a));
      const kept = shape.map((size, a) => (axes.includes(a) ? 1 : size));
      const expected = new Float64Array(sizeOf(kept));
      let at = 0;
      for (const index of indices(shape)) expected[offset(kept, index)] += x[at++];
      const t = tf.tensor(x, shape);
      const sum = tf.sum(t, axis, true);
      expect(sum.shape).toEqual(kept);
      expect(tf.sum(t, axis).shape).toEqual(shape.filter((_, a) => !axes.includes(a)));
      expectClose(sum.dataSync(), expected, 3e-7, 'sum');
      if (x.length > 0) {
        const maxima = new Float32Array(sizeOf(kept)).fill(-Infinity);
        at = 0;
        for (const index of indices(shape)) {
          const to = offset(kept, index);
          maxima[to] = Math.max(maxima[to], x[at++]);
        }
        expectSame(tf.max(t, axis), maxima, 'maximum');
      }
      const count = sizeOf(shape) / sizeOf(kept);
      if (count > 0)
        expectClose(
          tf.mean(t, axis).dataSync(),
          expected.map((v) => v / count),
          3e-7,
          'mean',
        );
    });
  });

  it('of other types', () => {
    tf.tidy(() => {
      expect(Array.from(tf.sum(tf.ones([3, 5], 'int32'), 0).dataSync())).toEqual([3, 3, 3, 3, 3]);
      expect(tf.sum(tf.ones([3, 5], 'bool')).dtype).toBe('int32');
    });
  });
});

describe('batch normalisation', () => {
  it.each([
    [3000, 4],
    [257, 7],
    [600, 30],
    [1, 5],
    [256, 17],
  ])('of %d rows of %d channels', (rows, channels) => {
    tf.tidy(() => {
      const size = rows * channels;
      const x = normals(size, 'x').map((v, i) => v * 3 + 200 * (i % channels));
      const [dy, scale, bias] = [normals(size, 'dy'), normals(channels, 's'), normals(channels, 'b')];
      const column = (c: number): number[] => Array.from({ length: rows }, (_, r) => r * channels + c);
      const sum = (at: number[], f: (i: number) => number): number => at.reduce((s, i) => s + f(i), 0);
      const expected = { y: new Float64Array(size), dx: new Float64Array(size) };
      const perChannel = Array.from({ length: channels }, (_, c) => {
        const at = column(c);
        const mean = sum(at, (i) => x[i]) / rows;
        const variance = sum(at, (i) => (x[i] - mean) ** 2) / rows;
        const inverse = 1 / Math.sqrt(variance + 1e-3);
        const hat = (i: number): number => (x[i] - mean) * inverse;
        const [dScale, dBias] = [sum(at, (i) => dy[i] * hat(i)), sum(at, (i) => dy[i])];
        for (const i of at) {
          expected.y[i] = hat(i) * scale[c] + bias[c];
          expected.dx[i] = scale[c] * inverse * (dy[i] - dBias / rows - (hat(i) * dScale) / rows);
        }
        return { mean, variance, dScale, dBias };
      });
      const input = tf.tensor4d(x, [1, 1, rows, channels]);
      const vectors = [tf.tensor1d(scale), tf.tensor1d(bias)] as const;
      const { output, mean, variance } = batchNormTraining(input, ...vectors, 1e-3);
      const [dx, dScale, dBias] = tf.grads(
        (a, s, b) => batchNormTraining(a as tf.Tensor4D, s as tf.Tensor1D, b as tf.Tensor1D, 1e-3).output,
      )([input, ...vectors], tf.tensor4d(dy, [1, 1, rows, channels]));
      // the input itself is rounded: a mean of 200 c leaves that many digits less
      const tolerance = 2e-6 * channels;
      expectClose(output.dataSync(), expected.y, 10 * tolerance, 'value');
      expectClose(
        mean.dataSync(),
        perChannel.map((c) => c.mean),
        1e-6,
        'mean',
      );
      expectClose(
        variance.dataSync(),
        perChannel.map((c) => c.variance),
        tolerance,
        'variance',
      );
      expectClose(dx.dataSync(), expected.dx, 10 * tolerance, 'gradient in x');
      expectClose(
        dScale.dataSync(),
        perChannel.map((c) => c.dScale),
        10 * tolerance,
        'gradient in scale',
      );
      expectClose(
        dBias.dataSync(),
        perChannel.map((c) => c.dBias),
        tolerance,
        'gradient in offset',
      );
    });
  });
});

describe('copies', () => {
  it.each([
    [
      [300, 2],
      [1, 0],
    ],
    [
      [2, 30, 40, 16],
      [0, 2, 1, 3],
    ],
    [
      [2, 30, 40, 16],
      [3, 1, 2, 0],
    ],
    [
      [40, 50, 60],
      [2, 0, 1],
    ],
    [
      [2, 3, 4, 5, 6, 7],
      [5, 3, 1, 0, 2, 4],
    ],
    [[100_003], [0]],
    [
      [7, 1, 9],
      [1, 2, 0],
    ],
  ])('transpose %j by %j', (shape, permutation) => {
    tf.tidy(() => {
      for (const dtype of ['float32', 'int32', 'bool'] as const) {
        const values = Array.from({ length: sizeOf(shape) }, (_, i) =>
          dtype === 'bool' ? (i * 7) % 3 === 0 : i,
        );
        const y = tf.transpose(tf.tensor(values as number[], shape, dtype), permutation);
        expect(y.dtype).toBe(dtype);
        const expected: number[] = [];
        for (const index of indices(y.shape)) {
          const source = shape.map((_, axis) => index[permutation.indexOf(axis)]);
          expected.push(
            Number(
              values[
                offset(
                  shape,
                  source.map((v, a) => (shape[a] === 1 ? 0 : v)),
                )
              ],
            ),
          );
        }
        expectSame(y, expected, dtype);
      }
    });
  });

  it.each([
    [
      [2, 1, 1, 24],
      [1, 9, 11, 1],
    ],
    [
      [3, 5],
      [2, 3],
    ],
    [[7], [1000]],
    [
      [2, 3, 2, 3],
      [3, 2, 1, 2],
    ],
    [
      [2, 3],
      [1, 1],
    ],
  ])('tile %j by %j', (shape, reps) => {
    tf.tidy(() => {
      for (const dtype of ['float32', 'int32', 'bool'] as const) {
        const values = Array.from({ length: sizeOf(shape) }, (_, i) => (dtype === 'bool' ? i % 3 === 0 : i));
        const y = tf.tile(tf.tensor(values as number[], shape, dtype), reps);
        expect(y.shape).toEqual(shape.map((length, axis) => length * reps[axis]));
        const expected: number[] = [];
        for (const index of indices(y.shape)) {
          const source = index.map((i, axis) => i % shape[axis]);
          expected.push(Number(values[source.reduce((at, i, axis) => at * shape[axis] + i, 0)]));
        }
        expectSame(y, expected, dtype);
      }
    });
  });

  it('slices, stacks, takes apart and joins large tensors', () => {
    tf.tidy(() => {
      const x = tf.tensor3d(normals(70 * 60 * 50, 'x'), [70, 60, 50]);
      for (const axis of [0, 1, 2, -1]) {
        const parts = tf.unstack(x, axis);
        expect(parts.length).toBe(x.shape.at(axis));
        expectSame(tf.stack(parts, axis), x, `stack ${axis}`);
        const halves = tf.split(x, 2, axis);
        expectSame(tf.concat(halves, axis), x, `concat ${axis}`);
        expectSame(parts[3], tf.gather(x, 3, axis < 0 ? axis + 3 : axis), `unstack ${axis}`);
      }
      expectSame(tf.slice(x, [0, 0, 0], [70, 60, 50]), x, 'slice');
    });
  });

  it('a clone is the same memory, and outlives what it was made of', () => {
    const x = tf.tensor1d([1, 2, 3]);
    const before = tf.backend().numDataIds();
    const y = x.clone();
    expect(tf.backend().numDataIds()).toBe(before);
    x.dispose();
    expect(Array.from(y.dataSync())).toEqual([1, 2, 3]);
    y.dispose();
    expect(tf.backend().numDataIds()).toBe(before - 1);
  });

  it('a variable that is assigned anew does not change its clones', () => {
    const variable = tf.variable(tf.tensor1d([1, 2, 3]));
    const clone = variable.clone();
    variable.assign(tf.tensor1d([4, 5, 6]));
    expect(Array.from(clone.dataSync())).toEqual([1, 2, 3]);
    expect(Array.from(variable.dataSync())).toEqual([4, 5, 6]);
    tf.dispose([variable, clone]);
  });
});

it.each([1, 3, 4, 6, 21])(
  'max pooling of %d channels gives each gradient to the first maximum',
  (channels) => {
    tf.tidy(() => {
      const shape: [number, number, number, number] = [3, 11, 9, channels];
      // few different values: many maxima are equal
      const x = normals(sizeOf(shape), 'x').map((v) => Math.round(v));
      const f = (a: tf.Tensor): tf.Tensor =>
        maxPool2d(a as tf.Tensor4D, { kernel: 3, stride: 2, padding: 1 });
      const input = tf.tensor4d(x, shape);
      const y = f(input);
      const dy = normals(y.size, 'dy');
      const expected = new Float64Array(x.length);
      let at = 0;
      for (const [n, p, q, c] of indices(y.shape)) {
        let best = -Infinity;
        let where = -1;
        for (let r = Math.max(0, 2 * p - 1); r < Math.min(11, 2 * p + 2); r++)
          for (let s = Math.max(0, 2 * q - 1); s < Math.min(9, 2 * q + 2); s++) {
            const i = offset(shape, [n, r, s, c]);
            if (x[i] > best) [best, where] = [x[i], i];
          }
        expected[where] += dy[at++];
      }
      const gradient = tf.grad(f)(input as tf.Tensor, tf.tensor(dy, y.shape));
      expectClose(gradient.dataSync(), expected, 1e-6, 'gradient');
    });
  },
);

it('leak nothing', () => {
  const x = tf.tensor4d(normals(4 * 30 * 30 * 16, 'x'), [4, 30, 30, 16]);
  const [scale, bias] = [tf.ones<tf.Rank.R1>([16]), tf.zeros<tf.Rank.R1>([16])];
  expectNoLeak(() => {
    const f = (a: tf.Tensor, s: tf.Tensor, b: tf.Tensor): tf.Tensor => {
      const { output } = batchNormTraining(a as tf.Tensor4D, s as tf.Tensor1D, b as tf.Tensor1D, 1e-3);
      const y = swish(relu(output)).mul(sigmoid(tf.mean(output, [1, 2], true)));
      return tf.concat(
        [tf.transpose(y, [0, 2, 1, 3]), maxPool2d(y as tf.Tensor4D, { kernel: 3, stride: 1, padding: 1 })],
        3,
      );
    };
    tf.dispose(tf.grads(f)([x, scale, bias]));
  });
  tf.dispose([x, scale, bias]);
});
