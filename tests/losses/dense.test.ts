/** The loss of RetinaNet against torchvision's, and EfficientDet's against the release's rules, on every backend. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { denseLoss, type DenseLossOptions, efficientDetLoss, retinaNetLoss } from '../../lib/losses/dense';
import { sigmoidFocalLoss } from '../../lib/losses/focal';
import { compile } from '../../lib/tensor/compile/compile';
import { tf } from '../../lib/tensor/tf';
import { backends, expectClose, expectNoLeak, on } from '../tensor/kernels/backends';

interface Expected {
  readonly classLoss: number;
  readonly boxLoss: number;
  readonly logitsGradient: number[];
  readonly deltasGradient: number[];
}
const { dense: fixture } = JSON.parse(
  readFileSync(path.join(__dirname, 'fixtures', 'detection-losses.json'), 'utf8'),
) as {
  dense: {
    shape: [number, number, number];
    logits: number[];
    deltas: number[];
    classTargets: number[];
    boxTargets: number[];
    retinaNet: Expected;
    efficientDet: (Expected & { smoothing: number })[];
  };
};
const [batch, anchors, classes] = fixture.shape;

/** Tensors of the fixture; the caller tidies. */
function inputs() {
  return {
    logits: tf.tensor3d(fixture.logits, fixture.shape),
    deltas: tf.tensor3d(fixture.deltas, [batch, anchors, 4]),
    targets: {
      classTargets: tf.tensor2d(fixture.classTargets, [batch, anchors], 'int32'),
      boxTargets: tf.tensor3d(fixture.boxTargets, [batch, anchors, 4]),
    },
  };
}

function expectLoss(options: DenseLossOptions, expected: Expected): void {
  tf.tidy(() => {
    const { logits, deltas, targets } = inputs();
    const loss = denseLoss({ classLogits: logits, boxDeltas: deltas }, targets, options);
    const total = expected.classLoss + (options.boxWeight ?? 1) * expected.boxLoss;
    expectClose(loss.classLoss.dataSync(), [expected.classLoss], 2e-6, 'class loss');
    expectClose(loss.boxLoss.dataSync(), [expected.boxLoss], 2e-6, 'box loss');
    expectClose(loss.total.dataSync(), [total], 2e-6, 'total');
    expect(loss.positives.dataSync()[0]).toBe(fixture.classTargets.filter((c) => c > 0).length);
    const gradients = tf.grads(
      (x: tf.Tensor, d: tf.Tensor) =>
        denseLoss({ classLogits: x as tf.Tensor3D, boxDeltas: d as tf.Tensor3D }, targets, options).total,
    )([logits, deltas]);
    expectClose(gradients[0].dataSync(), expected.logitsGradient, 2e-6, "the logits' gradient");
    expectClose(gradients[1].dataSync(), expected.deltasGradient, 2e-6, "the offsets' gradient");
  });
}

