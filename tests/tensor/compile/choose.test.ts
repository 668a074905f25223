/** Choices within a step: the same numbers as in an eager step that runs the chosen branch alone, on every backend. */
import { describe, expect, it } from 'vitest';
import { choose, whereChosen } from '../../../lib/tensor/compile/choose';
import { compile } from '../../../lib/tensor/compile/compile';
import { CompileError } from '../../../lib/tensor/compile/errors';
import { updateWhere } from '../../../lib/tensor/compile/update-where';
import { tf } from '../../../lib/tensor/tf';
import { backends, on } from '../kernels/backends';
import { testVariables, values } from './variables';

const variable = testVariables();

/** A network of two blocks with three branches each, as plain numbers: `y = a x`, `y = a x^2`, `y = a + x`, element by element. */
const forward = [
  (a: number, x: number) => a * x,
  (a: number, x: number) => a * x * x,
  (a: number, x: number) => a + x,
];
const byA = [(_: number, x: number) => x, (_: number, x: number) => x * x, () => 1];
const byX = [(a: number) => a, (a: number, x: number) => 2 * a * x, () => 1];
const branches = (weights: readonly tf.Variable<tf.Rank.R1>[]) => [
  (x: tf.Tensor1D): tf.Tensor1D => tf.mul(weights[0], x),
  (x: tf.Tensor1D): tf.Tensor1D => tf.mul(weights[1], tf.square(x)),
  (x: tf.Tensor1D): tf.Tensor1D => tf.add(weights[2], x),
];

for (const backend of backends) {
  describe(`a choice on ${backend}`, () => {
    on(backend);

    it('runs the chosen branches, updates their weights and velocities, and leaves all others as they were', () => {
      const start = [
        [0.5, -1],
        [0.25, 2],
        [1, -0.5],
      ];
      const blocks = [0, 1].map((block) =>
        start.map((own) => variable(own.map((value) => value + block / 8))),
      );
      const velocities = blocks.map((block) => block.map(() => variable([0, 0])));
      const all = blocks.flat();
      const moving = velocities.flat();
      const [rate, momentum, decay] = [0.05, 0.9, 0.01];
      const step = compile(({ x, path }: { x: tf.Tensor1D; path: tf.Tensor1D }) => {
        const { value, grads } = tf.variableGrads(() => {
          let y = tf.mul(x, 1) as tf.Tensor1D;
          blocks.forEach((weights, block) => (y = choose(path, block, y, branches(weights))));
          return tf.sum(tf.square(y)) as tf.Scalar;
        }, all);
        const given = all.map(({ name }) => grads[name] as tf.Tensor | undefined);
        const squares = given.map((gradient) =>
          gradient ? whereChosen(tf.sum(tf.square(gradient))) : tf.scalar(0),
        );
        const norm = tf.sqrt(tf.sum(tf.stack(squares)));
        updateWhere(tf.less(norm, 1e6), () => {
          all.forEach((weight, i) => {
            const gradient = given[i];
            if (!gradient) return;
            const velocity = tf.add(tf.mul(moving[i], momentum), tf.add(gradient, tf.mul(weight, decay)));
            moving[i].assign(velocity as tf.Tensor1D);
            weight.assign(tf.sub(weight, tf.mul(velocity, rate)) as tf.Tensor1D);
          });
        });
        return { value, norm };
      });

      // The same in scalar arithmetic.
      const w = blocks.map((block) => block.map((weight) => values(weight)));
      const v = w.map((block) => block.map((own) => own.map(() => 0)));
      const paths = [];
      for (let i = 0; i < 9; i++) paths.push([i % 3, Math.floor(i / 3)]);
      paths.push([2, 1], [2, 1], [0, 0], [1, 2]);
      for (const [call, path] of paths.entries()) {
        const x = [0.3 + 0.05 * call, -0.4];
        const [input, chosen] = [tf.tensor1d(x), tf.tensor1d(path, 'int32')];
        const result = step({ x: input, path: chosen });
        const [loss, norm] = [values(result.value)[0], values(result.norm)[0]];
        tf.dispose([input, chosen, result.value, result.norm]);

        const middle = x.map((one, j) => forward[path[0]](w[0][path[0]][j], one));
        const last = middle.map((one, j) => forward[path[1]](w[1][path[1]][j], one));
        const dLast = last.map((one) => 2 * one);
        const second = dLast.map((d, j) => d * byA[path[1]](w[1][path[1]][j], middle[j]));
        const dMiddle = dLast.map((d, j) => d * byX[path[1]](w[1][path[1]][j], middle[j]));
        const first = dMiddle.map((d, j) => d * byA[path[0]](w[0][path[0]][j], x[j]));
        expect(loss).toBeCloseTo(
          last.reduce((sum, one) => sum + one * one, 0),
          4,
        );
        expect(norm).toBeCloseTo(Math.hypot(...first, ...second), 4);
        [first, second].forEach((gradient, block) =>
          gradient.forEach((d, j) => {
            const own = path[block];
            v[block][own][j] = momentum * v[block][own][j] + d + decay * w[block][own][j];
            w[block][own][j] -= rate * v[block][own][j];
          }),
        );
        blocks.forEach((block, i) =>
          block.forEach((weight, k) => {
            values(weight).forEach((value, j) => expect(value).toBeCloseTo(w[i][k][j], 4));
            values(velocities[i][k]).forEach((value, j) => expect(value).toBeCloseTo(v[i][k][j], 4));
          }),
        );
      }
      if (step.mode === 'graph') expect(step.graphs).toBe(1);
      step.dispose();
    });

    it('an update that does not take place leaves the chosen branch as it was, too', () => {
      const weights = [variable([1, 1]), variable([2, 2]), variable([3, 3])];
      const step = compile(({ path, limit }: { path: tf.Tensor1D; limit: tf.Scalar }) => {
        const { value, grads } = tf.variableGrads(
          () => tf.sum(choose(path, 0, tf.tensor1d([1, 2]), branches(weights))) as tf.Scalar,
          weights,
        );
        updateWhere(tf.less(value, limit), () => {
          for (const weight of weights) {
            const gradient = grads[weight.name] as tf.Tensor | undefined;
            if (gradient) weight.assign(tf.sub(weight, gradient) as tf.Tensor1D);
          }
        });
        return value;
      });
      const run = (choice: number, limit: number): number[] => {
        const path = tf.tensor1d([choice], 'int32');
        step({ path, limit }).dispose();
        path.dispose();
        return weights.map((weight) => values(weight)[1]);
      };
      expect(run(0, 0)).toEqual([1, 2, 3]);
      expect(run(0, 100)).toEqual([-1, 2, 3]);
      expect(run(1, 100)).toEqual([-1, -2, 3]);
      expect(run(2, -100)).toEqual([-1, -2, 3]);
      expect(run(2, 100)).toEqual([-1, -2, 2]);
      expect(run(1, -100)).toEqual([-1, -2, 2]);
      step.dispose();
    });

    it('chooses in inference, one graph for all paths', () => {
      const weights = [variable([1, 1]), variable([2, 2]), variable([3, 3])];
      const step = compile(({ path }: { path: tf.Tensor1D }) =>
        choose(path, 1, tf.tensor1d([2, 3]), branches(weights)),
      );
      const results = [0, 1, 2, 1, 0].map((choice) => {
        const path = tf.tensor1d([7, choice], 'int32');
        const result = step({ path });
        const numbers = values(result);
        tf.dispose([path, result]);
        return numbers;
      });
      expect(results).toEqual([
        [2, 3],
        [8, 18],
        [5, 6],
        [8, 18],
        [2, 3],
      ]);
      step.dispose();
    });

    it('a number without a branch is an error', () => {
      const path = tf.tensor1d([3], 'int32');
      const branch = (x: tf.Tensor): tf.Tensor => tf.mul(x, 2);
      expect(() => choose(path, 0, tf.scalar(1), [branch, branch])).toThrow(
        'choose: path[0] is 3; there are branches 0 to 1',
      );
      path.dispose();
    });
  });
}

