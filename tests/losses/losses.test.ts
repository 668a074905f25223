/** Values and gradients of the losses against PyTorch's, on every backend there is. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sigmoidFocalLoss } from '../../lib/losses/focal';
import { sigmoidCrossEntropy } from '../../lib/losses/sigmoid-cross-entropy';
import { huberLoss, smoothL1 } from '../../lib/losses/smooth-l1';
import { softmaxCrossEntropy } from '../../lib/losses/softmax-cross-entropy';
import { useBackend } from '../../lib/tensor/backend';
import { tf } from '../../lib/tensor/tf';
import { backends, on } from '../tensor/kernels/backends';

interface Case {
  readonly value: number[];
  readonly gradient: number[];
}
const fixture = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'losses.json'), 'utf8')) as {
  smoothL1: { predictions: number[]; targets: number[]; cases: (Case & { beta: number })[] };
  focal: { logits: number[]; targets: number[]; cases: (Case & { alpha: number; gamma: number })[] };
  crossEntropy: { logits: number[]; labels: number[]; cases: (Case & { smoothing: number })[] };
};

const { elementWise } = JSON.parse(
  readFileSync(path.join(__dirname, 'fixtures', 'detection-losses.json'), 'utf8'),
) as {
  elementWise: {
    logits: number[];
    targets: number[];
    crossEntropy: (Case & { smoothing: number })[];
    huber: (Case & { delta: number })[];
  };
};

/** Focal loss and its derivative in double: `log p` as `-log1p(exp(-z))`, which loses nothing at either end. */
function focalInDouble(
  z: number,
  t: number,
  { alpha, gamma, smoothing }: { alpha: number; gamma: number; smoothing: number },
): { value: number; gradient: number } {
  const softplus = (v: number): number => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)));
  const [p, q] = [Math.exp(-softplus(-z)), Math.exp(-softplus(z))];
  const s = t * (1 - smoothing) + smoothing / 2;
  const entropy = s * softplus(-z) + (1 - s) * softplus(z);
  const miss = t * q + (1 - t) * p;
  const weight = alpha < 0 ? 1 : t * alpha + (1 - t) * (1 - alpha);
  const slope =
    gamma * miss ** (gamma - 1) * (1 - 2 * t) * p * q * entropy + miss ** gamma * (p * (1 - s) - q * s);
  return { value: weight * miss ** gamma * entropy, gradient: weight * slope };
}

function expectClose(actual: ArrayLike<number>, expected: readonly number[], tolerance: number = 2e-6): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => {
    const error = Math.abs(actual[i] - value) / Math.max(1, Math.abs(value));
    expect(error, `element ${i}: ${actual[i]} instead of ${value}`).toBeLessThanOrEqual(tolerance);
  });
}

/** Value and gradient of the sum of `loss(x)`, element by element. */
function differentiate(
  loss: (x: tf.Tensor) => tf.Tensor,
  x: tf.Tensor,
): { value: number[]; gradient: number[] } {
  return tf.tidy(() => {
    const value = [...loss(x).dataSync()];
    const gradient = [
      ...tf
        .grad((y: tf.Tensor) => tf.sum(loss(y)))(x)
        .dataSync(),
    ];
    return { value, gradient };
  });
}