describe.each(backends)('%s', (backend) => {
  on(backend);

  test("RetinaNet's equals torchvision's", () => {
    expectLoss(retinaNetLoss, fixture.retinaNet);
    expectLoss({}, fixture.retinaNet);
  });

  test.each(fixture.efficientDet)("EfficientDet's equals the release's, smoothing $smoothing", (expected) => {
    expectLoss({ ...efficientDetLoss, labelSmoothing: expected.smoothing }, expected);
  });

  test('the normalisers differ by what they divide by', () => {
    tf.tidy(() => {
      const { logits, deltas, targets } = inputs();
      const run = (normalizer: DenseLossOptions['normalizer']): number[] => {
        const loss = denseLoss({ classLogits: logits, boxDeltas: deltas }, targets, { normalizer, beta: 1 });
        return [loss.classLoss.dataSync()[0], loss.boxLoss.dataSync()[0]];
      };
      const positives = fixture.classTargets.filter((c) => c > 0).length;
      const sums = run(tf.scalar(1));
      expectClose(
        run('positives'),
        sums.map((sum) => sum / positives),
        1e-6,
        'positives',
      );
      const andOne = [sums[0] / (positives + 1), sums[1] / (4 * (positives + 1))];
      expectClose(run('positives-plus-one'), andOne, 1e-6, 'positives and one');
      expectClose(
        run(tf.scalar(20)),
        sums.map((sum) => sum / 20),
        1e-6,
        'a scalar',
      );
    });
  });

  test('images without objects, and all of them: background alone, no NaN; ignored anchors count nothing', () => {
    tf.tidy(() => {
      const x = tf.tensor3d([1, -2, 0.5, 3], [1, 2, 2]);
      const d = tf.ones([1, 2, 4]) as tf.Tensor3D;
      const boxTargets = tf.zeros([1, 2, 4]) as tf.Tensor3D;
      for (const options of [retinaNetLoss, efficientDetLoss, { normalizer: 'positives' } as const]) {
        const loss = (labels: number[]): { classLoss: number; boxLoss: number } => {
          const classTargets = tf.tensor2d(labels, [1, 2], 'int32');
          const parts = denseLoss({ classLogits: x, boxDeltas: d }, { classTargets, boxTargets }, options);
          return { classLoss: parts.classLoss.dataSync()[0], boxLoss: parts.boxLoss.dataSync()[0] };
        };
        const background = tf.sum(sigmoidFocalLoss(x, tf.zerosLike(x), options), 2).dataSync();
        expect(loss([0, 0]).classLoss).toBeCloseTo(background[0] + background[1], 5);
        expect(loss([0, 0]).boxLoss).toBe(0);
        expect(loss([-1, 0]).classLoss).toBeCloseTo(background[1], 5);
        expect(loss([-1, -1])).toEqual({ classLoss: 0, boxLoss: 0 });
      }
    });
  });

  test('no tensor is left behind', () => {
    const { logits, deltas, targets } = inputs();
    expectNoLeak(() =>
      tf.dispose({ ...denseLoss({ classLogits: logits, boxDeltas: deltas }, targets, efficientDetLoss) }),
    );
    tf.dispose([logits, deltas, targets.classTargets, targets.boxTargets]);
  });

  test('a compiled step follows its targets', () => {
    const step = compile(
      ({ x, d, c, b }: { x: tf.Tensor3D; d: tf.Tensor3D; c: tf.Tensor2D; b: tf.Tensor3D }) => {
        const loss = (y: tf.Tensor): tf.Scalar =>
          denseLoss({ classLogits: y as tf.Tensor3D, boxDeltas: d }, { classTargets: c, boxTargets: b })
            .total;
        const { value, grad } = tf.valueAndGrad(loss)(x);
        return { value, grad };
      },
    );
    for (const objects of [0, 1, 3, 2]) {
      tf.tidy(() => {
        const { logits, deltas, targets } = inputs();
        const labels = fixture.classTargets.map((c, i) => (i < objects * anchors ? c : Math.min(c, 0)));
        const c = tf.tensor2d(labels, [batch, anchors], 'int32');
        const { value, grad } = step({ x: logits, d: deltas, c, b: targets.boxTargets });
        const expected = tf.valueAndGrad(
          (y: tf.Tensor) =>
            denseLoss(
              { classLogits: y as tf.Tensor3D, boxDeltas: deltas },
              { classTargets: c, boxTargets: targets.boxTargets },
            ).total,
        )(logits);
        expectClose(value.dataSync(), expected.value.dataSync(), 1e-6, 'value');
        expectClose(grad.dataSync(), expected.grad.dataSync(), 1e-6, 'gradient');
      });
    }
    step.dispose();
  });
});

test('shapes that do not go together are named', () => {
  tf.tidy(() => {
    const targets = {
      classTargets: tf.zeros([1, 3], 'int32') as tf.Tensor2D,
      boxTargets: tf.zeros([1, 2, 4]) as tf.Tensor3D,
    };
    const predictions = { classLogits: tf.zeros([1, 2, classes]), boxDeltas: tf.zeros([1, 2, 4]) };
    expect(() => denseLoss(predictions as Parameters<typeof denseLoss>[0], targets)).toThrow(
      'classTargets [1,3], boxTargets [1,2,4]; wanted [B, A, C]',
    );
  });
});
