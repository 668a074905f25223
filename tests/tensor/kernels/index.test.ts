/** Gather, gatherND, scatterND, topk and stridedSlice: values, gradients and errors on every backend. */
import { describe, expect, it, vi } from 'vitest';
import { compile } from '../../../lib/tensor/compile/compile';
import { tf } from '../../../lib/tensor/tf';
import { backends, expectClose, expectNoLeak, normals, on, randomTensor } from './backends';
import { coordinates, expectLikeLoop, type Loop, offset } from './differences';

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
const ids = (values: readonly number[], shape: readonly number[]): tf.Tensor =>
  tf.tensor([...values], [...shape], 'int32');

/** tf.gather(x, indices, axis, batchDims), an entry at a time. */
function gatherLoop(
  shape: readonly number[],
  indices: readonly number[],
  indexShape: readonly number[],
  axis: number,
  batchDims: number,
): Loop {
  const picked = indexShape.slice(batchDims);
  const out = [...shape.slice(0, axis), ...picked, ...shape.slice(axis + 1)];
  return (x) =>
    coordinates(out).map((at) => {
      const which =
        indices[offset([...at.slice(0, batchDims), ...at.slice(axis, axis + picked.length)], indexShape)];
      return x[offset([...at.slice(0, axis), which, ...at.slice(axis + picked.length)], shape)];
    });
}

describe.each(backends)('gather on %s', (backend) => {
  on(backend);

  it.each([
    ['rows, one of them twice', [4, 3], [2, 0, 2], [3], 0, 0],
    ['long rows', [3, 2, 30], [2, 0, 2, 1], [4], 0, 0],
    ['a table of rows', [4, 2, 3], [0, 3, 3, 1], [2, 2], 0, 0],
    ['one row, by a scalar', [4, 3], [2], [], 0, 0],
    ['along the last axis', [2, 3, 4], [3, 1, 3], [3], -1, 0],
    ['along the middle axis', [2, 3, 4], [2, 0], [2], 1, 0],
    ['each row of a batch its own', [3, 4], [0, 3, 1, 1, 2, 0], [3, 2], 1, 1],
    ['a batch of one column', [4, 2], [1, 0, 0, 1], [4, 1], 1, 1],
    ['boxes of each image', [2, 5, 4], [4, 0, 4, 1, 2, 2], [2, 3], 1, 1],
    ['a batch, along a later axis', [2, 3, 4], [3, 0, 1, 1], [2, 2], 2, 1],
    ['two batch axes', [2, 3, 4], [0, 1, 2, 3, 0, 1, 1, 1, 2, 2, 3, 3], [2, 3, 2], 2, 2],
    ['two batch axes, an axis between', [2, 2, 3, 4], [0, 3, 1, 2], [2, 2], -1, 2],
  ] as const)('%s', (_, shape, indices, indexShape, axis, batchDims) => {
    const positive = axis < 0 ? axis + shape.length : axis;
    expectLikeLoop(
      (x) => tf.gather(x, ids(indices, indexShape), axis, batchDims),
      gatherLoop(shape, indices, indexShape, positive, batchDims),
      normals(size(shape), 'x'),
      shape,
    );
  });

  it('takes integers and truth values, and nothing', () => {
    tf.tidy(() => {
      const pick = (x: tf.Tensor): unknown => tf.gather(x, ids([2, 0], [2])).arraySync();
      expect(pick(tf.tensor1d([5, 6, 7], 'int32'))).toEqual([7, 5]);
      expect(pick(tf.tensor1d([1, 0, 0], 'bool'))).toEqual([0, 1]);
      expect(tf.gather(tf.ones([3, 2]), ids([], [0])).shape).toEqual([0, 2]);
      const none = tf.grad((x) => tf.gather(x, ids([], [0])))(tf.ones([3, 2]));
      expectClose(none.dataSync(), [0, 0, 0, 0, 0, 0], 0, 'gradient of nothing');
    });
  });

  it.each([4, -1])('refuses index %d of 3 rows, naming both', (index) => {
    const x = tf.ones([3, 2]);
    const indices = ids([0, index], [2]);
    expect(() => tf.gather(x, indices)).toThrow(new RegExp(`(value|=) ${index} is not in \\[0, [23]`));
    // of a batch, the index of the second image is wrong
    const batch = ids([0, 1, 0, index], [2, 2]);
    expect(() => tf.gather(tf.ones([2, 3, 2]), batch, 1, 1)).toThrow(String(index));
    tf.dispose([x, indices, batch]);
  });

  it('leaks nothing', () => {
    const x = randomTensor<tf.Rank.R3>([2, 4, 3], 1);
    const indices = ids([1, 1, 3, 0], [2, 2]);
    expectNoLeak(() => tf.gather(x, indices, 1, 1).dispose());
    expectNoLeak(() => {
      const f = (a: tf.Tensor): tf.Tensor => tf.gather(a, indices, 1, 1);
      tf.grad(f)(x).dispose();
    });
    tf.dispose([x, indices]);
  });
});

