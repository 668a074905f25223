/** Global average pooling, with a gradient that stays a computation: tfjs's own multiplies by a whole map of ones made in JavaScript. */
import { tf } from '../tf';

const differentiable = tf.customGrad((x) => {
  const [, height, width] = (x as tf.Tensor4D).shape;
  return {
    value: tf.mean(x as tf.Tensor4D, [1, 2], true),
    gradFunc: (dy: tf.Tensor) => tf.tile(tf.div(dy, height * width), [1, height, width, 1]),
  };
});

/**
 * The mean of each channel of each image, differentiable.
 * @param x [N, H, W, C].
 * @returns [N, 1, 1, C]; the caller disposes it.
 */
export function globalAveragePool2d(x: tf.Tensor4D): tf.Tensor4D {
  return differentiable(x) as tf.Tensor4D;
}
