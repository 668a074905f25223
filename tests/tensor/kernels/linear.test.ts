/**
 * The gradients of linear functions, exactly: if y = L x, the gradient of <dy, L x> is the vector of <dy, L e_i> over the unit
 * vectors e_i. Several of tfjs's own are wrong away from square images and single axes.
 */
import { describe, expect, it } from 'vitest';
import { tf } from '../../../lib/tensor/tf';
import { backends, expectClose, expectNoLeak, normals, on } from './backends';

type Linear = (x: tf.Tensor4D) => tf.Tensor;

/** Of x [N, 4, 6, 2]. */
const functions: Record<string, Linear> = {
  'cumsum along height': (x) => tf.cumsum(x, 1),
  'cumsum along width, exclusive, backwards': (x) => tf.cumsum(x, 2, true, true),
  'average pooling': (x) => tf.avgPool(x, 2, 2, 'valid'),
  'average pooling that hangs over the edge': (x) => tf.avgPool(x, [3, 4], 3, 'same'),
  'average pooling, overlapping, to the same size': (x) => tf.avgPool(x, 3, 1, 'same'),
  'average pooling over the whole image': (x) => tf.avgPool(x, [4, 6], 1, 'valid'),
  'nearest neighbour, doubled': (x) => tf.image.resizeNearestNeighbor(x, [8, 12]),
  'nearest neighbour, 3 by 2': (x) => tf.image.resizeNearestNeighbor(x, [12, 12]),
  'nearest neighbour, to odd sizes': (x) => tf.image.resizeNearestNeighbor(x, [7, 11]),
  'nearest neighbour, smaller': (x) => tf.image.resizeNearestNeighbor(x, [3, 4]),
  'nearest neighbour, half pixel centres': (x) => tf.image.resizeNearestNeighbor(x, [7, 11], false, true),
  'bilinear, doubled': (x) => tf.image.resizeBilinear(x, [8, 12]),
  'bilinear, to odd sizes': (x) => tf.image.resizeBilinear(x, [7, 5]),
  'bilinear, corners aligned': (x) => tf.image.resizeBilinear(x, [7, 13], true),
  'bilinear, half pixel centres': (x) => tf.image.resizeBilinear(x, [8, 12], false, true),
};

describe.each(backends)('gradients of linear functions on %s', (backend) => {
  on(backend);

  it.each(Object.keys(functions))('%s', (key) => {
    const f = functions[key];
    tf.tidy(() => {
      // every unit vector of one image, as a batch
      const count = 4 * 6 * 2;
      const images = f(tf.eye(count).reshape([count, 4, 6, 2]));
      const dy = normals(images.size / count, 'dy');
      const columns = images.dataSync();
      const expected = Array.from({ length: count }, (_, i) =>
        dy.reduce((sum, d, j) => sum + d * columns[i * dy.length + j], 0),
      );
      const gradient = tf.grad((x) => f(x as tf.Tensor4D))(
        tf.zeros([2, 4, 6, 2]),
        tf.tensor([...dy, ...dy.map((d) => 2 * d)], [2, ...images.shape.slice(1)]),
      );
      expect(gradient.shape).toEqual([2, 4, 6, 2]);
      expectClose(gradient.dataSync(), [...expected, ...expected.map((d) => 2 * d)], 1e-5, 'gradient');
    });
  });

  it('leak nothing', () => {
    const x = tf.zeros<tf.Rank.R4>([2, 4, 6, 2]);
    for (const f of Object.values(functions))
      expectNoLeak(() =>
        tf
          .grad((a) => f(a as tf.Tensor4D))(x)
          .dispose(),
      );
    x.dispose();
  });
});
