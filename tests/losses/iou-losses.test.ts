/** The losses on boxes against torchvision's, values and gradients, on every backend. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ciou, diou } from '../../lib/boxes/distance-iou';
import { giou, iou } from '../../lib/boxes/geometry';
import type { Box } from '../../lib/boxes/types';
import { ciouLoss, diouLoss, giouLoss, iouLoss } from '../../lib/losses/iou-losses';
import { useBackend } from '../../lib/tensor/backend';
import { compile } from '../../lib/tensor/compile/compile';
import { tf } from '../../lib/tensor/tf';
import { backends, expectClose, expectNoLeak, on } from '../tensor/kernels/backends';
import { expectLikeLoop } from '../tensor/kernels/differences';

const { boxes: fixture } = JSON.parse(
  readFileSync(path.join(__dirname, 'fixtures', 'detection-losses.json'), 'utf8'),
) as {
  boxes: {
    boxes: number[];
    targets: number[];
    weights: number[];
    cases: {
      name: 'giou' | 'diou' | 'ciou';
      eps: number;
      value: number[];
      gradient: number[];
      targetGradient: number[];
    }[];
  };
};
const losses = { iou: iouLoss, giou: giouLoss, diou: diouLoss, ciou: ciouLoss };
const measures = { iou, giou, diou, ciou };

describe.each(backends)('%s', (backend) => {
  on(backend);
  const count = fixture.weights.length;

  test.each(fixture.cases)(
    "$name equals torchvision's, epsilon $eps: equal boxes, apart, touching and inside",
    ({ name, eps, value, gradient, targetGradient }) => {
      tf.tidy(() => {
        const [x, t] = [fixture.boxes, fixture.targets].map((values) => tf.tensor2d(values, [count, 4]));
        const loss = (a: tf.Tensor, b: tf.Tensor): tf.Tensor => losses[name](a, b, eps);
        expectClose(loss(x, t).dataSync(), value, 2e-6, 'value');
        const [dx, dt] = tf.grads(loss)([x, t], tf.tensor1d(fixture.weights));
        expectClose(dx.dataSync(), gradient, 2e-6, 'gradient');
        expectClose(dt.dataSync(), targetGradient, 2e-6, "the targets' gradient");
      });
    },
  );

  test.each(Object.keys(losses) as (keyof typeof losses)[])('1 - %s, and its differences', (name) => {
    const boxes = Float32Array.of(1, 2, 8, 7, 0.5, 1.5, 4.25, 9, 12, 12, 14, 15);
    const targets = [2.5, 1, 9, 6.5, 0, 2, 5, 8, 1, 2, 5, 7];
    const rows = (flat: ArrayLike<number>): Box[] =>
      [0, 4, 8].map((i) => [flat[i], flat[i + 1], flat[i + 2], flat[i + 3]]);
    // CIoU's weight of the aspect ratio has no gradient: hold it where it is.
    const held = rows(boxes).map((box, i) => {
      const [a, b] = [box, rows(targets)[i]].map(([x1, y1, x2, y2]) => Math.atan((x2 - x1) / (y2 - y1)));
      const v = (4 / Math.PI ** 2) * (a - b) ** 2;
      return v / (1 - iou(box, rows(targets)[i]) + v);
    });
    expectLikeLoop(
      (x) => losses[name](x, tf.tensor2d(targets, [3, 4])),
      (flat) =>
        rows(flat).map((box, i) => {
          const target = rows(targets)[i];
          if (name !== 'ciou') return 1 - measures[name](box, target);
          const [a, b] = [box, target].map(([x1, y1, x2, y2]) => Math.atan((x2 - x1) / (y2 - y1)));
          return 1 - diou(box, target) + held[i] * (4 / Math.PI ** 2) * (a - b) ** 2;
        }),
      boxes,
      [3, 4],
      2e-6,
    );
  });

  test('leading axes are kept; empty in, empty out; no tensor is left behind', () => {
    const [x, t] = [tf.randomUniform([2, 3, 4], 0, 1, 'float32', 1), tf.ones([2, 3, 4])];
    for (const loss of Object.values(losses)) {
      tf.tidy(() => {
        expect(loss(x, t).shape).toEqual([2, 3]);
        expect(loss(tf.zeros([0, 4]), tf.zeros([0, 4])).shape).toEqual([0]);
      });
      expectNoLeak(() => loss(x, t).dispose());
      expectNoLeak(() =>
        tf
          .grad((y: tf.Tensor) => tf.sum(loss(y, t)))(x)
          .dispose(),
      );
    }
    tf.dispose([x, t]);
  });

  test('a compiled step follows its boxes', () => {
    const step = compile(({ x, t }: { x: tf.Tensor2D; t: tf.Tensor2D }) => {
      const { value, grad } = tf.valueAndGrad((y: tf.Tensor) => tf.sum(ciouLoss(y, t)))(x);
      return { value, grad };
    });
    for (const shift of [0, 1, 2, 5]) {
      tf.tidy(() => {
        const [x, t] = [
          [0, 0, 4, 2],
          [shift, 1, shift + 3, 3],
        ].map((box) => tf.tensor2d(box, [1, 4]));
        const { value, grad } = step({ x, t });
        const expected = tf.valueAndGrad((y: tf.Tensor) => tf.sum(ciouLoss(y, t)))(x);
        expectClose(value.dataSync(), expected.value.dataSync(), 1e-6, 'value');
        expectClose(grad.dataSync(), expected.grad.dataSync(), 1e-6, 'gradient');
      });
    }
    step.dispose();
  });
});

test('by hand: a quarter of the box around both is neither', () => {
  tf.tidy(() => {
    const [x, t] = [
      [0, 0, 1, 2],
      [1, 0, 2, 1],
    ].map((box) => tf.tensor2d(box, [1, 4]));
    expect(iouLoss(x, t).dataSync()[0]).toBe(1);
    expect(giouLoss(x, t).dataSync()[0]).toBeCloseTo(1 + 1 / 4, 6);
    expect(diouLoss(x, t).dataSync()[0]).toBeCloseTo(1 + (1 + 0.25) / 8, 6);
  });
});

test('1 - the measure, for any pair of boxes; 0 and without gradient only where they are equal', async () => {
  await useBackend({ backend: 'cpu' });
  const side = fc.integer({ min: 1, max: 40 });
  const box = fc.tuple(side, side, side, side).map(([x, y, w, h]): Box => [x, y, x + w, y + h]);
  fc.assert(
    fc.property(box, box, (a, b) => {
      tf.tidy(() => {
        const [x, t] = [a, b].map((values) => tf.tensor2d([...values], [1, 4]));
        for (const name of ['iou', 'giou', 'diou', 'ciou'] as const) {
          expect(losses[name](x, t).dataSync()[0]).toBeCloseTo(1 - measures[name](a, b), 5);
        }
        const gradient = tf
          .grad((y: tf.Tensor) => tf.sum(giouLoss(y, t)))(x)
          .dataSync();
        expect(gradient.every(Number.isFinite)).toBe(true);
      });
    }),
    { numRuns: 60 },
  );
});

test('shapes that do not go together are named', () => {
  expect(() => giouLoss(tf.zeros([2, 4]), tf.zeros([3, 4]))).toThrow(
    'giouLoss: predictions [2,4] and targets [3,4] must have one shape, [..., 4]',
  );
});
