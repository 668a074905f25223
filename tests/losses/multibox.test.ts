/** SSD's loss and its in-graph mining against PyTorch's automatic differentiation and a plain JavaScript miner. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { hardExamples, hardNegatives } from '../../lib/boxes/sampling';
import { hardExampleMask, hardNegativeMask } from '../../lib/losses/hard-examples';
import { multiboxLoss, type MultiboxLossOptions } from '../../lib/losses/multibox';
import { useBackend } from '../../lib/tensor/backend';
import { createRandom } from '../../lib/tensor/random';
import { tf } from '../../lib/tensor/tf';
import { backends, on } from '../tensor/kernels/backends';

interface Case {
  readonly name: string;
  readonly shape: [number, number, number];
  readonly logits: number[];
  readonly deltas: number[];
  readonly classTargets: number[];
  readonly boxTargets: number[];
  readonly classLoss: number;
  readonly boxLoss: number;
  readonly positives: number;
  readonly negatives: number[];
  readonly logitsGradient: number[];
  readonly deltasGradient: number[];
}
const { multibox: cases } = JSON.parse(
  readFileSync(path.join(__dirname, 'fixtures', 'losses.json'), 'utf8'),
) as { multibox: Case[] };

type Arrays = Pick<Case, 'shape' | 'logits' | 'deltas' | 'classTargets' | 'boxTargets'>;

/** Numbers of the loss and both gradients; leaves no tensor. */
function run({ shape, logits, deltas, classTargets, boxTargets }: Arrays, options?: MultiboxLossOptions) {
  return tf.tidy(() => {
    const [batch, anchors] = shape;
    const targets = {
      classTargets: tf.tensor2d(classTargets, [batch, anchors], 'int32'),
      boxTargets: tf.tensor3d(boxTargets, [batch, anchors, 4]),
    };
    const x = tf.tensor3d(logits, shape);
    const d = tf.tensor3d(deltas, [batch, anchors, 4]);
    const loss = multiboxLoss({ classLogits: x, boxDeltas: d }, targets, options);
    const { value, grads } = tf.valueAndGrads(
      (a: tf.Tensor, b: tf.Tensor) =>
        multiboxLoss({ classLogits: a as tf.Tensor3D, boxDeltas: b as tf.Tensor3D }, targets, options).total,
    )([x, d]);
    const number = (tensor: tf.Tensor): number => tensor.dataSync()[0];
    return {
      total: number(loss.total),
      value: number(value),
      classLoss: number(loss.classLoss),
      boxLoss: number(loss.boxLoss),
      positives: number(loss.positives),
      logitsGradient: [...grads[0].dataSync()],
      deltasGradient: [...grads[1].dataSync()],
    };
  });
}

function expectClose(actual: readonly number[], expected: readonly number[], tolerance: number = 2e-6): void {
  expect(actual.length).toBe(expected.length);
  const worst = Math.max(
    ...actual.map((value, i) => Math.abs(value - expected[i]) / Math.max(1, Math.abs(expected[i]))),
  );
  expect(worst).toBeLessThanOrEqual(tolerance);
}

