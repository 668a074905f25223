/** The kernels against PyTorch (`tests/reference/kernels.py`, in float64). */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { batchNormTraining } from '../../../lib/tensor/kernels/batch-norm';
import { conv2d } from '../../../lib/tensor/kernels/conv';
import { maxPool2d } from '../../../lib/tensor/kernels/pool';
import { tf } from '../../../lib/tensor/tf';
import { backends, expectClose, on } from './backends';

interface Numbers {
  shape: number[];
  values: number[];
}

interface Fixture {
  convolutions: (Record<'x' | 'filter' | 'dy' | 'y' | 'dx' | 'dfilter', Numbers> & {
    name: string;
    options: { stride?: number; padding?: number; dilation?: number };
  })[];
  poolings: (Record<'x' | 'dy' | 'y' | 'dx', Numbers> & {
    name: string;
    options: { kernel_size: number; stride: number; padding?: number; ceil_mode?: boolean };
  })[];
  normalisations: (Record<
    'x' | 'scale' | 'offset' | 'dy' | 'y' | 'mean' | 'variance' | 'dx' | 'dscale' | 'doffset',
    Numbers
  > & { name: string; epsilon: number })[];
}

const fixture = JSON.parse(
  fs.readFileSync(path.join(__dirname, 'fixtures', 'pytorch.json'), 'utf8'),
) as Fixture;

const tensor = <R extends tf.Rank>({ shape, values }: Numbers): tf.Tensor<R> =>
  tf.tensor(values, shape as tf.ShapeMap[R]);

function expectEqual(actual: tf.Tensor, expected: Numbers, what: string): void {
  expect(actual.shape, what).toEqual(expected.shape);
  expectClose(actual.dataSync(), expected.values, 1e-5, what);
}

describe.each(backends)('as PyTorch has it, on %s', (backend) => {
  on(backend);

  it.each(fixture.convolutions)('convolution: $name', (c) => {
    tf.tidy(() => {
      const f = (x: tf.Tensor, w: tf.Tensor): tf.Tensor =>
        conv2d(x as tf.Tensor4D, w as tf.Tensor4D, c.options);
      const inputs = [tensor(c.x), tensor(c.filter)];
      expectEqual(f(inputs[0], inputs[1]), c.y, 'value');
      const [dx, dFilter] = tf.grads(f)(inputs, tensor(c.dy));
      expectEqual(dx, c.dx, 'gradient in x');
      expectEqual(dFilter, c.dfilter, 'gradient in the filter');
    });
  });

  it.each(fixture.poolings)('max pooling: $name', (c) => {
    tf.tidy(() => {
      const { kernel_size: kernel, stride, padding, ceil_mode: ceil } = c.options;
      const f = (x: tf.Tensor): tf.Tensor => maxPool2d(x as tf.Tensor4D, { kernel, stride, padding, ceil });
      expectEqual(f(tensor(c.x)), c.y, 'value');
      expectEqual(tf.grad(f)(tensor(c.x), tensor(c.dy)), c.dx, 'gradient');
    });
  });

  it.each(fixture.normalisations)('batch normalisation: $name', (c) => {
    tf.tidy(() => {
      const inputs: [tf.Tensor4D, tf.Tensor1D, tf.Tensor1D] = [
        tensor(c.x),
        tensor(c.scale),
        tensor(c.offset),
      ];
      const { output, mean, variance } = batchNormTraining(...inputs, c.epsilon);
      expectEqual(output, c.y, 'value');
      expectEqual(mean, c.mean, 'mean');
      expectEqual(variance, c.variance, 'variance');
      const gradients = tf.grads(
        (x, scale, offset) =>
          batchNormTraining(x as tf.Tensor4D, scale as tf.Tensor1D, offset as tf.Tensor1D, c.epsilon).output,
      )(inputs, tensor(c.dy));
      gradients.forEach((gradient, i) =>
        expectEqual(gradient, [c.dx, c.dscale, c.doffset][i], `gradient ${i}`),
      );
    });
  });
});
