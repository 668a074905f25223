import { describe, expect, test } from 'vitest';
import { inference, L2Norm, tf } from 'detlab';
import { backends, expectClose, expectNoLeak, on, randomTensor } from '../tensor/kernels/backends';

describe.each(backends)('L2Norm, on %s', (backend) => {
  on(backend);

  test('makes vectors of length 1 across channels, then scales them', () => {
    const layer = new L2Norm({ channels: 2, scale: 20 });
    tf.tidy(() => {
      const y = layer.forward(tf.tensor4d([3, 4, 0, -5], [1, 1, 2, 2]), inference);
      expectClose(y.dataSync(), [12, 16, 0, -20], 1e-6, 'value');
      layer.weight.assign(tf.tensor1d([1, 10]));
      expectClose(
        layer.forward(tf.tensor4d([3, 4], [1, 1, 1, 2]), inference).dataSync(),
        [0.6, 8],
        1e-6,
        'channels',
      );
    });
    layer.dispose();
  });

  // y_i = w_i x_i / n with n = |x|: dx_i = (w_i dy_i - u_i sum_j w_j dy_j u_j) / n for u = x / n, and dw_i = sum u_i dy_i.
  test('has the gradients of its formula, and none that is not a number where a cell is all zero', () => {
    const layer = new L2Norm({ channels: 3, scale: 2 });
    tf.tidy(() => {
      layer.weight.assign(tf.tensor1d([2, -1, 0.5]));
      const w = layer.weight.dataSync();
      const x = randomTensor<tf.Rank.R4>([2, 2, 1, 3], 'x');
      const dy = randomTensor<tf.Rank.R4>([2, 2, 1, 3], 'dy');
      const [X, DY] = [x.dataSync(), dy.dataSync()];
      const dx = new Float64Array(12);
      const dw = [0, 0, 0];
      for (let cell = 0; cell < 12; cell += 3) {
        const at = [0, 1, 2].map((i) => cell + i);
        const n = Math.hypot(...at.map((i) => X[i]));
        const along = at.reduce((sum, i, c) => sum + (w[c] * DY[i] * X[i]) / n, 0);
        at.forEach((i, c) => {
          dx[i] = (w[c] * DY[i] - (X[i] / n) * along) / n;
          dw[c] += (X[i] / n) * DY[i];
        });
      }
      const loss = (input: tf.Tensor4D): tf.Scalar => tf.sum(tf.mul(layer.forward(input, inference), dy));
      expectClose(
        tf
          .grad((input) => loss(input as tf.Tensor4D))(x)
          .dataSync(),
        dx,
        1e-5,
        'gradient of x',
      );
      const { grads } = tf.variableGrads(() => loss(x), [layer.weight]);
      expectClose(grads[layer.weight.name].dataSync(), dw, 1e-5, 'gradient of the scale');
      const none = tf
        .grad((input) => loss(input as tf.Tensor4D))(tf.zerosLike(x))
        .dataSync();
      expect(none.every(Number.isFinite)).toBe(true);
    });
    layer.dispose();
  });

  test('leaves nothing behind', () => {
    const layer = new L2Norm({ channels: 3, scale: 2 });
    const x = tf.zeros<tf.Rank.R4>([1, 2, 2, 3]);
    expectNoLeak(() => layer.forward(x, inference).dispose());
    x.dispose();
    layer.dispose();
  });
});
