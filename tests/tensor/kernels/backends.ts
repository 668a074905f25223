/** The backends that the kernel tests run on, and what these tests share. */
import '@tensorflow/tfjs-backend-wasm';
import { beforeAll, beforeEach, expect } from 'vitest';
import { useBackend } from '../../../lib/tensor/backend';
import { createRandom } from '../../../lib/tensor/random';
import { tf } from '../../../lib/tensor/tf';
import { registerKernels } from '../../../lib/tensor/kernels/register';

registerKernels();

/** The backends that the suites run on. */
export const backends: readonly string[] = ['cpu', 'wasm', 'tensorflow'];

/** Makes a suite run on a backend; where it can't be had, the suite's tests are skipped and say why. */
export function on(backend: string): void {
  let missing: string | undefined;
  beforeAll(async () => {
    try {
      await useBackend({ backend });
    } catch (error) {
      // cpu and wasm are npm packages: without them something is broken
      if (backend !== 'tensorflow') throw error;
      missing = error instanceof Error ? error.message : String(error);
      console.warn(`skipped on tensorflow: ${missing}`);
    }
  });
  beforeEach((context) => {
    if (missing !== undefined) context.skip(missing);
  });
}

/** Seeded standard normal numbers. */
export function normals(count: number, seed: number | string): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from({ length: count }, () => random.normal());
}

/** A tensor of seeded standard normal numbers. */
export function randomTensor<R extends tf.Rank>(shape: tf.ShapeMap[R], seed: number | string): tf.Tensor<R> {
  return tf.tensor(normals(tf.util.sizeFromShape(shape), seed), shape);
}

/** Asserts that numbers agree: |actual - expected| <= tolerance * (1 + the largest |expected|). */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  expect(actual.length, `${what}: how many values`).toBe(expected.length);
  let scale = 1;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, 1 + Math.abs(expected[i]));
  let worst = 0;
  let at = 0;
  for (let i = 0; i < expected.length; i++) {
    const distance = Math.abs(actual[i] - expected[i]);
    if (!(distance <= worst)) [worst, at] = [distance, i];
    if (Number.isNaN(distance)) break;
  }
  expect(worst, `${what}: value ${at} is ${actual[at]}, not ${expected[at]}`).toBeLessThanOrEqual(
    tolerance * scale,
  );
}

/** Runs `f` twice and asserts that the second run leaves no tensor and no data behind. */
export function expectNoLeak(f: () => void): void {
  f();
  const before = [tf.memory().numTensors, tf.backend().numDataIds()];
  f();
  expect([tf.memory().numTensors, tf.backend().numDataIds()]).toEqual(before);
}
