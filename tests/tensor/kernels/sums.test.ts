/** Sums and multiples that keep nothing, against tfjs's own. */
import { describe, expect, it } from 'vitest';
import { scaled, sumOf } from '../../../lib/tensor/kernels/linear';
import { liveBytes } from '../../../lib/tensor/live-bytes';
import { tf } from '../../../lib/tensor/tf';
import { backends, on, randomTensor } from './backends';

for (const backend of backends) {
  describe(`linear operations on ${backend}`, () => {
    on(backend);

    it('have the usual values and gradients', () => {
      const tensors = tf.memory().numTensors;
      const xs = [1, 2, 3].map((seed) => randomTensor<tf.Rank.R2>([6, 5], seed));
      const both = [
        { sum: (all: tf.Tensor[]) => sumOf(all), times: (x: tf.Tensor) => scaled(x, -0.3) },
        { sum: (all: tf.Tensor[]) => tf.addN(all), times: (x: tf.Tensor) => tf.mul(x, -0.3) },
      ];
      const [own, usual] = both.map(({ sum, times }) => {
        // The inputs also go past the sum: the parts of their gradients are added up.
        const f = (...all: tf.Tensor[]) => tf.mul(times(tf.square(sum([...all, all[0]]))), all[1]).sum();
        const { value, grads } = tf.valueAndGrads(f)(xs);
        const numbers = [value, ...grads].map((tensor) => [...tensor.dataSync()]);
        tf.dispose([value, grads]);
        return numbers;
      });
      expect(own).toEqual(usual);
      tf.dispose(xs);
      expect(tf.memory().numTensors).toBe(tensors);
    });

    it('keep nothing for their gradients', () => {
      const x = tf.ones([100]);
      let kept = 0;
      liveBytes((added) =>
        tf.grad((y) => {
          const before = added();
          const result = tf.tidy(() => scaled(sumOf([scaled(y, 2), scaled(y, 3)]), 0.5));
          kept = added() - before;
          return result;
        })(x),
      );
      // The result itself.
      expect(kept).toBe(400);
    });
  });
}

it('refuses tensors of several shapes', () => {
  expect(() => sumOf([tf.zeros([6, 5]), tf.zeros([6, 1])])).toThrow('the tensors have shapes [6,5], [6,1]');
  expect(() => sumOf([])).toThrow('(there are none)');
});
