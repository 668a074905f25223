import { describe, expect, it } from 'vitest';
import { batchNormInference, batchNormTraining } from '../../../lib/tensor/kernels/batch-norm';
import { tf } from '../../../lib/tensor/tf';
import { backends, expectClose, expectNoLeak, normals, on } from './backends';

/** Batch norm and its gradients as Ioffe and Szegedy write them out (section 3), a channel at a time in float64. */
function scalarBatchNorm(
  x: ArrayLike<number>,
  scale: ArrayLike<number>,
  offset: ArrayLike<number>,
  dy: ArrayLike<number>,
  epsilon: number,
): Record<'y' | 'mean' | 'variance' | 'dx' | 'dScale' | 'dOffset', number[]> {
  const channels = scale.length;
  const m = x.length / channels;
  const out = { y: [], mean: [], variance: [], dx: [], dScale: [], dOffset: [] } as ReturnType<
    typeof scalarBatchNorm
  >;
  for (let c = 0; c < channels; c++) {
    const at = Array.from({ length: m }, (_, i) => i * channels + c);
    const sum = (f: (i: number) => number): number => at.reduce((total, i) => total + f(i), 0);
    const mean = sum((i) => x[i]) / m;
    const variance = sum((i) => (x[i] - mean) ** 2) / m;
    const deviation = Math.sqrt(variance + epsilon);
    const hat = (i: number): number => (x[i] - mean) / deviation;
    const dVariance = sum((i) => dy[i] * scale[c] * (x[i] - mean)) * -0.5 * (variance + epsilon) ** -1.5;
    const dMean =
      sum((i) => (dy[i] * scale[c] * -1) / deviation) + (dVariance * sum((i) => -2 * (x[i] - mean))) / m;
    for (const i of at) {
      out.y[i] = hat(i) * scale[c] + offset[c];
      out.dx[i] = (dy[i] * scale[c]) / deviation + (dVariance * 2 * (x[i] - mean)) / m + dMean / m;
    }
    out.mean[c] = mean;
    out.variance[c] = variance;
    out.dScale[c] = sum((i) => dy[i] * hat(i));
    out.dOffset[c] = sum((i) => dy[i]);
  }
  return out;
}

type Vectors = [tf.Tensor4D, tf.Tensor1D, tf.Tensor1D];

