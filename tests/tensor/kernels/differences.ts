/** Values against a plain loop in float64, gradients against that loop's differences. */
import { expect } from 'vitest';
import { tf } from '../../../lib/tensor/tf';
import { expectClose, normals } from './backends';

/** A function of one tensor, written without tensors: the values of x in, those of y out. */
export type Loop = (x: ArrayLike<number>) => number[];

/**
 * Asserts that `f` has the loop's values, and the gradient that the loop's central differences say for a random dy.
 * @param x float32 numbers at which the loop is smooth within 1e-4.
 */
export function expectLikeLoop(
  f: (x: tf.Tensor) => tf.Tensor,
  loop: Loop,
  x: Float32Array,
  shape: readonly number[],
  tolerance: number = 1e-5,
): void {
  tf.tidy(() => {
    const input = tf.tensor(x, [...shape]);
    const y = f(input);
    const expected = loop(x);
    expectClose(y.dataSync(), expected, tolerance, 'value');
    const dy = normals(expected.length, 'dy');
    const dot = (values: number[]): number => values.reduce((sum, v, i) => sum + v * dy[i], 0);
    const at = Float64Array.from(x);
    const differences = at.map((v, i) => {
      const moved = (step: number): number => {
        at[i] = v + step;
        const value = dot(loop(at));
        at[i] = v;
        return value;
      };
      return (moved(1e-4) - moved(-1e-4)) / 2e-4;
    });
    const gradient = tf.grad(f)(input, tf.tensor(dy, y.shape));
    expect(gradient.shape).toEqual(shape);
    expectClose(gradient.dataSync(), differences, tolerance, 'gradient');
  });
}

/** The entry of a row-major array of `shape` at a coordinate an axis. */
export function offset(at: readonly number[], shape: readonly number[]): number {
  return at.reduce((sum, c, axis) => sum * shape[axis] + c, 0);
}

/** Every coordinate of a shape, in row-major order. */
export function coordinates(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (found, size) => found.flatMap((c) => Array.from({ length: size }, (_, i) => [...c, i])),
    [[]],
  );
}
