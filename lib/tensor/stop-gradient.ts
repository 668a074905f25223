/** Cutting the gradient: what TensorFlow and PyTorch call `stop_gradient` and `detach`, and TensorFlow.js lacks. */
import { tf } from './tf';

/**
 * `x` itself going forward; going backward, zeros. The caller disposes the result.
 *
 * It zeroes the gradient but does not take the tensor off the tape: an operation that has no gradient (`unique`, say)
 * still throws when it is applied to the result inside a differentiated function. `withoutGradient` runs such operations.
 */
export function stopGradient<T extends tf.Tensor>(x: T): T {
  return withoutGradient((y) => tf.clone(y), x) as T;
}

/**
 * Runs `compute` on the inputs as one operation whose gradient is zero, so that anything may be used inside: comparisons,
 * sorting, rounding. No value is read in JavaScript. The caller disposes the result; intermediate tensors are tidied.
 * @param compute gets the inputs, returns one tensor (a mask as float32, say: a gradient cannot flow into a bool)
 */
export function withoutGradient(
  compute: (...inputs: tf.Tensor[]) => tf.Tensor,
  ...inputs: tf.Tensor[]
): tf.Tensor {
  const operation = tf.customGrad((...args) => {
    const save = args.pop() as unknown as tf.GradSaveFunc;
    const tensors = args as unknown as tf.Tensor[];
    save([]);
    return {
      value: compute(...tensors),
      // Zeros from the shapes alone, so that nothing need be saved.
      gradFunc: () => tensors.map(({ shape }) => tf.zeros(shape)),
    };
  });
  return operation(...inputs);
}