describe.each(backends)('batch normalisation on %s', (backend) => {
  on(backend);

  it.each([
    ['a small batch', [3, 4, 5, 6], 0, 1, 1e-3],
    ['one channel', [2, 3, 3, 1], 0, 1, 1e-5],
    ['one image', [1, 6, 5, 9], 0, 1, 1e-5],
    ['one pixel an image', [8, 1, 1, 4], 0, 1, 1e-5],
    ['many pixels', [4, 33, 31, 5], 0, 1, 1e-5],
    ['a mean far from 0', [4, 8, 8, 3], 100, 1, 1e-3],
    ['a single value a channel', [1, 1, 1, 3], 0, 1, 1e-3],
    ['a constant', [2, 3, 3, 2], 5, 0, 1e-3],
  ] as const)('agrees with the scalar form: %s', (_, shape, shift, spread, epsilon) => {
    const [n, h, w, c] = shape;
    const x = normals(n * h * w * c, 'x').map((v) => v * spread + shift);
    const [scale, offset, dy] = [normals(c, 'scale'), normals(c, 'offset'), normals(x.length, 'dy')];
    const expected = scalarBatchNorm(x, scale, offset, dy, epsilon);
    tf.tidy(() => {
      const inputs: Vectors = [tf.tensor(x, [n, h, w, c]), tf.tensor1d(scale), tf.tensor1d(offset)];
      const { output, mean, variance } = batchNormTraining(...inputs, epsilon);
      // x - mean loses the digits that shift takes up
      const tolerance = 1e-5 * (1 + shift / 5);
      expectClose(output.dataSync(), expected.y, tolerance, 'output');
      expectClose(mean.dataSync(), expected.mean, 1e-5, 'mean');
      expectClose(variance.dataSync(), expected.variance, tolerance, 'variance');
      const gradients = tf.grads((a, b, d) => batchNormTraining(...([a, b, d] as Vectors), epsilon).output)(
        inputs,
        tf.tensor(dy, [n, h, w, c]),
      );
      expectClose(gradients[0].dataSync(), expected.dx, tolerance, 'gradient in x');
      expectClose(gradients[1].dataSync(), expected.dScale, tolerance, 'gradient in scale');
      expectClose(gradients[2].dataSync(), expected.dOffset, tolerance, 'gradient in offset');
    });
  });

  it('takes variables, inside a differentiated function, and lets its statistics out', () => {
    tf.tidy(() => {
      const x = tf.tensor(normals(2 * 4 * 4 * 3, 1), [2, 4, 4, 3]) as tf.Tensor4D;
      const [scale, offset] = [tf.variable(tf.ones<tf.Rank.R1>([3])), tf.variable(tf.zeros<tf.Rank.R1>([3]))];
      let kept: tf.Tensor1D[] = [];
      const { grads } = tf.variableGrads(() => {
        const { output, mean, variance } = batchNormTraining(x, scale, offset, 1e-3);
        kept = [tf.keep(mean), tf.keep(variance)];
        return output.square().sum();
      }, [scale, offset]);
      const moments = tf.moments(x, [0, 1, 2]);
      expectClose(kept[0].dataSync(), moments.mean.dataSync(), 1e-5, 'mean');
      expectClose(kept[1].dataSync(), moments.variance.dataSync(), 1e-5, 'variance');
      // of the sum of squares of normalised values: 2 N H W each, up to epsilon
      expectClose(grads[scale.name].dataSync(), [64, 64, 64], 0.01, 'gradient in scale');
      tf.dispose([kept, scale, offset]);
    });
  });

  it('normalises by given statistics, and differentiates', () => {
    const [n, h, w, c] = [2, 3, 4, 5];
    const x = normals(n * h * w * c, 'x');
    const [scale, offset, mean] = ['scale', 'offset', 'mean'].map((seed) => normals(c, seed));
    const variance = normals(c, 'variance').map(Math.abs);
    const dy = normals(x.length, 'dy');
    const inverse = Array.from(variance, (v) => 1 / Math.sqrt(v + 1e-3));
    const sums = (f: (i: number, k: number) => number): number[] => {
      const out = Array.from({ length: c }, () => 0);
      for (let i = 0; i < x.length; i++) out[i % c] += f(i, i % c);
      return out;
    };
    tf.tidy(() => {
      const statistics = [tf.tensor1d(mean), tf.tensor1d(variance)] as const;
      const f = (a: tf.Tensor, b: tf.Tensor, d: tf.Tensor): tf.Tensor =>
        batchNormInference(a as tf.Tensor4D, b as tf.Tensor1D, d as tf.Tensor1D, ...statistics, 1e-3);
      const inputs = [tf.tensor(x, [n, h, w, c]), tf.tensor1d(scale), tf.tensor1d(offset)];
      const y = f(...(inputs as [tf.Tensor, tf.Tensor, tf.Tensor]));
      const normalised = (i: number, k: number): number => (x[i] - mean[k]) * inverse[k];
      expectClose(
        y.dataSync(),
        Array.from(x, (_, i) => normalised(i, i % c) * scale[i % c] + offset[i % c]),
        1e-5,
        'output',
      );
      const [dx, dScale, dOffset] = tf.grads(f)(inputs, tf.tensor(dy, [n, h, w, c]));
      expectClose(
        dx.dataSync(),
        Array.from(dy, (d, i) => d * scale[i % c] * inverse[i % c]),
        1e-5,
        'gradient in x',
      );
      expectClose(
        dScale.dataSync(),
        sums((i, k) => dy[i] * normalised(i, k)),
        1e-5,
        'gradient in scale',
      );
      expectClose(
        dOffset.dataSync(),
        sums((i) => dy[i]),
        1e-5,
        'gradient in offset',
      );
    });
  });

  it('leaks nothing', () => {
    const x = tf.tensor(normals(96, 1), [2, 4, 4, 3]) as tf.Tensor4D;
    const [scale, offset] = [tf.ones<tf.Rank.R1>([3]), tf.zeros<tf.Rank.R1>([3])];
    expectNoLeak(() => {
      const { output, mean, variance } = batchNormTraining(x, scale, offset, 1e-3);
      tf.dispose([output, mean, variance]);
      tf.dispose(batchNormInference(x, scale, offset, offset, scale, 1e-3));
    });
    expectNoLeak(() => {
      const f = (a: tf.Tensor, b: tf.Tensor, d: tf.Tensor): tf.Tensor =>
        batchNormTraining(...([a, b, d] as Vectors), 1e-3).output;
      tf.dispose(tf.grads(f)([x, scale, offset]));
    });
    tf.dispose([x, scale, offset]);
  });

  it('names what does not fit', () => {
    const x = tf.ones<tf.Rank.R4>([1, 2, 2, 3]);
    const [three, two] = [tf.ones<tf.Rank.R1>([3]), tf.ones<tf.Rank.R1>([2])];
    expect(() => batchNormTraining(x, three, two, 1e-3)).toThrow(
      /offset has shape \[2\], but x \[1,2,2,3\] has 3 channels/,
    );
    expect(() => batchNormInference(x, three, three, two, three, 1e-3)).toThrow(/mean has shape \[2\]/);
    expect(() => batchNormTraining(tf.zeros([0, 2, 2, 3]), three, three, 1e-3)).toThrow(/x is empty/);
  });
});