describe.each(backends)('%s', (backend) => {
  on(backend);

  test.each(fixture.smoothL1.cases)('smooth L1, beta $beta', ({ beta, value, gradient }) => {
    const { predictions, targets } = fixture.smoothL1;
    const actual = tf.tidy(() => {
      const target = tf.tensor1d(targets);
      return differentiate((x) => smoothL1(x, target, beta), tf.tensor1d(predictions));
    });
    expectClose(actual.value, value);
    expectClose(actual.gradient, gradient);
  });

  test('smooth L1 by hand: beta 1, and beta 0, which is L1', () => {
    const run = (beta: number) =>
      tf.tidy(() => differentiate((x) => smoothL1(x, tf.zeros([4]), beta), tf.tensor1d([0, 0.5, -2, 1])));
    expect(run(1)).toEqual({ value: [0, 0.125, 1.5, 0.5], gradient: [0, 0.5, -1, 1] });
    expect(run(0)).toEqual({ value: [0, 0.5, 2, 1], gradient: [0, 1, -1, 1] });
    expect(() => smoothL1(tf.scalar(1), tf.scalar(1), -1)).toThrow('beta must be 0 or more, got -1');
  });

  test.each(fixture.focal.cases)(
    'focal loss, alpha $alpha, gamma $gamma',
    ({ alpha, gamma, value, gradient }) => {
      const { logits, targets } = fixture.focal;
      const actual = tf.tidy(() => {
        const target = tf.tensor1d(targets);
        return differentiate((x) => sigmoidFocalLoss(x, target, { alpha, gamma }), tf.tensor1d(logits));
      });
      expectClose(actual.value, value, 4e-6);
      expectClose(actual.gradient, gradient, 4e-6);
    },
  );

  test('focal loss is stable for logits of up to +-80, its gradient too, whatever gamma and smoothing', () => {
    const sizes = [0, 1e-3, 0.5, 3, 8, 15, 16.7, 20, 40, 60, 79, 80];
    const logits = Float32Array.from(sizes.flatMap((size) => [size, -size, size, -size]));
    const targets = Float32Array.from(logits, (_, i) => (i % 4 < 2 ? 1 : 0));
    for (const gamma of [0, 0.5, 1, 1.5, 2, 2.5, 3, 5]) {
      for (const smoothing of [0, 0.1]) {
        for (const alpha of [0.25, -1]) {
          const actual = tf.tidy(() => {
            const t = tf.tensor1d(targets);
            const options = { alpha, gamma, labelSmoothing: smoothing };
            return differentiate((x) => sigmoidFocalLoss(x, t, options), tf.tensor1d(logits));
          });
          logits.forEach((z, i) => {
            const expected = focalInDouble(z, targets[i], { alpha, gamma, smoothing });
            for (const part of ['value', 'gradient'] as const) {
              // To float32's precision, relative to the value itself; what float32 flushes to 0 may be 0.
              const error = Math.abs(actual[part][i] - expected[part]);
              expect(
                error,
                `${part} at ${z}, target ${targets[i]}, gamma ${gamma}: ${actual[part][i]}, not ${expected[part]}`,
              ).toBeLessThanOrEqual(1e-5 * Math.abs(expected[part]) + 1e-12);
            }
          });
        }
      }
    }
  });

  test('nothing is raised to a power by tf.pow for the gammas of the papers, which is slow', async () => {
    const [x, t] = [tf.tensor1d([1, 2]), tf.tensor1d([0, 1])];
    for (const gamma of [0, 1.5, 2]) {
      const { kernelNames } = await tf.profile(() =>
        tf.tidy(() => {
          tf.grad((y: tf.Tensor) => tf.sum(sigmoidFocalLoss(y, t, { gamma })))(x);
        }),
      );
      expect(kernelNames).toContain('Sigmoid');
      expect(kernelNames).not.toContain('Pow');
    }
    tf.dispose([x, t]);
  });

  test.each(elementWise.crossEntropy)(
    "sigmoid cross-entropy equals PyTorch's, smoothing $smoothing",
    ({ smoothing, value, gradient }) => {
      const actual = tf.tidy(() => {
        const t = tf.tensor1d(elementWise.targets);
        const loss = (x: tf.Tensor): tf.Tensor => sigmoidCrossEntropy(x, t, { labelSmoothing: smoothing });
        return differentiate(loss, tf.tensor1d(elementWise.logits));
      });
      expectClose(actual.value, value);
      expectClose(actual.gradient, gradient);
    },
  );

  test.each(elementWise.huber)(
    "Huber's loss equals PyTorch's, delta $delta",
    ({ delta, value, gradient }) => {
      const actual = tf.tidy(() => {
        const t = tf.tensor1d(elementWise.targets);
        return differentiate((x) => huberLoss(x, t, delta), tf.tensor1d(elementWise.logits));
      });
      expectClose(actual.value, value);
      expectClose(actual.gradient, gradient);
    },
  );

  test('softmax cross-entropy is stable for logits of up to +-80, its gradient too', () => {
    const logits = [80, -80, 0, -80, 80, 0, 80, 80, -80, -80, -80, -80, 0, 0, 80];
    const labels = [0, 0, 2, 1, 2];
    const actual = tf.tidy(() => {
      const label = tf.tensor1d(labels, 'int32');
      return differentiate((x) => softmaxCrossEntropy(x, label), tf.tensor2d(logits, [5, 3]));
    });
    labels.forEach((label, row) => {
      const z = logits.slice(3 * row, 3 * row + 3);
      const max = Math.max(...z);
      const total = z.reduce((sum, v) => sum + Math.exp(v - max), 0);
      expectClose([actual.value[row]], [max + Math.log(total) - z[label]]);
      const gradient = z.map((v, k) => Math.exp(v - max) / total - (k === label ? 1 : 0));
      expectClose(actual.gradient.slice(3 * row, 3 * row + 3), gradient);
    });
  });

  test('focal loss by hand: logit 0 is half sure', () => {
    const value = tf.tidy(() => sigmoidFocalLoss(tf.tensor1d([0, 0]), tf.tensor1d([1, 0])).dataSync());
    expectClose(value, [0.25 * 0.25 * Math.LN2, 0.75 * 0.25 * Math.LN2]);
  });

  test.each(fixture.crossEntropy.cases)(
    'cross-entropy, smoothing $smoothing',
    ({ smoothing, value, gradient }) => {
      const { logits, labels } = fixture.crossEntropy;
      const actual = tf.tidy(() => {
        const label = tf.tensor1d(labels, 'int32');
        return differentiate(
          (x) => softmaxCrossEntropy(x, label, { labelSmoothing: smoothing }),
          tf.tensor2d(logits, [labels.length, logits.length / labels.length]),
        );
      });
      expectClose(actual.value, value);
      expectClose(actual.gradient, gradient);
    },
  );

  test('the gradient follows what comes after: weights and a nested gradient function', () => {
    tf.tidy(() => {
      const x = tf.tensor1d([0.5, -0.5, 3]);
      const weights = tf.tensor1d([2, 0, -1]);
      const gradient = tf.grad((y: tf.Tensor) =>
        tf.sum(tf.mul(smoothL1(tf.mul(y, 2), tf.zeros([3])), weights)),
      )(x);
      expectClose(gradient.dataSync(), [2 * 1 * 2, 0, -1 * 1 * 2]);
    });
  });

  test('empty tensors give empty losses', () => {
    tf.tidy(() => {
      expect(smoothL1(tf.zeros([0, 4]), tf.zeros([0, 4])).shape).toEqual([0, 4]);
      expect(sigmoidFocalLoss(tf.zeros([0, 3]), tf.zeros([0, 3])).shape).toEqual([0, 3]);
    });
  });

  test('no tensor is left behind, with gradients or without', () => {
    const x = tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]);
    const y = tf.tensor2d([0, 1, 0, 1, 0, 1], [2, 3]);
    const labels = tf.tensor1d([0, 2], 'int32');
    const losses: ((z: tf.Tensor) => tf.Tensor)[] = [
      (z) => smoothL1(z, y),
      (z) => smoothL1(z, y, 0),
      (z) => huberLoss(z, y, 0.5),
      (z) => sigmoidFocalLoss(z, y),
      (z) => sigmoidFocalLoss(z, y, { gamma: 1.5, labelSmoothing: 0.1 }),
      (z) => sigmoidCrossEntropy(z, y),
      (z) => softmaxCrossEntropy(z, labels, { labelSmoothing: 0.1 }),
    ];
    for (const loss of losses) {
      const before = tf.memory().numTensors;
      loss(x).dispose();
      tf.grad((z: tf.Tensor) => tf.sum(loss(z)))(x).dispose();
      expect(tf.memory().numTensors).toBe(before);
    }
    tf.dispose([x, y, labels]);
  });
});

