/** Weights that a formula gives, the same as in `tests/reference/hashed_weights.py`, and comparison with samples of a network's maps. */
import { expect } from 'vitest';
import { type HostTensor, tf } from 'detlab';
import { expectClose } from '../tensor/kernels/backends';

/** A tensor's name and its shape as PyTorch has it. Its place in the list is its number. */
export type HashedTensor = [name: string, ...shape: number[]];

/** A map's values, every so many of them. */
export interface Sampled {
  count: number;
  step: number;
  largest: number;
  mean: number;
  sample: number[];
}

/** The reference's numbers in [-1, 1): a hash of the index and the tensor's number. */
export function hashed(count: number, number: number, value: (u: number) => number): Float32Array {
  const values = new Float32Array(count);
  const start = Math.imul(number, 0x85ebca6b);
  for (let i = 0; i < count; i++) {
    let x = (Math.imul(i, 0x9e3779b1) + start) >>> 0;
    x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d) >>> 0;
    x = Math.imul(x ^ (x >>> 12), 0x297a2d39) >>> 0;
    values[i] = value(((x ^ (x >>> 15)) >>> 0) / 2 ** 31 - 1);
  }
  return values;
}

/** Numbers in [-2, 2) as an image, `[batch, height, width, channels]`. */
export function hashedImage(
  number: number,
  [batch, height, width, channels]: readonly [number, number, number, number],
): tf.Tensor4D {
  return tf.tensor4d(
    hashed(batch * height * width * channels, number, (u) => 2 * u),
    [batch, height, width, channels],
  );
}

/** A network's state by its names. */
export function hashedWeights(tensors: readonly HashedTensor[]): Map<string, HostTensor> {
  const found = new Map<string, HostTensor>();
  tensors.forEach(([key, ...shape], number) => {
    const size = shape.reduce((product, side) => product * side, 1);
    const field = key.slice(key.lastIndexOf('.') + 1);
    if (field === 'num_batches_tracked') {
      found.set(key, { shape, values: Int32Array.of(1) });
      return;
    }
    const bound = Math.sqrt((shape.length === 4 ? 6 : 3) / (size / shape[0]));
    const value: Record<string, (u: number) => number> = {
      running_var: (u) => 1 + 0.5 * u,
      running_mean: (u) => 0.2 * u,
      bias: (u) => 0.1 * u,
    };
    const rule =
      shape.length > 1 ? (u: number) => u * bound : (value[field] ?? ((u: number) => 0.7 + 0.2 * u));
    found.set(key, { shape, values: hashed(size, number, rule) });
  });
  return found;
}

/** Asserts that a map has the samples and the mean. */
export function expectSampled(tensor: tf.Tensor, wanted: Sampled, what: string, tolerance = 2e-5): void {
  const { count, step, largest, mean, sample } = wanted;
  const values: Float32Array = tensor.dataSync<'float32'>();
  expect(values.length, what).toBe(count);
  expectClose(
    sample.map((_, k) => values[k * step]),
    sample,
    tolerance,
    what,
  );
  const own = values.reduce((sum, value) => sum + value, 0) / count;
  expect(Math.abs(own - mean), `${what}: mean`).toBeLessThan(tolerance * largest);
}
