/** Activations whose gradients are one or two ops, where tfjs's own are several; each keeps only one tensor for its gradient. */
import { tf } from '../tf';
import { runKernel } from './registry';
import { onTensorFlow, runOp } from './tensorflow-ops';

const onWasm = (): boolean => tf.getBackend() === 'wasm';

/** A differentiable function of one tensor: `forward`, and its gradient from dy and the tensor that `keep` names. */
function activation(
  keep: 'input' | 'output',
  forward: (x: tf.Tensor) => tf.Tensor,
  gradient: (dy: tf.Tensor, kept: tf.Tensor) => tf.Tensor,
): <T extends tf.Tensor>(x: T) => T {
  const differentiable = tf.customGrad((x, save) => {
    const y = forward(x as tf.Tensor);
    (save as tf.GradSaveFunc)([keep === 'input' ? (x as tf.Tensor) : y]);
    return { value: y, gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => gradient(dy, saved[0]) };
  });
  return <T extends tf.Tensor>(x: T): T => differentiable(x) as T;
}

const reluDifferentiable = activation('output', tf.relu, (dy, y) => {
  if (onTensorFlow()) return runOp('ReluGrad', { T: 'float32' }, [dy, y])[0];
  if (onWasm()) return runKernel('ReluGradient', { dy, kept: y }, {});
  return tf.mul(dy, tf.step(y));
});

const relu6Differentiable = activation('output', tf.relu6, (dy, y) => {
  if (onTensorFlow()) return runOp('Relu6Grad', { T: 'float32' }, [dy, y])[0];
  if (onWasm()) return runKernel('Relu6Gradient', { dy, kept: y }, {});
  return tf.mul(dy, tf.mul(tf.step(y), tf.step(tf.sub(6, y))));
});

const sigmoidDifferentiable = activation('output', tf.sigmoid, sigmoidGradient);

// Only x is kept: the sigmoid is cheaper to compute again than to store.
const swishDifferentiable = activation(
  'input',
  (x) => (onWasm() ? runKernel('Swish', { x }, {}) : tf.mul(x, tf.sigmoid(x))),
  (dy, x) => {
    if (onWasm()) return runKernel('SwishGradient', { dy, kept: x }, {});
    const s = tf.sigmoid(x);
    return tf.add(tf.mul(dy, s), sigmoidGradient(tf.mul(dy, x), s));
  },
);

/** dy y (1 - y) for y = sigmoid(x). */
function sigmoidGradient(dy: tf.Tensor, y: tf.Tensor): tf.Tensor {
  if (onTensorFlow()) return runOp('SigmoidGrad', { T: 'float32' }, [y, dy])[0];
  if (onWasm()) return runKernel('SigmoidGradient', { dy, kept: y }, {});
  return tf.mul(dy, tf.mul(y, tf.sub(1, y)));
}

/** max(x, 0), any shape; the gradient at 0 is 0. Keeps its output, which the next layer keeps anyway. The caller disposes the result. */
export function relu<T extends tf.Tensor>(x: T): T {
  return reluDifferentiable(x);
}

/** min(max(x, 0), 6), any shape; the gradient at 0 and 6 is 0. The caller disposes the result. */
export function relu6<T extends tf.Tensor>(x: T): T {
  return relu6Differentiable(x);
}

/** 1 / (1 + exp(-x)), any shape. The caller disposes the result. */
export function sigmoid<T extends tf.Tensor>(x: T): T {
  return sigmoidDifferentiable(x);
}

/** x sigmoid(x), any shape (Ramachandran et al., 2017; also called SiLU). The caller disposes the result. */
export function swish<T extends tf.Tensor>(x: T): T {
  return swishDifferentiable(x);
}
