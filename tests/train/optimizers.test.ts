/** The optimisers and the clipping against PyTorch (`tests/reference/optimizers.py`, in float64). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  AdamW,
  clipGradientNorm,
  clipGradientValue,
  Module,
  type Optimizer,
  parameter,
  Sgd,
  stepSchedule,
  tf,
  train,
} from 'detlab';
import { backends, expectNoLeak, on } from '../tensor/kernels/backends';

interface Trajectory {
  readonly weights: number[][];
  readonly biases: number[][];
  readonly norms: number[];
}
interface Clipped {
  readonly limit: number;
  readonly norm: number | null;
  readonly gradients: Record<string, number[]>;
}
const fixture = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'optimizers.json'), 'utf8')) as {
  problem: { x: number[][]; y: number[][]; weight: number[][]; bias: number[] };
  rates: number[];
  cases: (Trajectory & {
    name: string;
    optimizer: 'Sgd' | 'AdamW';
    options: object;
    rateFactors?: Record<string, number>;
  })[];
  clipped: Trajectory & { maxNorm: number; momentum: number };
  clipping: {
    shapes: Record<string, number[]>;
    gradients: Record<string, number[]>;
    byNorm: Clipped[];
    byValue: Clipped[];
  };
};
const { problem, rates } = fixture;

/** The reference's problem: x Wᵀ + b against y, by the mean of the squared errors. */
class LeastSquares extends Module {
  readonly weight: tf.Variable = parameter(tf.tensor2d(problem.weight));
  readonly bias: tf.Variable = parameter(tf.tensor1d(problem.bias));

  loss(): tf.Scalar {
    const y = tf.tensor2d(problem.x).matMul(this.weight as tf.Tensor2D, false, true);
    return y.add(this.bias).sub(tf.tensor2d(problem.y)).square().mean();
  }

  gradients(): tf.Tensor[] {
    const { value, grads } = tf.variableGrads(() => this.loss(), [this.weight, this.bias]);
    value.dispose();
    return [grads[this.weight.name], grads[this.bias.name]];
  }
}

function advance(model: LeastSquares, optimizer: Optimizer, rate: number): void {
  const all = model.gradients();
  const held = optimizer.parameters.map(({ name }) => all[['weight', 'bias'].indexOf(name)]);
  optimizer.step(held, rate);
  tf.dispose(all);
}

function expectClose(actual: ArrayLike<number>, expected: readonly number[], what: string): void {
  expect(actual.length, what).toBe(expected.length);
  expected.forEach((value, i) => {
    const error = Math.abs(actual[i] - value) / Math.max(1, Math.abs(value));
    expect(error, `${what}, value ${i}: ${actual[i]} instead of ${value}`).toBeLessThanOrEqual(1e-6);
  });
}

const make = (
  model: Module,
  { optimizer, options, rateFactors = {} }: (typeof fixture.cases)[number],
): Optimizer => {
  const all = { ...options, rateFactor: ({ name }: { name: string }) => rateFactors[name] ?? 1 };
  return optimizer === 'Sgd' ? new Sgd(model.parameters(), all) : new AdamW(model.parameters(), all);
};

