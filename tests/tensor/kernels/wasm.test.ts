import { describe, expect, it } from 'vitest';
import { registerWasmKernels } from '../../../lib/tensor/kernels/wasm/register';
import { tf } from '../../../lib/tensor/tf';
import { backends, expectClose, expectNoLeak, randomTensor, on } from './backends';

describe('registering', () => {
  it('twice changes nothing', () => {
    const names = ['Conv2DBackpropFilter', 'Conv2DBackpropInput', 'BatchMatMul', 'UnsortedSegmentSum'];
    const before = names.map((name) => tf.getKernel(name, 'wasm').kernelFunc);
    registerWasmKernels();
    expect(names.map((name) => tf.getKernel(name, 'wasm').kernelFunc)).toEqual(before);
  });
});

describe.each(backends)('matrix products on %s', (backend) => {
  on(backend);

  const cases = [false, true].flatMap((transposeA) =>
    [false, true].map((transposeB) => ({ transposeA, transposeB })),
  );
  it.each(cases)('%o, of matrices and of batches', ({ transposeA, transposeB }) => {
    for (const batch of [[], [2], [2, 3]]) {
      tf.tidy(() => {
        const aShape = [...batch, ...(transposeA ? [3, 5] : [5, 3])];
        const bShape = [...batch, ...(transposeB ? [4, 3] : [3, 4])];
        const [a, b] = [randomTensor(aShape as [number], 1), randomTensor(bShape as [number], 2)];
        const product = tf.matMul(a, b, transposeA, transposeB);
        const [av, bv] = [a.dataSync(), b.dataSync()];
        const expected: number[] = [];
        for (let m = 0; m < product.size / 20; m++)
          for (let i = 0; i < 5; i++)
            for (let j = 0; j < 4; j++) {
              let sum = 0;
              for (let k = 0; k < 3; k++)
                sum +=
                  av[m * 15 + (transposeA ? k * 5 + i : i * 3 + k)] *
                  bv[m * 12 + (transposeB ? j * 3 + k : k * 4 + j)];
              expected.push(sum);
            }
        expect(product.shape).toEqual([...batch, 5, 4]);
        expectClose(product.dataSync(), expected, 1e-5, `batch [${batch}]`);
      });
    }
  });

  it('leak nothing', () => {
    const [a, b] = [randomTensor<tf.Rank.R2>([3, 5], 1), randomTensor<tf.Rank.R2>([4, 3], 2)];
    expectNoLeak(() => tf.matMul(a, b, true, true).dispose());
    expectNoLeak(() =>
      tf.dispose(tf.grads((x, y) => tf.matMul(x as tf.Tensor2D, y as tf.Tensor2D, true, true))([a, b])),
    );
    tf.dispose([a, b]);
  });
});

