/** Linear operations, whose gradients need none of their inputs. tfjs's own keep them all the same, to know their shapes. */
import { tf } from '../tf';

const sum = tf.customGrad((...args) => {
  const tensors = args.slice(0, -1) as unknown as tf.Tensor[];
  const shapes = tensors.map(({ shape }) => shape);
  (args[args.length - 1] as unknown as tf.GradSaveFunc)([]);
  return {
    value: tensors.length === 2 ? tf.add(tensors[0], tensors[1]) : tf.addN(tensors),
    // Tensors of their own, as tfjs disposes gradients that it adds up; and by the very operation of `add`, so that a graph's optimiser makes the
    // same of it, to the last digit.
    gradFunc: (dy: tf.Tensor) => shapes.map((shape) => tf.reshape(dy, shape)),
  };
});

/**
 * The sum of tensors of one shape, differentiable in all; keeps nothing for its gradient. The caller disposes the result.
 * @throws RangeError when there are none, or their shapes differ.
 */
export function sumOf<T extends tf.Tensor>(tensors: readonly T[]): T {
  const shapes = tensors.map(({ shape }) => shape);
  if (tensors.length === 0 || !shapes.every((shape) => tf.util.arraysEqual(shape, shapes[0]))) {
    throw new RangeError(
      `sumOf: the tensors have shapes ${shapes.map((shape) => `[${shape}]`).join(', ') || '(there are none)'}; give some of one shape`,
    );
  }
  return sum(...tensors) as T;
}

/**
 * x times a factor a channel, plus a shift a channel, differentiable in x alone; keeps the factors for its gradient, and not x. The caller
 * disposes the result.
 * @param x `[..., C]`
 * @param factor `[C]`
 * @param shift `[C]`
 */
export function fixedAffine<T extends tf.Tensor>(x: T, factor: tf.Tensor1D, shift: tf.Tensor1D): T {
  const operation = tf.customGrad((input, save) => {
    (save as tf.GradSaveFunc)([factor]);
    return {
      value: tf.add(tf.mul(input as tf.Tensor, factor), shift),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.mul(dy, saved[0]),
    };
  });
  return operation(x) as T;
}

/** x times a number, differentiable in x; keeps nothing for its gradient. The caller disposes the result. */
export function scaled<T extends tf.Tensor>(x: T, factor: number): T {
  const operation = tf.customGrad((input, save) => {
    (save as tf.GradSaveFunc)([]);
    return {
      value: tf.mul(input as tf.Tensor, factor),
      gradFunc: (dy: tf.Tensor) => tf.mul(dy, factor),
    };
  });
  return operation(x) as T;
}
