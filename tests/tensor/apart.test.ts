/** Arrays and the tensors made of them share no memory, wherever an array begins. */
import { describe, expect, test } from 'vitest';
import { tf } from '../../lib/tensor/tf';
import { on } from './kernels/backends';

describe('a tensor on tensorflow', () => {
  on('tensorflow');

  test.each(['float32', 'int32'] as const)('of %s keeps its values when its array is written to', (dtype) => {
    const kind = dtype === 'float32' ? Float32Array : Int32Array;
    for (let offset = 0; offset < 64; offset += 4) {
      const values = new kind(new ArrayBuffer(512 + offset), offset, 100).fill(2);
      const tensor = tf.tensor1d(values, dtype);
      const before = tf.tidy(() => tf.add(tensor, tensor).sum().dataSync()[0]);
      values.fill(5);
      expect([before, tf.tidy(() => tensor.sum().dataSync()[0])]).toEqual([400, 200]);
      tensor.dispose();
    }
  });
});