describe.each(backends)('slices, splits and concatenations on %s', (backend) => {
  on(backend);
  const count = (size: number): number[] => Array.from({ length: size }, (_, i) => i);

  it.each([
    ['everything', [0, 0, 0], [2, 3, 40]],
    ['one of a batch', [1, 0, 0], [1, 3, 40]],
    ['rows', [0, 1, 0], [2, 2, 40]],
    ['long pieces of rows', [0, 0, 5], [2, 3, 30]],
    ['short pieces of rows', [0, 1, 7], [2, 2, 3]],
    ['one number', [1, 2, 39], [1, 1, 1]],
    ['nothing', [0, 1, 0], [2, 0, 40]],
    ['the rest', [1, 0, 38], [-1, -1, -1]],
  ] as const)('slice: %s', (_, begin, size) => {
    for (const dtype of ['float32', 'int32', 'bool'] as const) {
      tf.tidy(() => {
        const values = count(240).map((i) => (dtype === 'bool' ? i % 3 === 0 : i));
        const x = tf.tensor(values as number[], [2, 3, 40], dtype);
        const expected: (number | boolean)[] = [];
        const end = size.map((s, axis) => (s < 0 ? x.shape[axis] : begin[axis] + s));
        for (let i = begin[0]; i < end[0]; i++)
          for (let j = begin[1]; j < end[1]; j++)
            for (let k = begin[2]; k < end[2]; k++) expected.push(values[(i * 3 + j) * 40 + k]);
        const part = tf.slice(x, [...begin], [...size]);
        expect(part.shape).toEqual(end.map((e, axis) => e - begin[axis]));
        expect(part.dtype).toBe(dtype);
        expect(Array.from(part.dataSync())).toEqual(expected.map(Number));
      });
    }
  });

  it('slices of many axes, of vectors, of strings', () => {
    tf.tidy(() => {
      const x = tf.tensor(count(64), [2, 2, 2, 2, 2, 2]);
      expect(Array.from(tf.slice(x, [1, 0, 1, 0, 1, 0], [1, 2, 1, 1, 1, 2]).dataSync())).toEqual([
        42, 43, 58, 59,
      ]);
      expect(Array.from(tf.slice(tf.tensor1d(count(9)), 3, 4).dataSync())).toEqual([3, 4, 5, 6]);
      expect(tf.slice(tf.tensor1d(['a', 'b', 'c']), 1, 2).dataSync()).toEqual(['b', 'c']);
      expect(() => tf.slice(x, [1, 0, 0, 0, 0, 0], [2, 1, 1, 1, 1, 1])).toThrow();
    });
  });

  it.each([0, 1, 2, -1])('splits along axis %d, and concatenates again', (axis) => {
    tf.tidy(() => {
      for (const inner of [4, 60]) {
        const x = tf.tensor3d(count(4 * 4 * inner), [4, 4, inner]);
        const sizes = [x.shape.at(axis)! - 3, 1, 2];
        const parts = tf.split(x, sizes, axis);
        expect(parts.map((p) => p.shape.at(axis))).toEqual(sizes);
        parts.forEach((part, i) => {
          const begin = [0, 0, 0];
          begin[axis < 0 ? 2 : axis] = sizes.slice(0, i).reduce((a, b) => a + b, 0);
          expect(Array.from(part.dataSync())).toEqual(Array.from(tf.slice(x, begin, part.shape).dataSync()));
        });
        expect(Array.from(tf.concat(parts, axis).dataSync())).toEqual(count(x.size));
        expect(tf.split(x, 2, axis).map((p) => p.size)).toEqual([x.size / 2, x.size / 2]);
      }
    });
  });

  it('concatenates with nothing, strings, and differentiates', () => {
    tf.tidy(() => {
      const x = tf.tensor2d(count(6), [2, 3]);
      expect(Array.from(tf.concat([x, tf.zeros<tf.Rank.R2>([2, 0])], 1).dataSync())).toEqual(count(6));
      expect(tf.concat([tf.tensor1d(['a']), tf.tensor1d(['b', 'c'])]).dataSync()).toEqual(['a', 'b', 'c']);
      const weights = tf.tensor2d([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [2, 5]);
      const f = (a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.concat([a, b], 1).mul(weights).sum();
      const [da, db] = tf.grads(f)([x, tf.ones([2, 2])]);
      expect([da, db].map((d) => Array.from(d.dataSync()))).toEqual([
        [1, 2, 3, 6, 7, 8],
        [4, 5, 9, 10],
      ]);
    });
  });

  it('leak nothing', () => {
    const x = tf.zeros<tf.Rank.R2>([4, 6]);
    expectNoLeak(() => tf.dispose([tf.slice(x, [0, 1], [2, 2]), tf.split(x, 2, 1), tf.concat([x, x], 1)]));
    x.dispose();
  });
});

describe.each(backends)('gather on %s', (backend) => {
  on(backend);

  it('adds up the gradients of a row taken twice', () => {
    tf.tidy(() => {
      const x = randomTensor<tf.Rank.R3>([4, 2, 3], 'x');
      const indices = tf.tensor1d([2, 0, 2], 'int32');
      const dy = randomTensor<tf.Rank.R3>([3, 2, 3], 'dy');
      const gradient = tf
        .grad((a) => tf.gather(a, indices))(x, dy)
        .dataSync();
      const d = dy.dataSync();
      const expected = new Float64Array(24);
      for (let j = 0; j < 6; j++) {
        expected[j] = d[6 + j];
        expected[12 + j] = d[j] + d[12 + j];
      }
      expectClose(gradient, expected, 1e-6, 'gradient');
    });
  });

  it('works along a later axis and with a table of indices', () => {
    tf.tidy(() => {
      const x = randomTensor<tf.Rank.R2>([2, 4], 'x');
      const indices = tf.tensor2d(
        [
          [3, 1],
          [3, 0],
        ],
        [2, 2],
        'int32',
      );
      const gradient = tf
        .grad((a) => tf.gather(a, indices, 1))(x)
        .dataSync();
      expectClose(gradient, [1, 1, 0, 2, 1, 1, 0, 2], 1e-6, 'gradient of the sum');
    });
  });

  it('leaks nothing', () => {
    const [x, indices] = [randomTensor<tf.Rank.R2>([4, 3], 1), tf.tensor1d([1, 1, 3], 'int32')];
    expectNoLeak(() =>
      tf
        .grad((a) => tf.gather(a, indices))(x)
        .dispose(),
    );
    tf.dispose([x, indices]);
  });
});

describe.each(backends)('piecewise constant functions on %s', (backend) => {
  on(backend);

  const half = (x: tf.Tensor): tf.Tensor => tf.fill(x.shape, 0.5);
  const functions: Record<string, (x: tf.Tensor) => tf.Tensor> = {
    greater: (x) => tf.greater(x, half(x)),
    'greater, the other way round': (x) => tf.greater(half(x), x),
    greaterEqual: (x) => tf.greaterEqual(x, half(x)),
    less: (x) => tf.less(x, half(x)),
    lessEqual: (x) => tf.lessEqual(x, half(x)),
    equal: (x) => tf.equal(x, half(x)),
    notEqual: (x) => tf.notEqual(x, half(x)),
    'logical functions': (x) =>
      tf.logicalOr(tf.logicalNot(tf.greater(x, 0)), tf.logicalAnd(tf.less(x, 1), tf.less(x, 2))),
    floor: (x) => tf.floor(x),
    ceil: (x) => tf.ceil(x),
    round: (x) => tf.round(x),
    sign: (x) => tf.sign(x),
    'against a scalar': (x) => tf.greater(x, 0.5),
    argMax: (x) => tf.argMax(x, 0),
  };

  it.each(Object.keys(functions))('%s may stand in a loss', (key) => {
    tf.tidy(() => {
      const x = tf.tensor1d([-1.2, 0.3, 0.7, 2.4]);
      // x * constant(x): the constant is a factor of the gradient, and nothing else
      const f = (a: tf.Tensor): tf.Tensor => tf.mul(a, tf.cast(functions[key](a), 'float32'));
      const gradient = tf.grad((a) => f(a).sum())(x);
      expectClose(
        gradient.dataSync(),
        tf.cast(functions[key](x), 'float32').add(tf.zerosLike(x)).dataSync(),
        1e-6,
        'gradient',
      );
    });
  });
});
