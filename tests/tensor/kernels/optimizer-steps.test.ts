import { describe, expect, it } from 'vitest';
import { adamStep, blend, momentumStep, sumOfSquares } from '../../../lib/tensor/kernels/optimizer-steps';
import { tf } from '../../../lib/tensor/tf';
import { backends, expectClose, expectNoLeak, normals, on } from './backends';

describe.each(backends)('steps of optimisers on %s', (backend) => {
  on(backend);

  const counts = [1, 3, 8, 4099, 40_001];
  const tensors = (count: number, ...names: string[]): { values: Float32Array[]; given: tf.Tensor1D[] } => {
    const values = names.map((name) => normals(count, name));
    return { values, given: values.map((v) => tf.tensor1d(v)) };
  };

  it.each([
    ['plain', {}, 1, 0],
    ['with decay in the gradient', { decay: 0.1 }, 1, 0.1],
    ['with decoupled decay', { kept: 0.9 }, 0.9, 0],
    ['after Nesterov', { nesterov: true, decay: 0.1 }, 1, 0.1],
  ])('momentum, %s', (_, options: { decay?: number; kept?: number; nesterov?: boolean }, kept, decay) => {
    for (const count of counts) {
      for (const asTensor of [false, true]) {
        tf.tidy(() => {
          const { values, given } = tensors(count, 'weight', 'velocity', 'gradient');
          const [w, v, g] = values;
          const [weight, velocity, gradient] = given;
          const step = momentumStep({
            weight,
            velocity,
            gradient,
            momentum: 0.8,
            ...options,
            rate: asTensor ? tf.scalar(0.05) : 0.05,
            kept: options.kept === undefined ? undefined : tf.scalar(options.kept),
          });
          const decayed = Array.from(g, (value, i) => value + decay * w[i]);
          const expected = decayed.map((value, i) => 0.8 * v[i] + value);
          expectClose(step.velocity.dataSync(), expected, 1e-6, 'velocity');
          const direction = options.nesterov
            ? expected.map((value, i) => decayed[i] + 0.8 * value)
            : expected;
          const moved = direction.map((value, i) => kept * w[i] - 0.05 * value);
          expectClose(step.weight.dataSync(), moved, 1e-6, 'weight');
          expect(weight.dataSync()).toEqual(w);
        });
      }
    }
  });

  it.each([
    ['plain', 1, 0],
    ['with decay in the gradient', 1, 0.1],
    ['with decoupled decay', 0.9, 0],
  ])('Adam, %s', (_, kept, decay) => {
    for (const count of counts) {
      tf.tidy(() => {
        const { values, given } = tensors(count, 'weight', 'first', 'second', 'gradient');
        const [w, m, , g] = values;
        const s = values[2].map(Math.abs);
        const step = adamStep({
          weight: given[0],
          first: given[1],
          second: tf.abs(given[2]),
          gradient: given[3],
          rate: tf.scalar(0.05),
          beta1: 0.8,
          beta2: 0.95,
          epsilon: 1e-3,
          rootCorrection: tf.scalar(0.7),
          decay,
          kept: kept === 1 ? undefined : tf.scalar(kept),
        });
        const gradient = Array.from(g, (value, i) => value + decay * w[i]);
        const first = gradient.map((value, i) => 0.8 * m[i] + 0.2 * value);
        const second = gradient.map((value, i) => 0.95 * s[i] + 0.05 * value ** 2);
        const weight = first.map(
          (value, i) => kept * w[i] - (0.05 * value) / (Math.sqrt(second[i]) / 0.7 + 1e-3),
        );
        expectClose(step.first.dataSync(), first, 1e-6, 'first moment');
        expectClose(step.second.dataSync(), second, 1e-6, 'second moment');
        expectClose(step.weight.dataSync(), weight, 1e-5, 'weight');
      });
    }
  });

  it('blends, and adds up squares', () => {
    for (const count of counts) {
      tf.tidy(() => {
        const { values, given } = tensors(count, 'a', 'b');
        const [a, b] = values;
        const blended = Array.from(a, (value, i) => 0.9 * value + 0.1 * b[i]);
        expectClose(blend(given[0], given[1], 0.9).dataSync(), blended, 1e-6, 'blend');
        const sum = [...a, ...b].reduce((total, value) => total + value * value, 0);
        const all = [given[0], given[1].reshape([1, count]), tf.tensor1d([])];
        const squares = sumOfSquares(all);
        expect(squares.shape).toEqual([]);
        expectClose(squares.dataSync(), [sum], 1e-6, 'sum of squares');
      });
    }
    tf.tidy(() => {
      expect(sumOfSquares([tf.tensor1d([1, Infinity])]).dataSync()[0]).toBe(Infinity);
      expect(sumOfSquares([tf.tensor1d([1]), tf.tensor1d([NaN])]).dataSync()[0]).toBeNaN();
      expect(sumOfSquares([tf.tensor1d([3e20])]).dataSync()[0]).toBe(Infinity);
    });
  });

  it('leak nothing', () => {
    const [a, b] = [tf.ones([50]), tf.ones([50])];
    expectNoLeak(() => {
      const inputs = { weight: a, gradient: b, rate: 0.1 };
      const rootCorrection = tf.scalar(1);
      const moments = { first: a, second: b, beta1: 0.9, beta2: 0.9, epsilon: 1e-3, rootCorrection };
      tf.dispose(momentumStep({ ...inputs, velocity: a, momentum: 0.9 }));
      tf.dispose(adamStep({ ...inputs, ...moments }));
      tf.dispose([rootCorrection, blend(a, b, 0.5), sumOfSquares([a, b])]);
    });
    tf.dispose([a, b]);
  });
});