test('for any logits and soft targets: the formula in double, and cross-entropy where gamma is 0', async () => {
  await useBackend({ backend: 'cpu' });
  const logit = fc.double({ min: -80, max: 80, noNaN: true }).map(Math.fround);
  const target = fc.integer({ min: 0, max: 8 }).map((v) => v / 8);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(logit, target), { minLength: 1, maxLength: 8 }),
      fc.constantFrom(0, 0.5, 1, 1.5, 2, 4),
      fc.constantFrom(0, 0.125),
      (items, gamma, smoothing) => {
        tf.tidy(() => {
          const t = tf.tensor1d(items.map(([, v]) => v));
          const x = tf.tensor1d(items.map(([z]) => z));
          const options = { alpha: 0.25, gamma, labelSmoothing: smoothing };
          const actual = differentiate((y) => sigmoidFocalLoss(y, t, options), x);
          items.forEach(([z, v], i) => {
            const expected = focalInDouble(z, v, { alpha: 0.25, gamma, smoothing });
            for (const part of ['value', 'gradient'] as const) {
              expect(Math.abs(actual[part][i] - expected[part])).toBeLessThan(
                2e-5 * (1 + Math.abs(expected[part])),
              );
            }
          });
          if (gamma > 0) return;
          const plain = sigmoidFocalLoss(x, t, { ...options, alpha: -1 }).dataSync();
          expectClose(plain, [...sigmoidCrossEntropy(x, t, { labelSmoothing: smoothing }).dataSync()]);
        });
      },
    ),
    { numRuns: 60 },
  );
});

test('options that cannot be are named', () => {
  expect(() => huberLoss(tf.scalar(1), tf.scalar(1), 0)).toThrow('delta must be a positive number, got 0');
  expect(() => sigmoidFocalLoss(tf.scalar(1), tf.scalar(1), { gamma: -1 })).toThrow(
    'gamma must be 0 or more',
  );
  expect(() => sigmoidFocalLoss(tf.scalar(1), tf.scalar(1), { labelSmoothing: 2 })).toThrow(
    'in [0, 1], got 2',
  );
});

test('shapes that do not go together are named', () => {
  expect(() => softmaxCrossEntropy(tf.zeros([2, 3]), tf.zeros([3], 'int32'))).toThrow(
    'logits [2, 3] want labels [2], got [3]',
  );
});
