import { describe, it } from 'vitest';
import { relu, relu6, sigmoid, swish } from '../../../lib/tensor/kernels/activations';
import { tf } from '../../../lib/tensor/tf';
import { backends, expectClose, expectNoLeak, normals, on } from './backends';

const logistic = (v: number): number => 1 / (1 + Math.exp(-v));
const activations = {
  relu: [relu, (v: number) => Math.max(v, 0)],
  relu6: [relu6, (v: number) => Math.min(Math.max(v, 0), 6)],
  sigmoid: [sigmoid, logistic],
  swish: [swish, (v: number) => v * logistic(v)],
} as const;

describe.each(backends)('activations on %s', (backend) => {
  on(backend);

  it.each(Object.keys(activations) as (keyof typeof activations)[])(
    '%s: value, and gradient by differences',
    (key) => {
      const [f, scalar] = activations[key];
      // no value within the difference's step of a kink (0 and 6)
      const x = normals(2 * 3 * 4 * 5, key).map((v) => (Math.abs(v) < 1e-3 ? 0.5 : 4 * v));
      const dy = normals(x.length, 'dy');
      tf.tidy(() => {
        const input = tf.tensor4d(x, [2, 3, 4, 5]);
        expectClose(f(input).dataSync(), Array.from(x, scalar), 1e-5, 'value');
        const gradient = tf.grad((a) => f(a))(input, tf.tensor4d(dy, [2, 3, 4, 5]));
        const differences = Array.from(x, (v, i) => (dy[i] * (scalar(v + 1e-5) - scalar(v - 1e-5))) / 2e-5);
        expectClose(gradient.dataSync(), differences, 1e-5, 'gradient');
      });
    },
  );

  it('have gradient 0 at their kinks', () => {
    tf.tidy(() => {
      expectClose(
        tf
          .grad((a) => relu(a))(tf.tensor1d([-1, 0, 1]))
          .dataSync(),
        [0, 0, 1],
        0,
        'relu',
      );
      expectClose(
        tf
          .grad((a) => relu6(a))(tf.tensor1d([0, 3, 6, 7]))
          .dataSync(),
        [0, 1, 0, 0],
        0,
        'relu6',
      );
    });
  });

  it('leak nothing', () => {
    const x = tf.tensor1d([-1, 2, 7]);
    for (const [f] of Object.values(activations)) {
      expectNoLeak(() => f(x).dispose());
      expectNoLeak(() =>
        tf
          .grad((a) => f(a))(x)
          .dispose(),
      );
    }
    x.dispose();
  });
});
