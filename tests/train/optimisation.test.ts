import { describe, expect, test } from 'vitest';
import {
  createRandom,
  GradientProbe,
  Module,
  parameter,
  Sgd,
  stepSchedule,
  type StepLog,
  tf,
  train,
} from 'detlab';
import { backends, on } from '../tensor/kernels/backends';

class Line extends Module {
  readonly weight: tf.Variable;
  readonly bias: tf.Variable;

  constructor(weight: number[], bias: number) {
    super();
    this.weight = parameter(tf.tensor2d([weight]));
    this.bias = parameter(tf.tensor1d([bias]));
  }
}

describe.each(backends)('Sgd, on %s', (backend) => {
  on(backend);
  test('follows the scalar rule: momentum, decay on matrices only, a changing rate', () => {
    const model = new Line([1, -2], 0.5);
    const sgd = new Sgd(model.parameters(), { momentum: 0.9, weightDecay: 0.1 });
    const w = [1, -2, 0.5];
    const v = [0, 0, 0];
    for (let step = 0; step < 5; step++) {
      const g = [0.3 + step, -0.1 * step, 0.2];
      const rate = step < 3 ? 0.1 : 0.01;
      sgd.step([tf.tensor2d([[g[0], g[1]]]), tf.tensor1d([g[2]])], rate);
      for (let i = 0; i < 3; i++) {
        v[i] = 0.9 * v[i] + g[i] + (i < 2 ? 0.1 * w[i] : 0);
        w[i] -= rate * v[i];
      }
    }
    const got = [...model.weight.dataSync(), ...model.bias.dataSync()];
    got.forEach((value, i) => expect(value).toBeCloseTo(w[i], 5));
    sgd.dispose();
    model.dispose();
  });
});

describe.each(backends)('GradientProbe, on %s', (backend) => {
  on(backend);
  test('measures the change over all tensors since the last step', () => {
    const probe = new GradientProbe();
    const change = (...gradients: tf.Tensor[]): number => {
      const result = probe.change(gradients);
      probe.keep(gradients);
      return result.dataSync()[0];
    };
    expect(change(tf.tensor1d([3, 0]), tf.tensor2d([[4]]))).toBeNaN();
    expect(change(tf.tensor1d([0, 0]), tf.tensor2d([[0]]))).toBeCloseTo(5, 6);
    expect(change(tf.tensor1d([0, 2]), tf.tensor2d([[0]]))).toBeCloseTo(2, 6);
    probe.dispose();
  });
});

describe.each(backends)('train, on %s', (backend) => {
  on(backend);
  async function* batches(count: number) {
    const random = createRandom(5);
    for (let i = 0; i < count; i++) {
      const x = Float32Array.from({ length: 16 }, () => random.normal());
      yield { ids: Array.from({ length: 8 }, (_, j) => `${i}-${j}`), x };
    }
  }

  const fit = (rate: number, steps: number, count: number = steps, onStep?: (log: StepLog) => void) => {
    const model = new Line([0, 0], 0);
    return {
      model,
      run: train({
        model,
        batches: batches(count),
        steps,
        schedule: stepSchedule({ base: rate }),
        prepare: ({ x }) => {
          const input = tf.tensor2d(x, [8, 2]);
          return { input, target: input.matMul(tf.tensor2d([[2], [-1]])).add(0.5) };
        },
        loss: (inputs) => {
          const { input, target } = inputs as { input: tf.Tensor2D; target: tf.Tensor2D };
          const error = input
            .matMul(model.weight as tf.Tensor2D, false, true)
            .add(model.bias)
            .sub(target);
          const total = error.square().mean() as tf.Scalar;
          return { total, parts: { half: total.mul(0.5) as tf.Scalar } };
        },
        onStep,
      }),
    };
  };

  test('finds the weights that made the data, and logs every step', async () => {
    const before = tf.memory().numTensors;
    const { model, run } = fit(0.05, 150);
    const { logs, divergedAt } = await run;
    expect(divergedAt).toBeUndefined();
    expect(logs).toHaveLength(150);
    expect(logs[3].parts.half).toBeCloseTo(logs[3].loss / 2, 6);
    expect(logs[149].loss).toBeLessThan(1e-4);
    expect(logs[149].gradientNorm).toBeLessThan(logs[0].gradientNorm);
    const [a, b] = model.weight.dataSync();
    expect([a, b, model.bias.dataSync()[0]].map((value) => value.toFixed(2))).toEqual([
      '2.00',
      '-1.00',
      '0.50',
    ]);
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('stops at the step that diverges, keeps the last finite weights, leaks nothing', async () => {
    const before = tf.memory().numTensors;
    const { model, run } = fit(1e6, 150);
    const { logs, divergedAt } = await run;
    expect(divergedAt).toBeLessThan(149);
    expect(logs).toHaveLength(divergedAt! + 1);
    expect([...model.weight.dataSync()].every(Number.isFinite)).toBe(true);
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('says so when the loader ends early', async () => {
    const { model, run } = fit(0.1, 10, 4);
    await expect(run).rejects.toThrow(/ended after 4 batches, but 10 steps/);
    model.dispose();
  });
});