describe('a choice in a graph', () => {
  on('tensorflow');
  const compiled = (step: (path: tf.Tensor1D, x: tf.Tensor1D) => tf.Tensor): (() => void) => {
    return () => {
      const path = tf.tensor1d([0, 1], 'int32');
      const x = tf.tensor1d([1, 2]);
      try {
        compile(({ p, v }: { p: tf.Tensor1D; v: tf.Tensor1D }) => step(p, v))({ p: path, v: x });
      } finally {
        tf.dispose([path, x]);
      }
    };
  };
  const twice = (x: tf.Tensor1D): tf.Tensor1D => tf.mul(x, 2);

  it('refuses to hand out what a run may leave out', () => {
    let inside: tf.Tensor | undefined;
    const leak = compiled((path, x) => {
      const y = choose(path, 0, x, [(one) => (inside = twice(one)) as tf.Tensor1D, twice]);
      y.dispose();
      return inside as tf.Tensor;
    });
    expect(leak).toThrow(CompileError);
    expect(leak).toThrow(/returns what a run may leave out/);
  });

  it('refuses a sum over branches, naming the operation', () => {
    const seen: tf.Tensor1D[] = [];
    const sum = compiled((path, x) => {
      seen.length = 0;
      choose(
        path,
        0,
        x,
        [0, 1].map(() => (one: tf.Tensor1D) => (seen[seen.length] = twice(one))),
      );
      return tf.add(seen[0], seen[1]);
    });
    expect(sum).toThrow(/'Add' takes what two choices compute/);
  });

  it('refuses a choice within a choice', () => {
    const inner = compiled((path, x) =>
      choose(path, 0, x, [(one) => choose(path, 1, one, [twice, twice]), twice]),
    );
    expect(inner).toThrow(/a choice within a choice/);
  });
});
