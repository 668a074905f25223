import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { tf } from '../../lib/tensor/tf';

test('tensors are written with type, shape and values', async () => {
  await tf.setBackend('cpu');
  const a = tf.tensor2d([1, 2, 3, 4], [2, 2], 'int32');
  expect(inspect(a)).toBe('Tensor int32 [2, 2]\n    [[1, 2],\n     [3, 4]]');
  expect(inspect({ loss: tf.scalar(0.5) })).toBe('{ loss: Tensor float32 [] 0.5 }');
  expect(inspect(tf.variable(tf.tensor1d([1.5, 2])))).toContain('[1.5, 2]');
  expect(inspect(tf.zeros([1001, 1000]))).toBe('Tensor float32 [1001, 1000]');
  a.dispose();
  expect(inspect(a)).toBe('Tensor int32 [2, 2] (disposed)');
});