describe.each(backends)('optimisers as PyTorch has them, on %s', (backend) => {
  on(backend);

  test.each(fixture.cases)('$name: ten steps', (c) => {
    const model = new LeastSquares();
    const optimizer = make(model, c);
    rates.forEach((rate, step) => {
      advance(model, optimizer, rate);
      expectClose(model.weight.dataSync(), c.weights[step], `weight after step ${step}`);
      expectClose(model.bias.dataSync(), c.biases[step], `bias after step ${step}`);
    });
    optimizer.dispose();
    model.dispose();
  });

  test.each(fixture.cases)('$name: leaves no tensor; its slots continue a run bit for bit', (c) => {
    expectNoLeak(() => {
      const model = new LeastSquares();
      const optimizer = make(model, c);
      advance(model, optimizer, 0.1);
      optimizer.dispose();
      model.dispose();
    });

    const [model, copy] = [new LeastSquares(), new LeastSquares()];
    const [optimizer, continued] = [make(model, c), make(copy, c)];
    for (let step = 0; step < 4; step++) advance(model, optimizer, 0.1);
    const saved = new Map(
      [...model.namedVariables(), ...optimizer.slots()].map(({ name, variable }) => [name, variable]),
    );
    for (const { name, variable } of [...copy.namedVariables(), ...continued.slots()]) {
      variable.assign(saved.get(name)!.clone());
    }
    for (let step = 0; step < 3; step++) {
      advance(model, optimizer, 0.05);
      advance(copy, continued, 0.05);
    }
    expect([...copy.weight.dataSync()]).toEqual([...model.weight.dataSync()]);
    expect([...copy.bias.dataSync()]).toEqual([...model.bias.dataSync()]);
    for (const thing of [optimizer, continued, model, copy]) thing.dispose();
  });

  test('train clips to a norm, reports the one before, and leaves an optimizer to its owner', async () => {
    const { clipped } = fixture;
    const model = new LeastSquares();
    const optimizer = new Sgd(model.parameters(), { momentum: clipped.momentum });
    const batches = async function* () {
      while (true) yield { ids: ['all'] };
    };
    let before = 0;
    const { logs } = await train({
      model,
      batches: batches(),
      steps: rates.length,
      schedule: (step) => rates[step],
      optimizer,
      clipNorm: clipped.maxNorm,
      prepare: () => ({}),
      loss: () => ({ total: model.loss(), parts: {} }),
      onStep: ({ step }) => {
        expectClose(model.weight.dataSync(), clipped.weights[step], `weight after step ${step}`);
        expectClose(model.bias.dataSync(), clipped.biases[step], `bias after step ${step}`);
        if (step > 0) expect(tf.memory().numTensors).toBe(before);
        before = tf.memory().numTensors;
      },
    });
    expectClose(
      logs.map(({ gradientNorm }) => gradientNorm),
      clipped.norms,
      'norms',
    );
    expect(Math.max(...clipped.norms)).toBeGreaterThan(clipped.maxNorm);
    expect(Math.min(...clipped.norms)).toBeLessThan(clipped.maxNorm);
    expect(optimizer.slots().some(({ variable }) => variable.isDisposed)).toBe(false);
    optimizer.dispose();
    model.dispose();
  });

  const { clipping } = fixture;
  const given = (): Record<string, tf.Tensor> =>
    Object.fromEntries(
      Object.entries(clipping.gradients).map(([name, values]) => [
        name,
        tf.tensor(values, clipping.shapes[name]),
      ]),
    );
  const norm = Math.hypot(...Object.values(clipping.gradients).flat());

  test.each([
    ...clipping.byNorm.map((c) => ({ ...c, clip: clipGradientNorm, by: 'norm' })),
    ...clipping.byValue.map((c) => ({ ...c, clip: clipGradientValue, by: 'value' })),
  ])('clips gradients by $by to $limit', async ({ clip, limit, norm: expected, gradients }) => {
    const before = tf.memory().numTensors;
    const original = given();
    const clipped = await clip(original, limit);
    expectClose([clipped.norm], [expected ?? norm], 'norm');
    expect(Object.keys(clipped.gradients)).toEqual(Object.keys(gradients));
    for (const [name, values] of Object.entries(gradients)) {
      expect(clipped.gradients[name].shape).toEqual(clipping.shapes[name]);
      expectClose(clipped.gradients[name].dataSync(), values, name);
    }
    tf.dispose(original);
    expect(Object.values(clipped.gradients).some(({ isDisposed }) => isDisposed)).toBe(false);
    tf.dispose(clipped.gradients);
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each([clipGradientNorm, clipGradientValue])(
    '%o reports NaN and infinities and hides none',
    async (clip) => {
      for (const bad of [NaN, Infinity, -Infinity]) {
        const gradients = { a: tf.tensor1d([1, 30]), b: tf.tensor1d([bad, 4]) };
        const clipped = await clip(gradients, 2);
        expect(clipped.norm).toBe(Math.abs(bad));
        expect([...clipped.gradients.a.dataSync()]).toEqual([1, 30]);
        expect([...clipped.gradients.b.dataSync()]).toEqual([bad, 4]);
        tf.dispose([gradients, clipped.gradients]);
      }
    },
  );

  test('finite gradients whose squares overflow float32 have a finite norm', async () => {
    const gradients = { a: tf.tensor1d([3e30, 0]), b: tf.scalar(-4e30) };
    const clipped = await clipGradientNorm(gradients, 10);
    expectClose([clipped.norm / 5e30], [1], 'norm');
    expectClose(clipped.gradients.a.dataSync(), [6, 0], 'a');
    expectClose(clipped.gradients.b.dataSync(), [-8], 'b');
    tf.dispose([gradients, clipped.gradients]);
  });
});

describe('options', () => {
  on('cpu');

  test('names of the slots, in the order of the parameters', () => {
    const model = new LeastSquares();
    const [sgd, adamw] = [new Sgd(model.parameters()), new AdamW(model.parameters())];
    expect(sgd.slots().map(({ name }) => name)).toEqual(['weight.momentum_buffer', 'bias.momentum_buffer']);
    expect(adamw.slots().map(({ name }) => name)).toEqual([
      'step',
      'weight.exp_avg',
      'weight.exp_avg_sq',
      'bias.exp_avg',
      'bias.exp_avg_sq',
    ]);
    for (const thing of [sgd, adamw, model]) thing.dispose();
  });

  test('what is frozen is not held: it has no slots, takes no gradient, and train leaves it alone', async () => {
    const model = new LeastSquares();
    const rateFactor = ({ name }: { name: string }): number => (name === 'weight' ? 0 : 3);
    const adamw = new AdamW(model.parameters(), { rateFactor });
    expect(adamw.parameters.map(({ name }) => name)).toEqual(['bias']);
    expect(adamw.slots().map(({ name }) => name)).toEqual(['step', 'bias.exp_avg', 'bias.exp_avg_sq']);
    expect(adamw.settings).toMatchObject({ kind: 'AdamW', parameters: ['bias'], rateFactors: { bias: 3 } });
    adamw.dispose();
    const run = {
      model,
      batches: (async function* () {
        yield { ids: ['all'] };
      })(),
      steps: 1,
      schedule: () => 0.1,
      prepare: () => ({}),
      loss: () => ({ total: model.loss(), parts: {} }),
    };
    await train({ ...run, optimizer: { weightDecay: 0.5, rateFactor } });
    expect([...model.weight.dataSync()]).toEqual(problem.weight.flat());
    expect([...model.bias.dataSync()]).not.toEqual(problem.bias);
    await expect(train({ ...run, optimizer: { rateFactor: () => 0 } })).rejects.toThrow(
      /freezes every parameter/,
    );
    model.dispose();
  });

  test('decays chooses what shrinks', () => {
    for (const Kind of [Sgd, AdamW]) {
      for (const decayKind of ['l2', 'decoupled'] as const) {
        const model = new LeastSquares();
        const optimizer = new Kind(model.parameters(), {
          weightDecay: 0.5,
          decayKind,
          decays: ({ name }) => name === 'bias',
        });
        const zeros = [tf.zeros([2, 3]), tf.zeros([2])];
        optimizer.step(zeros, 0.1);
        const bias = [...model.bias.dataSync()];
        expect([...model.weight.dataSync()]).toEqual(problem.weight.flat());
        bias.forEach((value, i) => {
          expect(Math.abs(value), `${Kind.name}, ${decayKind}`).toBeLessThan(Math.abs(problem.bias[i]));
        });
        tf.dispose(zeros);
        optimizer.dispose();
        model.dispose();
      }
    }
  });

  test('train moves only what its optimizer holds, and refuses one of another model', async () => {
    const [model, other] = [new LeastSquares(), new LeastSquares()];
    const options = {
      model,
      batches: (async function* () {
        yield { ids: ['all'] };
      })(),
      steps: 1,
      schedule: stepSchedule({ base: 0.1 }),
      prepare: () => ({}),
      loss: () => ({ total: model.loss(), parts: {} }),
    };
    const bias = new AdamW(model.parameters().filter(({ name }) => name === 'bias'));
    await train({ ...options, optimizer: bias });
    expect([...model.weight.dataSync()]).toEqual(problem.weight.flat());
    expect([...model.bias.dataSync()]).not.toEqual(problem.bias);

    const strange = new AdamW(other.parameters());
    await expect(train({ ...options, optimizer: strange })).rejects.toThrow(/holds weight, which is no/);
    const empty = new AdamW([]);
    await expect(train({ ...options, optimizer: empty })).rejects.toThrow(/optimizer has no parameters/);
    await expect(train({ ...options, clipNorm: 0 })).rejects.toThrow(/clipNorm must be above 0, got 0/);
    for (const thing of [bias, strange, empty, model, other]) thing.dispose();
  });

  test('errors name the option and its value', async () => {
    expect(() => new Sgd([], { momentum: 1 })).toThrow(/momentum must be at least 0 and less than 1, got 1/);
    expect(() => new Sgd([], { momentum: 0, nesterov: true })).toThrow(/nesterov needs a momentum above 0/);
    expect(() => new Sgd([], { momentum: 0.9, dampening: 0.1, nesterov: true })).toThrow(
      /no dampening, got 0.1/,
    );
    expect(() => new Sgd([], { dampening: 1 })).toThrow(
      /dampening must be at least 0 and less than 1, got 1/,
    );
    const model = new LeastSquares();
    for (const factor of [-1, NaN, Infinity]) {
      const make = () =>
        new Sgd(model.parameters(), { rateFactor: ({ name }) => (name === 'bias' ? factor : 1) });
      expect(make).toThrow(`Sgd: the rateFactor of bias must be a number from 0, got ${factor}`);
    }
    model.dispose();
    expect(() => new Sgd([], { weightDecay: -1 })).toThrow(
      /Sgd: weightDecay must be a number from 0, got -1/,
    );
    expect(() => new AdamW([], { betas: [0.9, 1.5] })).toThrow(/betas\[1\] .*got 1.5/);
    expect(() => new AdamW([], { epsilon: NaN })).toThrow(/epsilon must be a number from 0, got NaN/);
    const optimizers = [new Sgd([]), new AdamW([])];
    for (const optimizer of optimizers) {
      expect(() => optimizer.step([tf.scalar(1)], 1)).toThrow(/got 1 gradients for 0 parameters/);
      optimizer.dispose();
    }
    await expect(clipGradientNorm({}, NaN)).rejects.toThrow(/maxNorm must be above 0, got NaN/);
    await expect(clipGradientValue({}, -1)).rejects.toThrow(/limit must be above 0, got -1/);
    expect(await clipGradientNorm({}, 1)).toEqual({ gradients: {}, norm: 0 });
  });
});
