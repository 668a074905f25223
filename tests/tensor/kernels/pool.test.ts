import { describe, expect, it } from 'vitest';
import { maxPool2d, type MaxPoolOptions } from '../../../lib/tensor/kernels/pool';
import { tf } from '../../../lib/tensor/tf';
import { backends, expectClose, expectNoLeak, normals, on } from './backends';

/** Max pooling and its gradient by loops; output sizes are given, so that the rounding rule is the test's own. */
function scalarMaxPool(
  x: ArrayLike<number>,
  [n, h, w, c]: readonly number[],
  { kernel, stride = kernel, padding = 0 }: MaxPoolOptions,
  [oh, ow]: readonly number[],
): { y: number[]; winners: number[] } {
  const y: number[] = [];
  const winners: number[] = [];
  for (let b = 0; b < n; b++)
    for (let p = 0; p < oh; p++)
      for (let q = 0; q < ow; q++)
        for (let k = 0; k < c; k++) {
          let best = -1;
          for (let i = 0; i < kernel; i++)
            for (let j = 0; j < kernel; j++) {
              const [r, s] = [p * stride + i - padding, q * stride + j - padding];
              if (r < 0 || s < 0 || r >= h || s >= w) continue;
              const at = ((b * h + r) * w + s) * c + k;
              if (best < 0 || x[at] > x[best]) best = at;
            }
          y.push(x[best]);
          winners.push(best);
        }
  return { y, winners };
}

const cases: [string, MaxPoolOptions, number[], number[]][] = [
  ['2x2', { kernel: 2 }, [2, 6, 8, 3], [3, 4]],
  ['2x2, odd sizes, floor', { kernel: 2 }, [2, 7, 5, 3], [3, 2]],
  ['2x2, odd sizes, ceil (VGG in SSD)', { kernel: 2, ceil: true }, [2, 7, 5, 3], [4, 3]],
  ['2x2, one side odd, ceil', { kernel: 2, ceil: true }, [2, 6, 5, 3], [3, 3]],
  ['3x3, stride 1, padding 1 (SSD pool5)', { kernel: 3, stride: 1, padding: 1 }, [2, 5, 6, 4], [5, 6]],
  ['3x3, stride 2, padding 1 (ResNet)', { kernel: 3, stride: 2, padding: 1 }, [2, 8, 8, 3], [4, 4]],
  ['3x3, stride 2, padding 1, odd', { kernel: 3, stride: 2, padding: 1 }, [1, 7, 9, 3], [4, 5]],
  ['3x3, stride 2, ceil', { kernel: 3, stride: 2, ceil: true }, [1, 8, 6, 2], [4, 3]],
  // ceil((4 + 2 - 2) / 3) + 1 = 3 windows, but the third would start beyond the image
  [
    '2x2, stride 3, padding 1, ceil: no window of padding alone',
    { kernel: 2, stride: 3, padding: 1, ceil: true },
    [1, 4, 4, 2],
    [2, 2],
  ],
  ['3x3, stride 1', { kernel: 3, stride: 1 }, [1, 4, 5, 2], [2, 3]],
  ['2x2, stride 3: pixels between the windows', { kernel: 2, stride: 3 }, [1, 8, 7, 2], [3, 2]],
];

describe.each(backends)('max pooling on %s', (backend) => {
  on(backend);

  it.each(cases)('%s', (_, options, shape, size) => {
    const [n, h, w, c] = shape;
    // below -1, so that a padding of zeros would win
    const x = normals(n * h * w * c, 'x').map((v) => v - 5);
    const { y, winners } = scalarMaxPool(x, shape, options, size);
    const dy = normals(y.length, 'dy');
    const expected = new Float64Array(x.length);
    winners.forEach((at, i) => (expected[at] += dy[i]));
    tf.tidy(() => {
      const input = tf.tensor4d(x, [n, h, w, c]);
      const pooled = maxPool2d(input, options);
      expect(pooled.shape).toEqual([n, ...size, c]);
      expectClose(pooled.dataSync(), y, 0, 'value');
      const gradient = tf.grad((a) => maxPool2d(a as tf.Tensor4D, options))(
        input,
        tf.tensor4d(dy, [n, size[0], size[1], c]),
      );
      expectClose(gradient.dataSync(), expected, 1e-6, 'gradient');
    });
  });

  it('gives a tie to exactly one pixel', () => {
    tf.tidy(() => {
      const gradient = tf.grad((a) => maxPool2d(a as tf.Tensor4D, { kernel: 2 }))(tf.zeros([1, 4, 4, 1]));
      expect(gradient.sum().arraySync()).toBe(4);
      expect(Math.max(...gradient.dataSync())).toBe(1);
    });
  });

  it('leaks nothing', () => {
    const x = tf.tensor4d(normals(2 * 7 * 7, 1), [2, 7, 7, 1]);
    for (const [, options] of cases) {
      expectNoLeak(() => maxPool2d(x, options).dispose());
      expectNoLeak(() =>
        tf
          .grad((a) => maxPool2d(a as tf.Tensor4D, options))(x)
          .dispose(),
      );
    }
    x.dispose();
  });
});

describe('max pooling', () => {
  it('refuses windows that see no pixel', () => {
    const x = tf.zeros<tf.Rank.R4>([1, 2, 4, 1]);
    expect(() => maxPool2d(x, { kernel: 2, padding: 2 })).toThrow(/padding 2 is more than half the kernel 2/);
    expect(() => maxPool2d(x, { kernel: 3 })).toThrow(/2x4 is smaller than a window of 3/);
  });
});