describe.each(backends.filter((name) => name === 'tensorflow'))('gather on %s', (backend) => {
  on(backend);

  it('reads no value: a step that selects and differentiates can be compiled', () => {
    const read = vi.spyOn(tf.backend(), 'readSync');
    const step = compile(({ x }: { x: tf.Tensor3D }) => {
      const best = (a: tf.Tensor): tf.Tensor => tf.gather(a, tf.topk(tf.sum(a, 2), 2).indices, 1, 1).square();
      return { best: best(x), gradient: tf.grad((a) => best(a).sum())(x) };
    });
    for (let i = 0; i < 4; i++) {
      const x = randomTensor<tf.Rank.R3>([2, 5, 3], i);
      const { best, gradient } = step({ x });
      expect(read).not.toHaveBeenCalled();
      const values = x.dataSync();
      const sums = Array.from(
        { length: 10 },
        (_, row) => values[3 * row] + values[3 * row + 1] + values[3 * row + 2],
      );
      const rows = [0, 5].flatMap((first) =>
        [0, 1, 2, 3, 4]
          .map((row) => first + row)
          .sort((a, b) => sums[b] - sums[a])
          .slice(0, 2),
      );
      expectClose(
        best.dataSync(),
        rows.flatMap((row) => [0, 1, 2].map((c) => values[3 * row + c] ** 2)),
        1e-6,
        'selected',
      );
      expectClose(
        gradient.dataSync(),
        Array.from(values, (v, j) => (rows.includes(Math.floor(j / 3)) ? 2 * v : 0)),
        1e-6,
        'gradient',
      );
      tf.dispose([x, best, gradient]);
      read.mockClear();
    }
    expect(step.graphs).toBe(1);
    step.dispose();
    read.mockRestore();
  });

  it('names the op, the index and the sizes', () => {
    tf.tidy(() => {
      expect(() => tf.gather(tf.ones([2, 3]), ids([0, 1, 7, 1], [2, 2]), 1, 1)).toThrow(
        'gather: indices[1,0] = 7 is not in [0, 3): axis 1 of x [2,3] has 3 entries (indices have shape [2,2])',
      );
    });
  });
});

describe.each(backends)('gatherND and scatterND on %s', (backend) => {
  on(backend);

  it.each([
    ['single entries, one of them twice', [3, 4], [0, 1, 2, 3, 0, 1], [3, 2]],
    ['rows', [4, 3], [2, 0, 2], [3, 1]],
    ['rows, by a table', [2, 3, 4], [1, 2, 0, 0, 1, 1, 1, 2], [2, 2, 2]],
  ] as const)('%s', (_, shape, indices, indexShape) => {
    const depth = indexShape[indexShape.length - 1];
    const count = indices.length / depth;
    const inner = size(shape.slice(depth));
    const row = (k: number): number =>
      offset(indices.slice(k * depth, (k + 1) * depth), shape.slice(0, depth)) * inner;
    expectLikeLoop(
      (x) => tf.gatherND(x, ids(indices, indexShape)),
      (x) => Array.from({ length: count * inner }, (_, i) => x[row(Math.floor(i / inner)) + (i % inner)]),
      normals(size(shape), 'x'),
      shape,
    );
    expectLikeLoop(
      (updates) => tf.scatterND(ids(indices, indexShape), updates, [...shape]),
      (updates) => {
        const out = Array.from({ length: size(shape) }, () => 0);
        for (let i = 0; i < updates.length; i++) out[row(Math.floor(i / inner)) + (i % inner)] += updates[i];
        return out;
      },
      normals(count * inner, 'updates'),
      [...indexShape.slice(0, -1), ...shape.slice(depth)],
    );
  });

  it('refuse what lies outside', () => {
    tf.tidy(() => {
      expect(() => tf.gatherND(tf.ones([2, 3]), ids([0, 0, 1, 5], [2, 2]))).toThrow(/1, ?5/);
      expect(() => tf.scatterND(ids([1, 4], [2, 1]), tf.ones([2, 3]), [4, 3])).toThrow(/\b4\b/);
      expect(() => tf.scatterND(ids([-1], [1, 1]), tf.ones([1, 3]), [4, 3])).toThrow(/-1/);
    });
  });
});