describe.each(backends)('multibox loss, %s', (backend) => {
  on(backend);

  test.each(cases)('equals the reference: $name', (fixture) => {
    const actual = run(fixture);
    expectClose([actual.classLoss, actual.boxLoss], [fixture.classLoss, fixture.boxLoss]);
    expect(actual.positives).toBe(fixture.positives);
    expectClose([actual.total, actual.value], Array(2).fill(fixture.classLoss + fixture.boxLoss));
    expectClose(actual.logitsGradient, fixture.logitsGradient);
    expectClose(actual.deltasGradient, fixture.deltasGradient);
  });

  test('by hand: two anchors, one class, no hard choice', () => {
    const fixture: Arrays = {
      shape: [1, 2, 2],
      logits: [0, 0, Math.log(3), 0],
      deltas: [0.5, 0, 0, 2, 9, 9, 9, 9],
      classTargets: [1, 0],
      boxTargets: [0, 0, 0, 0, 0, 0, 0, 0],
    };
    const { classLoss, boxLoss, total } = run(fixture);
    expectClose([classLoss, boxLoss], [Math.LN2 - Math.log(0.75), 0.125 + 1.5]);
    expectClose([run(fixture, { boxWeight: 2 }).total], [total + boxLoss]);
    expectClose([run(fixture, { beta: 4 }).boxLoss], [0.25 / 8 + 4 / 8]);
  });

  test('ignored anchors count neither way', () => {
    const fixture = {
      ...cases[0],
      classTargets: cases[0].classTargets.map((label) => (label === 0 ? -1 : label)),
    };
    const actual = run(fixture);
    const columns = fixture.shape[2];
    fixture.classTargets.forEach((label, anchor) => {
      const gradient = actual.logitsGradient.slice(anchor * columns, (anchor + 1) * columns);
      expect(gradient.some((value) => value !== 0)).toBe(label > 0);
    });
    expect(actual.positives).toBe(cases[0].positives);
  });

  test('no objects: 0 with zero gradients, or the hardest negatives where asked for', () => {
    const fixture = cases.find(({ positives }) => positives === 0);
    if (!fixture) throw new Error('the fixture has no case without objects');
    const nothing = run(fixture);
    expect([nothing.total, nothing.classLoss, nothing.boxLoss]).toEqual([0, 0, 0]);
    expect([...nothing.logitsGradient, ...nothing.deltasGradient].every((value) => value === 0)).toBe(true);
    const some = run(fixture, { minNegatives: 2 });
    expect(some.classLoss).toBeGreaterThan(0);
    const touched = new Set(
      some.logitsGradient.flatMap((value, i) => (value === 0 ? [] : [Math.floor(i / fixture.shape[2])])),
    );
    expect(touched.size).toBe(2 * fixture.shape[0]);
  });

  test('a NaN among the logits reaches the loss', () => {
    const logits = [...cases[0].logits];
    logits[cases[0].classTargets.indexOf(0) * cases[0].shape[2]] = NaN;
    expect(run({ ...cases[0], logits }).total).toBeNaN();
  });

  test('gradients by finite differences, the mined set fixed', () => {
    // Weighted, smoothed and with beta; no negatives, as moving a logit may change which are mined.
    const options = { ratio: 0, boxWeight: 0.7, beta: 0.5, labelSmoothing: 0.1 };
    const { logitsGradient, deltasGradient } = run(cases[1], options);
    const random = createRandom('finite differences');
    const step = 1e-2;
    for (const [key, gradient] of [
      ['logits', logitsGradient],
      ['deltas', deltasGradient],
    ] as const) {
      const busy = gradient.flatMap((value, i) => (Math.abs(value) > 1e-3 ? [i] : []));
      for (let n = 0; n < 6; n++) {
        const i = random.pick(busy);
        const moved = (by: number) =>
          run({ ...cases[1], [key]: cases[1][key].map((v, k) => (k === i ? v + by : v)) }, options);
        const slope = (moved(step).total - moved(-step).total) / (2 * step);
        expect(Math.abs(slope - gradient[i])).toBeLessThan(2e-3);
      }
    }
  });

  test('mining equals the plain miner, with many equal losses', () => {
    const random = createRandom('mining');
    for (const levels of [2, 5, 1e6]) {
      const [batch, anchors] = [5, 200];
      const losses = Float32Array.from({ length: batch * anchors }, () => random.integer(levels) / levels);
      const share = [0, 0.005, 0.1, 0.4, 1];
      const labels = Int32Array.from({ length: batch * anchors }, (_, i) =>
        random.next() < share[Math.floor(i / anchors)] ? 1 : random.next() < 0.1 ? -1 : 0,
      );
      for (const options of [{}, { ratio: 1.5 }, { minNegatives: 7 }, { ratio: 1000 }, { ratio: 0 }]) {
        const actual = tf.tidy(() => [
          ...hardNegativeMask(
            tf.tensor2d(losses, [batch, anchors]),
            tf.tensor2d(labels, [batch, anchors], 'int32'),
            options,
          ).dataSync(),
        ]);
        // The plain miner speaks of class ids from 0: background -1, ignored -2.
        const expected = share.flatMap((_, b) => [
          ...hardNegatives(
            losses.subarray(b * anchors, (b + 1) * anchors),
            labels.subarray(b * anchors, (b + 1) * anchors).map((label) => label - 1),
            options,
          ),
        ]);
        expect(actual).toEqual(expected);
      }
    }
  });

  test('the hardest examples of both kinds, as the plain miner takes them', () => {
    const random = createRandom('examples');
    const [batch, anchors] = [4, 60];
    for (const levels of [3, 1e6]) {
      const losses = Float32Array.from({ length: batch * anchors }, () => random.integer(levels) / levels);
      // The last image has ignored examples alone.
      const labels = Int32Array.from({ length: batch * anchors }, (_, i) =>
        i < 3 * anchors ? random.integer(4) - 1 : -1,
      );
      for (const count of [0, 1, 17, 1000]) {
        const actual = tf.tidy(() => [
          ...hardExampleMask(
            tf.tensor2d(losses, [batch, anchors]),
            tf.tensor2d(labels, [batch, anchors], 'int32'),
            count,
          ).dataSync(),
        ]);
        const expected = [0, 1, 2, 3].flatMap((b) => {
          const row = losses.slice(b * anchors, (b + 1) * anchors);
          row.forEach((_, i) => (row[i] = labels[b * anchors + i] < 0 ? NaN : row[i]));
          const mask = new Array<number>(anchors).fill(0);
          for (const i of hardExamples(row, undefined, { count })) mask[i] = 1;
          return mask;
        });
        expect(actual).toEqual(expected);
      }
    }
    tf.tidy(() => {
      const [none, labels] = [tf.zeros([2, 0]), tf.zeros([2, 0], 'int32')] as [tf.Tensor2D, tf.Tensor2D];
      expect(hardExampleMask(none, labels, 3).shape).toEqual([2, 0]);
      expect(() => hardExampleMask(none, labels, 1.5)).toThrow(
        'count must be a whole number from 0, got 1.5',
      );
    });
  });

  test('no tensor is left behind', () => {
    const before = tf.memory().numTensors;
    run(cases[0]);
    expect(tf.memory().numTensors).toBe(before);
  });
});

test('shapes that do not go together are named', async () => {
  await useBackend({ backend: 'cpu' });
  tf.tidy(() => {
    const wrong = () =>
      multiboxLoss(
        { classLogits: tf.zeros([2, 5, 3]), boxDeltas: tf.zeros([2, 5, 4]) },
        { classTargets: tf.zeros([2, 4], 'int32'), boxTargets: tf.zeros([2, 5, 4]) },
      );
    expect(wrong).toThrow('classTargets [2,4]');
  });
});
