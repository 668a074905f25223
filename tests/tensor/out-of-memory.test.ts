import { describe, expect, it } from 'vitest';
import { compile } from '../../lib/tensor/compile/compile';
import { OutOfMemoryError } from '../../lib/tensor/out-of-memory';
import { tf } from '../../lib/tensor/tf';
import { on } from './kernels/backends';

function failure(run: () => unknown): OutOfMemoryError {
  try {
    tf.tidy(() => void run());
  } catch (error) {
    expect(error).toBeInstanceOf(OutOfMemoryError);
    return error as OutOfMemoryError;
  }
  throw new Error('it fitted');
}

describe('out of memory on tensorflow', () => {
  on('tensorflow');

  // TensorFlow waits for ten seconds whether something will be freed.
  it('names the operation, the shape and the size', { timeout: 60_000 }, () => {
    const error = failure(() => tf.fill([2_000_000, 2_000_000], 1));
    expect(error.message).toMatch(
      /^out of memory: Fill asked for a tensor \[2000000, 2000000\] of float, 16000.0 GB\. A smaller batch/,
    );
    expect(error.shape).toEqual([2_000_000, 2_000_000]);
  });

  it('does so in a compiled step, which stays usable', { timeout: 60_000 }, () => {
    const step = compile(({ x }: { x: tf.Tensor2D }) => tf.matMul(x, x, false, true).sum());
    const small = tf.ones([3, 1]) as tf.Tensor2D;
    const call = (): number => tf.tidy(() => step({ x: small }).dataSync()[0]);
    for (let i = 0; i < 3; i++) expect(call()).toBe(9);
    const large = tf.ones([2_000_000, 1]) as tf.Tensor2D;
    expect(failure(() => step({ x: large })).message).toMatch(/\[2000000, 2000000\]/);
    expect(call()).toBe(9);
    tf.dispose([small, large]);
    step.dispose();
  });

  it('lets other errors through', () => {
    expect(() => tf.tidy(() => tf.matMul(tf.ones([2, 3]), tf.ones([2, 3])))).toThrow(
      /Matrix size-incompatible/,
    );
  });
});

describe('out of memory on wasm', () => {
  on('wasm');

  it('names the shape and the size, and the backend stays usable', () => {
    const tensors = tf.memory().numTensors;
    const error = failure(() => tf.matMul(tf.ones([200_000, 1]), tf.ones([1, 200_000])));
    expect(error.message).toMatch(
      /^out of memory: a tensor \[(1, )?200000, 200000\] of float32, 160.0 GB, does not fit into the heap of wasm \(4 GB in all, \d+ MB of it in tensors\)/,
    );
    expect(tf.tidy(() => tf.matMul(tf.ones([2, 2]), tf.ones([2, 2])).dataSync()[3])).toBe(2);
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it('notices a heap that is full though each tensor would fit', () => {
    const backend = tf.backend();
    const kept: object[] = [];
    // No values: the memory is only reserved.
    const reserve = (): object => backend.write(null as unknown as Float32Array, [2 ** 28], 'float32');
    const error = failure(() => {
      for (let i = 0; i < 6; i++) kept.push(reserve());
    });
    expect(error.shape).toEqual([2 ** 28]);
    expect(kept.length).toBeLessThan(5);
    for (const dataId of kept) backend.disposeData(dataId);
    expect(tf.tidy(() => tf.ones([4]).sum().dataSync()[0])).toBe(4);
  });
});
