/** The backends that the kernel tests run on, and what these tests share. */
import '@tensorflow/tfjs-backend-wasm';
import { expect } from 'vitest';
import { useBackend } from '../../../lib/tensor/backend';
import { createRandom } from '../../../lib/tensor/random';
import { tf } from '../../../lib/tensor/tf';
import { registerKernels } from '../../../lib/tensor/kernels/register';

registerKernels();

/** The backends to test; one that can't be had is listed with `missing`, and its tests are skipped with a line that says why. */
export const backends: { name: string; missing?: string }[] = [
  { name: 'cpu' },
  { name: 'wasm' },
  await tensorflow(),
];

async function tensorflow(): Promise<{ name: string; missing?: string }> {
  try {
    await useBackend({ backend: 'tensorflow' });
    return { name: 'tensorflow' };
  } catch (error) {
    const missing = error instanceof Error ? error.message : String(error);
    console.warn(`the kernel tests skip the backend tensorflow: ${missing}`);
    return { name: 'tensorflow', missing };
  }
}

/** Makes the backend the current one. */
export async function use(name: string): Promise<void> {
  if (!(await tf.setBackend(name))) throw new Error(`the backend ${name} does not start`);
  await tf.ready();
  // the cpu backend's greeting at its first operation
  if (name === 'cpu') (tf.backend() as unknown as { firstUse: boolean }).firstUse = false;
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
