import { beforeEach, describe, expect, it } from 'vitest';
import { compile } from '../../../lib/tensor/compile/compile';
import { CompileError } from '../../../lib/tensor/compile/errors';
import { nodeBackend } from '../../../lib/tensor/compile/node-backend';
import { updateWhere } from '../../../lib/tensor/compile/update-where';
import { mendEngine } from '../../../lib/tensor/mend';
import { tf } from '../../../lib/tensor/tf';
import { backends, on } from '../kernels/backends';
import { read, testVariables, values } from './variables';

const variable = testVariables();

/** The line of this file that `error` names. */
function lineOf(error: unknown): string {
  return /compile\.test\.ts:(\d+)/.exec((error as Error).message)?.[1] ?? 'none';
}

/** The line that calls this, plus `offset`. */
function line(offset: number): string {
  const frame = (new Error().stack ?? '').split('\n')[2];
  return String(Number(/:(\d+):\d+\)?$/.exec(frame)?.[1]) + offset);
}

function failure(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

for (const backend of backends) {
  describe(`a compiled step on ${backend}`, () => {
    on(backend);

    it('does what the step does, call after call, with numbers and tensors as inputs', () => {
      const w = variable([1, 2, 3]);
      const step = compile(({ x, rate }: { x: tf.Tensor1D; rate: tf.Scalar }) => {
        const { value, grads } = tf.variableGrads(() => w.mul(x).square().sum() as tf.Scalar, [w]);
        w.assign(w.sub(grads[w.name].mul(rate)));
        return { loss: value, seen: [w.mul(1)] };
      });
      const expected = [1, 2, 3];
      for (let i = 0; i < 6; i++) {
        const x = [i, 1, -1];
        const rate = 0.1 / (i + 1);
        const loss = expected.reduce((sum, w, j) => sum + (w * x[j]) ** 2, 0);
        expected.forEach((w, j) => (expected[j] = w - rate * 2 * w * x[j] ** 2));
        const input = tf.tensor1d(x);
        const result = step({ x: input, rate });
        input.dispose();
        expect(read(result.loss)[0]).toBeCloseTo(loss, 4);
        read(result.seen[0]).forEach((value, j) => expect(value).toBeCloseTo(expected[j], 4));
      }
      values(w).forEach((value, j) => expect(value).toBeCloseTo(expected[j], 4));
      step.dispose();
    });

    it('sees what is assigned between calls, and keeps what was read', () => {
      const w = variable([1, 1]);
      const step = compile(() => {
        w.assign(w.mul(2));
      });
      for (let i = 0; i < 4; i++) step({});
      expect(values(w)).toEqual([16, 16]);
      const before = w.clone();
      step({});
      step({});
      expect(read(before)).toEqual([16, 16]);
      expect(values(w)).toEqual([64, 64]);
      tf.tidy(() => w.assign(tf.tensor1d([3, 5])));
      step({});
      expect(values(w)).toEqual([6, 10]);
      step({});
      step.dispose();
      expect(values(w)).toEqual([12, 20]);
    });

    it('shares variables with other compiled steps and with other shapes of its own', () => {
      const w = variable([1]);
      const average = variable([0]);
      const train = compile(({ x }: { x: tf.Tensor1D }) => {
        w.assign(w.add(x.sum()));
      });
      const infer = compile(({ x }: { x: tf.Tensor1D }) => x.mul(w));
      let expected = 1;
      for (let i = 0; i < 5; i++) {
        for (const length of [1, 3]) {
          const x = tf.ones([length]) as tf.Tensor1D;
          train({ x });
          expected += length;
          expect(read(infer({ x }))).toEqual(Array.from({ length }, () => expected));
          x.dispose();
        }
        tf.tidy(() => average.assign(average.mul(0.5).add(w.mul(0.5))));
      }
      expect(values(w)).toEqual([expected]);
      // 21, 17, 13, 9 and 5, the older the less
      expect(values(average)).toEqual([21 / 2 + 17 / 4 + 13 / 8 + 9 / 16 + 5 / 32]);
      expect(train.graphs).toBe(backend === 'tensorflow' ? 2 : 0);
      expect(train.mode).toBe(backend === 'tensorflow' ? 'graph' : 'eager');
      train.dispose();
      infer.dispose();
      expect(values(w)).toEqual([expected]);
    });

    it('returns inputs, variables, constants, whole numbers and truths as tensors of their own', () => {
      const w = variable([7]);
      const step = compile(({ x }: { x: tf.Tensor1D }) => ({
        x,
        w: w.clone(),
        five: tf.scalar(5),
        index: x.argMax(),
        above: [x.greater(1), undefined],
      }));
      const x = tf.tensor1d([1, 3]);
      for (let i = 0; i < 4; i++) {
        const result = step({ x });
        expect([result.index.dtype, (result.above[0] as tf.Tensor).dtype]).toEqual(['int32', 'bool']);
        expect(
          [result.x, result.w, result.five, result.index, result.above[0] as tf.Tensor].map(values),
        ).toEqual([[1, 3], [7], [5], [1], [0, 1]]);
        tf.dispose(result as tf.TensorContainer);
        expect(values(x)).toEqual([1, 3]);
      }
      x.dispose();
      step.dispose();
    });

    it('swaps variables, and reads each as it was when the step began', () => {
      const [a, b] = [variable([1]), variable([2])];
      const step = compile(() => {
        const was = a.clone();
        a.assign(b);
        b.assign(was);
        a.assign(a.mul(10));
        return was;
      });
      for (const [was, then] of [
        [1, [20, 1]],
        [20, [10, 20]],
        [10, [200, 10]],
        [200, [100, 200]],
      ] as const) {
        expect(read(step({}))).toEqual([was]);
        expect([values(a)[0], values(b)[0]]).toEqual(then);
      }
      step.dispose();
    });

    it("runs TensorFlow.js's own optimisers", () => {
      for (const make of [
        () => tf.train.momentum(0.1, 0.9),
        () => tf.train.adam(0.1),
        () => tf.train.sgd(0.1),
      ]) {
        const results = [false, true].map((compiled) => {
          const w = variable([1, -2]);
          const optimizer = make();
          const plain = (): tf.Scalar =>
            optimizer.minimize(() => w.square().sum() as tf.Scalar, true, [w]) as tf.Scalar;
          const step = compiled ? compile(plain) : undefined;
          const losses = Array.from({ length: 6 }, () => read(step ? step({}) : tf.tidy(plain))[0]);
          step?.dispose();
          optimizer.dispose();
          return [...losses, ...values(w)];
        });
        results[1].forEach((value, i) => expect(value).toBeCloseTo(results[0][i], 5));
      }
    });

    it('updates only where the condition holds', () => {
      const [w, v] = [variable([1]), variable([10])];
      const step = compile(({ x }: { x: tf.Scalar }) => {
        updateWhere(tf.isFinite(x), () => {
          w.assign(w.add(x) as tf.Tensor1D);
          w.assign(w.mul(2));
        });
        // What comes after sees the outcome.
        v.assign(v.add(w));
      });
      const expected = [1, 10];
      for (const x of [1, NaN, 2, Infinity, 3, NaN, 4]) {
        step({ x });
        if (Number.isFinite(x)) expected[0] = (expected[0] + x) * 2;
        expected[1] += expected[0];
        expect([values(w)[0], values(v)[0]]).toEqual(expected);
      }
      step.dispose();
    });

    it('runs as it is inside a gradient and inside another compiled step', () => {
      const square = compile(({ x }: { x: tf.Scalar }) => x.square());
      const outer = compile(({ x }: { x: tf.Scalar }) => square({ x }).add(1));
      for (let i = 0; i < 4; i++) {
        expect(
          tf.tidy(() => values(tf.grad((x) => square({ x: x as tf.Scalar }) as tf.Tensor)(tf.scalar(3)))),
        ).toEqual([6]);
        expect(read(outer({ x: 3 }))).toEqual([10]);
        expect(read(square({ x: 4 }))).toEqual([16]);
      }
      square.dispose();
      outer.dispose();
    });

    it('keeps no tensor, however often it is called', () => {
      const w = variable([1, 2]);
      const step = compile(({ x, rate }: { x: tf.Tensor1D; rate: tf.Scalar }) => {
        w.assign(w.sub(x.mul(rate)));
        return w.sum();
      });
      const x = tf.tensor1d([1, 1]);
      const call = (): void => step({ x, rate: 0.01 }).dispose();
      for (let i = 0; i < 10; i++) call();
      const native = nodeBackend()?.binding;
      const before = [tf.memory().numTensors, tf.memory().numBytes, native?.getNumOfTensors()];
      for (let i = 0; i < 1000; i++) call();
      expect([tf.memory().numTensors, tf.memory().numBytes, native?.getNumOfTensors()]).toEqual(before);
      x.dispose();
      step.dispose();
      expect(native?.getNumOfSavedModels() ?? 0).toBe(0);
    });

    it('refuses what is no input, no output and no step', () => {
      const echo = compile(({ x }: { x: tf.Tensor }) => x);
      expect(() => echo({ x: undefined as unknown as tf.Tensor })).toThrow(
        "compile: the input 'x' must be a tensor or a number, got undefined",
      );
      const late = compile((async () => tf.scalar(1)) as unknown as () => tf.Tensor);
      expect(() => late({})).toThrow(/the step is async/);
      echo.dispose();
      expect(() => echo({ x: 1 })).toThrow(/has been disposed/);
    });
  });
}

describe('a step that is no graph', () => {
  on('tensorflow');
  let tensors = 0;
  beforeEach(() => {
    tensors = tf.memory().numTensors;
  });

  it('is told at which line it reads a value', () => {
    const step = compile(({ x }: { x: tf.Scalar }) => {
      const positive = x.dataSync()[0] > 0;
      return positive ? x.mul(2) : x;
    });
    const error = failure(() => step({ x: 1 }));
    expect(error).toBeInstanceOf(CompileError);
    expect((error as Error).message).toMatch(/the value of a tensor is read in JavaScript/);
    expect(lineOf(error)).toBe(line(-6));
    step.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it('is told so of a variable, too, that nothing has used before', () => {
    const w = variable([1]);
    const step = compile(({ x }: { x: tf.Scalar }) => x.mul(w.dataSync()[0]));
    expect(() => step({ x: 1 })).toThrow(/the value of a tensor is read/);
    step.dispose();
  });

  it('may read what is the same at every run', () => {
    const step = compile(({ x }: { x: tf.Scalar }) => x.mul(tf.scalar(2).add(1).dataSync()[0]));
    for (let i = 1; i < 5; i++) expect(read(step({ x: i }))).toEqual([3 * i]);
    step.dispose();
  });

  it('is told which value from JavaScript changed, and where', () => {
    let rate = 1;
    const step = compile(({ x }: { x: tf.Scalar }) => {
      return x.mul(rate);
    });
    step({ x: 1 }).dispose();
    step({ x: 1 }).dispose();
    rate = 0.5;
    const outcomes: unknown[] = [];
    for (let i = 0; i < 10 && outcomes.length === 0; i++) {
      try {
        step({ x: 1 }).dispose();
      } catch (error) {
        outcomes.push(error);
      }
    }
    expect((outcomes[0] as Error).message).toMatch(/a value from JavaScript changed from 1 to 0.5/);
    expect(lineOf(outcomes[0])).toBe(line(-14));
    step.dispose();
  });

  it('is told which operation became another one, came to the rest or went, and where', () => {
    let now = '';
    const first = Number(line(2));
    const step = compile(({ x }: { x: tf.Tensor1D }) => {
      let y: tf.Tensor = x.mul(2);
      y = now === 'kind' ? y.sin() : y.exp();
      y = y.sum(0, now === 'option');
      if (now !== 'shorter') y = y.neg();
      if (now === 'longer') y = y.abs();
      return y;
    });
    const x = tf.tensor1d([1, 2]);
    const told = (change: string): { message: string; at: string } => {
      now = '';
      step({ x }).dispose();
      now = change;
      const error = failure(() => {
        for (let i = 0; i < 10_000; i++) step({ x }).dispose();
      });
      return { message: (error as Error).message, at: lineOf(error) };
    };
    const kind = told('kind');
    expect(kind.message).toMatch(/the step computed 'Exp' here before, and now 'Sin'/);
    expect(kind.at).toBe(String(first + 1));
    const option = told('option');
    expect(option.message).toMatch(/the shape of what 'Sum' returns changed/);
    expect(option.at).toBe(String(first + 2));
    const longer = told('longer');
    expect(longer.message).toMatch(/the step had 4 operations before, and now 5/);
    expect(longer.at).toBe(String(first + 4));
    const less = told('shorter');
    expect(less.message).toMatch(/the step had 4 operations before, and now 3/);
    // The last that is left.
    expect(less.at).toBe(String(first + 2));
    x.dispose();
    step.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it('may settle: what a first call prepares can differ from the second', () => {
    let ready: tf.Tensor | undefined;
    const step = compile(({ x }: { x: tf.Scalar }) => {
      ready ??= tf.keep(tf.scalar(2));
      return x.mul(ready);
    });
    for (let i = 0; i < 5; i++) expect(read(step({ x: i }))).toEqual([2 * i]);
    ready?.dispose();
    // A constant of the graph is gone: the step must not go on with it.
    expect(() => step({ x: 1 })).toThrow(/disposed/);
    ready = undefined;
    step.dispose();
  });

  it('is told of a value that changes at every call', () => {
    let count = 0;
    const step = compile(({ x }: { x: tf.Scalar }) => x.add(count++));
    expect(() => {
      for (let i = 0; i < 3; i++) step({ x: 1 }).dispose();
    }).toThrow(/a value from JavaScript changed from 2 to 3; .* Make it an input/);
    step.dispose();
  });

  it('leaves variables alone where it fails', () => {
    const w = variable([1]);
    let rate = 1;
    const step = compile(({ x }: { x: tf.Scalar }) => {
      w.assign(w.add(x) as tf.Tensor1D);
      if (rate > 2) throw new Error('too fast');
      w.assign(w.mul(rate) as tf.Tensor1D);
    });
    rate = 3;
    expect(() => step({ x: 1 })).toThrow('too fast');
    expect(values(w)).toEqual([1]);
    rate = 2;
    step({ x: 1 });
    expect(values(w)).toEqual([4]);
    rate = 1;
    expect(() => step({ x: 1 })).toThrow(/changed from 2 to 1/);
    expect(values(w)).toEqual([4]);
    step.dispose();
  });

  it('gives the same numbers to the bit when it is compiled anew half-way', () => {
    const run = (parts: number[]): number[] => {
      const w = variable([0.3, -0.7, 0.11]);
      const numbers = parts.flatMap((calls) => {
        const step = compile(({ rate }: { rate: tf.Scalar }) => {
          const { value, grads } = tf.variableGrads(() => w.sin().mul(w).exp().sum() as tf.Scalar, [w]);
          w.assign(w.sub(grads[w.name].mul(rate)));
          return value;
        });
        const losses = Array.from({ length: calls }, () => read(step({ rate: 0.1 }))[0]);
        step.dispose();
        return losses;
      });
      return [...numbers, ...values(w)];
    };
    expect(run([3, 5, 4])).toEqual(run([12]));
  });

  it('is told of random numbers from JavaScript', () => {
    const step = compile(({ x }: { x: tf.Tensor1D }) => x.add(tf.randomUniform([2])));
    const x = tf.tensor1d([1, 2]);
    const error = failure(() => step({ x }));
    expect((error as Error).message).toMatch(/random numbers drawn in JavaScript .* RandomStream/);
    expect(lineOf(error)).toBe(line(-4));
    // With a seed the numbers are the same at each eager step, too.
    const seeded = compile(({ x }: { x: tf.Tensor1D }) => x.add(tf.randomUniform([2], 0, 1, 'float32', 5)));
    const results = Array.from({ length: 4 }, () => read(seeded({ x })));
    for (const result of results) expect(result).toEqual(results[0]);
    expect(Math.random()).toBeLessThan(1);
    tf.dispose(x);
    step.dispose();
    seeded.dispose();
  });

  it('is told of variables that it makes at every call, of numbers that it returns, of a variable that is gone', () => {
    const greedy = compile(({ x }: { x: tf.Scalar }) => {
      const made = variable([1]);
      return made.mul(x);
    });
    expect(() => {
      for (let i = 0; i < 4; i++) greedy({ x: 1 }).dispose();
    }).toThrow(/makes variables at every call/);
    const numeric = compile((() => ({ count: 3 })) as unknown as () => tf.Tensor);
    expect(() => numeric({})).toThrow(/the step's count returned number 3/);
    const w = variable([1]);
    const step = compile(() => w.mul(2));
    for (let i = 0; i < 4; i++) step({}).dispose();
    w.dispose();
    expect(() => step({})).toThrow(new RegExp(`the variable '${w.name}' .* disposed`));
    step.dispose();
    greedy.dispose();
  });

  it('leaves the backend as it was after an error, and after being ended from outside', () => {
    const backend = nodeBackend() as NonNullable<ReturnType<typeof nodeBackend>>;
    const { binding } = backend;
    const { random } = Math;
    const failing = compile(({ x }: { x: tf.Scalar }) => {
      if (x.rank === 0) throw new Error('own');
      return x;
    });
    expect(() => failing({ x: 1 })).toThrow('own');
    expect(backend.binding).toBe(binding);
    let ended = true;
    const w = variable([1]);
    const step = compile(() => {
      w.assign(w.add(1));
      // What the kernel does when it has ended a cell's code without letting it finish.
      if (ended) mendEngine();
    });
    expect(() => step({})).toThrow();
    expect(backend.binding).toBe(binding);
    expect(Math.random).toBe(random);
    ended = false;
    const before = values(w)[0];
    for (let i = 0; i < 5; i++) step({});
    expect(values(w)).toEqual([before + 5]);
    step.dispose();
  });
});
