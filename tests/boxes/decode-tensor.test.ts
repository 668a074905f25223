/** Decoding with tensors against decoding with arrays, and its gradient against differences, on every backend. */
import { describe, expect, test } from 'vitest';
import { createBoxCoder, efficientDetCoder, fasterRcnnCoder, ssdCoder } from '../../lib/boxes/coders';
import { decodeTensor } from '../../lib/boxes/decode-tensor';
import { toBoxArray } from '../../lib/boxes/geometry';
import { tf } from '../../lib/tensor/tf';
import { backends, expectClose, expectNoLeak, normals, on } from '../tensor/kernels/backends';
import { expectLikeLoop } from '../tensor/kernels/differences';
import { fixture } from './detection-fixture';

const anchors = toBoxArray(fixture.coders.anchors);
const count = anchors.length / 4;

describe.each(backends)('%s', (backend) => {
  on(backend);

  test('decodes as the coder does, for a batch of one set of anchors', () => {
    const deltas = normals(2 * 4 * count, 'deltas');
    for (const coder of [ssdCoder, fasterRcnnCoder, efficientDetCoder]) {
      tf.tidy(() => {
        const boxes = decodeTensor(
          tf.tensor3d(deltas, [2, count, 4]),
          tf.tensor2d(anchors, [count, 4]),
          coder,
        );
        expect(boxes.shape).toEqual([2, count, 4]);
        const expected = [0, 1].flatMap((b) => [
          ...coder.decode(deltas.subarray(4 * count * b, 4 * count * (b + 1)), anchors),
        ]);
        expectClose(boxes.dataSync(), expected, 2e-6, 'boxes');
      });
    }
  });

  test('its gradient is that of the formula, and 0 where the size is limited', () => {
    const [anchor, deltas] = [[2, 3, 10, 7], Float32Array.of(0.3, -0.2, 0.4, -0.1, 0.1, 0.2, 3.5, 0.3)];
    const coder = createBoxCoder({ variances: [0.5, 0.5, 2, 1], maxLogScale: 4 });
    const loop = (d: ArrayLike<number>): number[] =>
      [0, 4].flatMap((i) => {
        const [cx, cy] = [6 + d[i] * 0.5 * 8, 5 + d[i + 1] * 0.5 * 4];
        const [w, h] = [8 * Math.exp(Math.min(2 * d[i + 2], 4)), 4 * Math.exp(d[i + 3])];
        return [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2];
      });
    expectLikeLoop((x) => decodeTensor(x, tf.tensor2d(anchor, [1, 4]), coder), loop, deltas, [2, 4], 1e-4);
  });

  test('empty in, empty out; no tensor is left behind', () => {
    tf.tidy(() => {
      expect(decodeTensor(tf.zeros([0, 4]), tf.zeros([0, 4]), ssdCoder).shape).toEqual([0, 4]);
    });
    const [deltas, boxes] = [tf.ones([count, 4]), tf.tensor2d(anchors, [count, 4])];
    expectNoLeak(() => decodeTensor(deltas, boxes, ssdCoder).dispose());
    tf.dispose([deltas, boxes]);
  });
});

test('shapes that are no boxes are named', () => {
  expect(() => decodeTensor(tf.zeros([2, 3]), tf.zeros([2, 4]), ssdCoder)).toThrow(
    'deltas [2,3] and anchors [2,4]',
  );
});
