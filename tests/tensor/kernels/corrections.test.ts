/** Gradients that tfjs gets wrong or slow: extremes, products, casts, repetitions; and choices by a predicted condition. */
import { describe, expect, it } from 'vitest';
import { tf } from '../../../lib/tensor/tf';
import { backends, normals, on } from './backends';
import { coordinates, expectLikeLoop, type Loop, offset } from './differences';

const shape = [2, 3, 4] as const;

/** Reduces [2, 3, 4] over some axes. */
function reduced(axes: readonly number[], reduce: (values: number[]) => number): Loop {
  return (x) => {
    const groups = new Map<string, number[]>();
    for (const at of coordinates(shape)) {
      const key = at.filter((_, axis) => !axes.includes(axis)).join();
      const group = groups.get(key) ?? [];
      groups.set(key, group);
      group.push(x[offset(at, shape)]);
    }
    return [...groups.values()].map(reduce);
  };
}

describe.each(backends)('reductions on %s', (backend) => {
  on(backend);
  const x = normals(24, 'x');

  const reductions = {
    max: (values: number[]) => Math.max(...values),
    min: (values: number[]) => Math.min(...values),
    prod: (values: number[]) => values.reduce((a, b) => a * b, 1),
  };
  const cases = (Object.keys(reductions) as (keyof typeof reductions)[]).flatMap((name) =>
    [[-1], [0], [1, -1], [0, 2], [0, 1, 2]].flatMap((axes) =>
      [false, true].map((keepDims) => ({ name, axes, keepDims })),
    ),
  );
  it.each(cases)('$name over $axes, keepDims $keepDims', ({ name, axes, keepDims }) => {
    const counted = axes.map((axis) => (axis < 0 ? axis + 3 : axis));
    expectLikeLoop((a) => tf[name](a, axes, keepDims), reduced(counted, reductions[name]), x, shape);
  });

  it('a product with a zero, and with two', () => {
    const zeros = Float32Array.from([2, 0, 3, 4, 0, 5, 0, 2, 1, 2, 3, 4, ...x.slice(0, 12)]);
    expectLikeLoop((a) => tf.prod(a, 2), reduced([2], reductions.prod), zeros, shape);
  });

  it('share the gradient among equal extremes', () => {
    tf.tidy(() => {
      const ties = tf.tensor2d([1, 3, 3, 2, 2, 2], [2, 3]);
      const dy = tf.tensor1d([1, 6]);
      const gradient = (f: (a: tf.Tensor) => tf.Tensor): number[] =>
        Array.from(tf.grad(f)(ties, dy).dataSync());
      expect(gradient((a) => tf.max(a, 1))).toEqual([0, 0.5, 0.5, 2, 2, 2]);
      expect(gradient((a) => tf.min(a, 1))).toEqual([1, 0, 0, 2, 2, 2]);
    });
  });
});

describe.each(backends)('repetitions and choices on %s', (backend) => {
  on(backend);

  it.each([
    ['a vector', [3], [4]],
    ['an image, along every axis', [1, 2, 3, 2], [3, 2, 1, 2]],
    ['five axes', [2, 1, 2, 1, 3], [1, 3, 2, 2, 1]],
    ['once', [2, 3], [1, 1]],
  ] as const)('tile: %s', (_, of, reps) => {
    const out = of.map((length, axis) => length * reps[axis]);
    expectLikeLoop(
      (x) => tf.tile(x, [...reps]),
      (x) =>
        coordinates(out).map(
          (at) =>
            x[
              offset(
                at.map((c, axis) => c % of[axis]),
                of,
              )
            ],
        ),
      normals(
        of.reduce<number>((a, b) => a * b, 1),
        'x',
      ),
      of,
    );
  });

  it('broadcastTo', () => {
    expectLikeLoop(
      (x) => tf.broadcastTo(x, [50, 3, 2]),
      (x) => Array.from({ length: 300 }, (_, i) => x[Math.floor(i / 2) % 3]),
      normals(3, 'x'),
      [3, 1],
    );
  });

  it('where, by a condition on what is differentiated, with branches of different shapes', () => {
    expectLikeLoop(
      (x) => tf.where(tf.greater(tf.square(x), 0.5), tf.mul(x, tf.square(x)), tf.sum(x)),
      (x) => Array.from(x, (v) => (v * v > 0.5 ? v ** 3 : Array.from(x).reduce((a, b) => a + b, 0))),
      normals(24, 'x'),
      shape,
    );
  });

  it('cast to integers or truth values lets nothing through, cast back to floats everything', () => {
    tf.tidy(() => {
      const x = tf.tensor1d([-1.5, 0.2, 2.7]);
      const gradient = (f: (a: tf.Tensor) => tf.Tensor): number[] => Array.from(tf.grad(f)(x).dataSync());
      expect(gradient((a) => tf.mul(a, tf.cast(tf.cast(a, 'int32'), 'float32')))).toEqual([-1, 0, 2]);
      expect(gradient((a) => tf.mul(a, tf.cast(tf.cast(a, 'bool'), 'float32')))).toEqual([1, 1, 1]);
      expect(gradient((a) => tf.cast(a, 'float32'))).toEqual([1, 1, 1]);
      expect(Array.from(tf.cast(tf.tensor1d([256, 0, -3], 'int32'), 'bool').dataSync())).toEqual([1, 0, 1]);
    });
  });
});