describe.each(backends)('topk on %s', (backend) => {
  on(backend);

  it.each([
    ['of a vector', [7], 3],
    ['of each row', [3, 5], 2],
    ['of each row of a batch', [2, 3, 4], 4],
  ] as const)('%s', (_, shape, k) => {
    const length = shape[shape.length - 1];
    expectLikeLoop(
      (x) => tf.topk(x, k).values,
      (x) =>
        Array.from({ length: x.length / length }, (_, row) =>
          Array.from({ length }, (_, i) => x[row * length + i])
            .sort((a, b) => b - a)
            .slice(0, k),
        ).flat(),
      normals(size(shape), 'scores'),
      shape,
    );
  });

  it('takes the first of equal scores, and differentiates it', () => {
    tf.tidy(() => {
      const gradient = tf.grad((x) => tf.topk(x, 2).values)(tf.tensor1d([1, 3, 3, 3]), tf.tensor1d([5, 7]));
      expect(Array.from(gradient.dataSync())).toEqual([0, 5, 7, 0]);
    });
  });

  it('may select what else is learned: gradients flow into the boxes and the scores, not through the indices', () => {
    const shape = [2, 5, 5] as const;
    expectLikeLoop(
      (x) => {
        const [boxes, scores] = tf.split(x, [4, 1], 2);
        const best = tf.topk(scores.squeeze([2]), 3);
        return tf.mul(tf.gather(boxes, best.indices, 1, 1), best.values.expandDims(2));
      },
      (x) =>
        [0, 1].flatMap((image) => {
          const entry = (row: number, column: number): number => x[(image * 5 + row) * 5 + column];
          const order = [0, 1, 2, 3, 4].sort((a, b) => entry(b, 4) - entry(a, 4)).slice(0, 3);
          return order.flatMap((row) => [0, 1, 2, 3].map((column) => entry(row, column) * entry(row, 4)));
        }),
      normals(size(shape), 'x'),
      shape,
    );
  });
});

describe.each(backends)('stridedSlice on %s', (backend) => {
  on(backend);

  /** Arguments of tf.stridedSlice of [3, 4, 5], and what they take of each axis. */
  const cases: Record<string, { arguments: unknown[]; taken: number[][]; shape: number[] }> = {
    'a plain slice': {
      arguments: [
        [0, 1, 0],
        [2, 3, 5],
        [1, 1, 1],
      ],
      taken: [
        [0, 1],
        [1, 2],
        [0, 1, 2, 3, 4],
      ],
      shape: [2, 2, 5],
    },
    'steps of two and three': {
      arguments: [
        [0, 0, 1],
        [3, 4, 5],
        [2, 3, 2],
      ],
      taken: [
        [0, 2],
        [0, 3],
        [1, 3],
      ],
      shape: [2, 2, 2],
    },
    'steps that end before the edge': {
      arguments: [
        [1, 0, 0],
        [2, 4, 4],
        [1, 1, 3],
      ],
      taken: [[1], [0, 1, 2, 3], [0, 3]],
      shape: [1, 4, 2],
    },
    backwards: {
      arguments: [
        [2, 3, 4],
        [0, 0, 0],
        [-1, -2, -3],
      ],
      taken: [
        [2, 1],
        [3, 1],
        [4, 1],
      ],
      shape: [2, 2, 2],
    },
    'backwards to the beginning, by a mask': {
      arguments: [[0, 3, 0], [3, 0, 5], [1, -1, 1], 0, 2],
      taken: [
        [0, 1, 2],
        [3, 2, 1, 0],
        [0, 1, 2, 3, 4],
      ],
      shape: [3, 4, 5],
    },
    'counted from the end': {
      arguments: [
        [-2, 0],
        [-1, -1],
        [1, 2],
      ],
      taken: [[1], [0, 2], [0, 1, 2, 3, 4]],
      shape: [1, 2, 5],
    },
    'an axis dropped': {
      arguments: [[1, 0, 0], [2, 4, 5], [1, 1, 1], 0, 0, 0, 0, 1],
      taken: [[1], [0, 1, 2, 3], [0, 1, 2, 3, 4]],
      shape: [4, 5],
    },
    'an axis dropped, steps in another': {
      arguments: [[1, 0, 0], [2, 4, 5], [1, 2, 1], 0, 0, 0, 0, 1],
      taken: [[1], [0, 2], [0, 1, 2, 3, 4]],
      shape: [2, 5],
    },
    'an axis added': {
      arguments: [[0, 0, 1], [3, 0, 4], [2, 1, 1], 0, 0, 0, 2, 0],
      taken: [
        [0, 2],
        [1, 2, 3],
        [0, 1, 2, 3, 4],
      ],
      shape: [2, 1, 3, 5],
    },
    'all but the last axis, by an ellipsis': {
      arguments: [[0, 1], [0, 4], [1, 2], 0, 0, 1],
      taken: [
        [0, 1, 2],
        [0, 1, 2, 3],
        [1, 3],
      ],
      shape: [3, 4, 2],
    },
    nothing: {
      arguments: [
        [0, 2, 0],
        [3, 2, 5],
        [1, 1, 1],
      ],
      taken: [[0, 1, 2], [], [0, 1, 2, 3, 4]],
      shape: [3, 0, 5],
    },
  };

  it.each(Object.keys(cases))('%s', (key) => {
    const { arguments: rest, taken, shape } = cases[key];
    const f = (x: tf.Tensor): tf.Tensor =>
      tf.stridedSlice(x, ...(rest as [number[], number[], number[], number, number, number, number, number]));
    expectLikeLoop(
      f,
      (x) => taken[0].flatMap((a) => taken[1].flatMap((b) => taken[2].map((c) => x[(a * 4 + b) * 5 + c]))),
      normals(60, 'x'),
      [3, 4, 5],
    );
    tf.tidy(() => {
      expect(f(tf.ones([3, 4, 5])).shape).toEqual(shape);
    });
  });
});
