/** Gradients that free as they go: the same numbers, and less memory, whatever an operation's gradient hands out. */
import { describe, expect, it } from 'vitest';
import { liveBytes } from '../../lib/tensor/live-bytes';
import { releaseAsUsed } from '../../lib/tensor/release-as-used';
import { tf } from '../../lib/tensor/tf';
import { backends, on, randomTensor } from './kernels/backends';

/**
 * a + b + c whose gradients are dy twice and, for c, a constant: as tensors of their own, or carelessly as the same ones, which tfjs
 * would dispose.
 */
const operation = (constant: tf.Tensor, careless: boolean) =>
  tf.customGrad((...args) => {
    const [a, b, c, save] = args as unknown as [tf.Tensor, tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    save([a]);
    const gradFunc = (dy: tf.Tensor): tf.Tensor[] => {
      const gradients = [dy, dy, constant];
      return careless ? gradients : gradients.map((gradient) => gradient.clone());
    };
    return { value: tf.addN([a, b, c]), gradFunc };
  });

for (const backend of backends) {
  describe(`releaseAsUsed on ${backend}`, () => {
    on(backend);

    it('gives the usual gradients, and leaves what is not its own', () => {
      const tensors = tf.memory().numTensors;
      const [x, w, constant] = [1, 2, 3].map((seed) => randomTensor<tf.Rank.R2>([5, 4], seed));
      const f = (a: tf.Tensor, b: tf.Tensor, careless: boolean): tf.Tensor => {
        const product = tf.mul(a, b);
        const sum = tf.add(product, a);
        const odd = operation(constant, careless)(sum, product, b);
        return tf.mul(tf.exp(tf.neg(tf.square(odd))), tf.reshape(tf.reshape(sum, [20]), [5, 4])).sum();
      };
      const numbers = [
        tf.valueAndGrads((a, b) => f(a, b, false))([x, w]),
        tf.valueAndGrads((a, b) => releaseAsUsed(() => f(a, b, true)))([x, w]),
        // One inside the other.
        tf.valueAndGrads((a, b) =>
          releaseAsUsed(() =>
            tf.mul(
              releaseAsUsed(() => f(a, b, true)),
              1,
            ),
          ),
        )([x, w]),
      ].map(({ value, grads }) => {
        const all = [value, ...grads].map((tensor) => [...tensor.dataSync()]);
        tf.dispose([value, grads]);
        return all;
      });
      expect(numbers[1]).toEqual(numbers[0]);
      expect(numbers[2]).toEqual(numbers[0]);
      expect(constant.isDisposed).toBe(false);
      tf.dispose([x, w, constant]);
      expect(tf.memory().numTensors).toBe(tensors);
    });

    it('leaves gradients of gradients alone', () => {
      const x = tf.scalar(1.5);
      const cube = (a: tf.Tensor): tf.Scalar => tf.mul(tf.square(a), a) as tf.Scalar;
      const second = tf.grad((a) => tf.grad((b) => releaseAsUsed(() => cube(b)))(a));
      const found = second(x);
      expect(found.dataSync()[0]).toBeCloseTo(9, 5);
      tf.dispose([x, found]);
    });

    it('needs less than half as much for a long chain', () => {
      const x = randomTensor<tf.Rank.R2>([100, 100], 1);
      const chain = (a: tf.Tensor): tf.Scalar => {
        let y = a;
        for (let i = 0; i < 20; i++) y = tf.sin(y);
        return y.sum() as tf.Scalar;
      };
      const [plain, released] = [chain, (a: tf.Tensor) => releaseAsUsed(() => chain(a))].map((f) => {
        const { result, before, peak } = liveBytes(() => tf.grad(f)(x));
        result.dispose();
        return (peak - before) / (4 * x.size);
      });
      // 20 inputs of the sines; without release as many gradients on top, each with a cosine.
      expect(released).toBeLessThan(25);
      expect(plain).toBeGreaterThan(2 * 20 - 2);
      x.dispose();
    });

    it('does nothing outside gradients', () => {
      const y = releaseAsUsed(() => tf.scalar(2));
      expect(y.dataSync()[0]).toBe(2);
      y.dispose();
    });
  });
}

describe('liveBytes', () => {
  on('cpu');

  it('counts what tensors share once, and at the worst moment', () => {
    const old = tf.zeros([50]);
    const { result, before, peak } = liveBytes((added) => {
      const x = tf.zeros([100]);
      const clones = [x.clone(), x.reshape([10, 10])];
      const one = added();
      const more = tf.ones([100]);
      tf.dispose([more, clones, x]);
      old.dispose();
      return [one, added()];
    });
    expect(result).toEqual([400, -200]);
    expect(peak - before).toBe(800);
  });
});
