/** Powers of numbers from 0 on, without tf.pow where it can be had cheaper: that op takes a hundred times as long as a product. */
import { tf } from '../tensor/tf';

/** `x^exponent`, element by element, for x of 0 or more. */
export function power(x: tf.Tensor, exponent: number): tf.Tensor {
  switch (exponent) {
    case 0:
      return tf.onesLike(x);
    case 0.5:
      return tf.sqrt(x);
    case 1:
      return x;
    case 1.5:
      return tf.mul(x, tf.sqrt(x));
    case 2:
      return tf.square(x);
    case 3:
      return tf.mul(x, tf.square(x));
    default:
      return tf.pow(x, exponent);
  }
}
