/** Values and gradients of the losses against PyTorch's, on every backend there is. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { sigmoidFocalLoss } from '../../lib/losses/focal';
import { smoothL1 } from '../../lib/losses/smooth-l1';
import { softmaxCrossEntropy } from '../../lib/losses/softmax-cross-entropy';
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
      (z) => sigmoidFocalLoss(z, y),
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

test('shapes that do not go together are named', () => {
  expect(() => softmaxCrossEntropy(tf.zeros([2, 3]), tf.zeros([3], 'int32'))).toThrow(
    'logits [2, 3] want labels [2], got [3]',
  );
});
