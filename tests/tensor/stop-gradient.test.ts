import { beforeAll, expect, test } from 'vitest';
import { stopGradient, withoutGradient } from '../../lib/tensor/stop-gradient';
import { tf } from '../../lib/tensor/tf';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

test('the value passes, the gradient does not', () => {
  tf.tidy(() => {
    const x = tf.tensor1d([1, 2, 3]);
    expect([...stopGradient(x).dataSync()]).toEqual([1, 2, 3]);
    // d/dx of x * stop(x) is stop(x), where d/dx of x * x would be 2x.
    const gradient = tf.grad((y: tf.Tensor) => tf.sum(tf.mul(y, stopGradient(y))))(x);
    expect([...gradient.dataSync()]).toEqual([1, 2, 3]);
  });
});

test('operations that have no gradient run inside', () => {
  tf.tidy(() => {
    const x = tf.tensor1d([1, 4, 3]);
    const largest = (y: tf.Tensor): tf.Tensor => tf.topk(y as tf.Tensor1D, 1).values;
    expect(() => tf.grad((y: tf.Tensor) => tf.sum(tf.mul(y, largest(y))))(x)).toThrow();
    const gradient = tf.grad((y: tf.Tensor) => tf.sum(tf.mul(y, withoutGradient(largest, y))))(x);
    expect([...gradient.dataSync()]).toEqual([4, 4, 4]);
  });
});

test('several inputs; no tensor is left behind', () => {
  const x = tf.tensor1d([1, 2]);
  const y = tf.tensor2d([[3, 4]]);
  const before = tf.memory().numTensors;
  const mask = withoutGradient((a, b) => tf.cast(tf.less(a, b), 'float32'), x, y);
  expect(mask.shape).toEqual([1, 2]);
  mask.dispose();
  const gradients = tf.grads((a: tf.Tensor, b: tf.Tensor) =>
    tf.sum(
      tf.add(
        tf.mul(a, b),
        withoutGradient((c, d) => tf.mul(c, d), a, b),
      ),
    ),
  )([x, y]);
  expect([...gradients[1].dataSync()]).toEqual([1, 2]);
  tf.dispose(gradients);
  expect(tf.memory().numTensors).toBe(before);
  tf.dispose([x, y]);
});
