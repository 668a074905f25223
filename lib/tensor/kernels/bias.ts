/** Adding a number to each channel, with a gradient that sums over channels fast. */
import { tf } from '../tf';
import { channelSums } from './channels';
import { onTensorFlow, runOp } from './tensorflow-ops';

const attributes = { T: 'float32', data_format: 'NHWC' } as const;

const differentiable = tf.customGrad((...args) => {
  const [x, bias, save] = args as unknown as [tf.Tensor4D, tf.Tensor1D, tf.GradSaveFunc];
  save([]);
  return {
    value: onTensorFlow() ? runOp('BiasAdd', attributes, [x, bias])[0] : tf.add(x, bias),
    gradFunc: (dy: tf.Tensor) => [
      // A tensor of its own: tfjs disposes gradients that it adds up.
      dy.clone(),
      onTensorFlow() ? runOp('BiasAddGrad', attributes, [dy])[0] : channelSums(dy),
    ],
  };
});

/**
 * x + bias, a channel at a time, differentiable in both.
 * @param x [N, H, W, C], not empty.
 * @param bias [C].
 * @returns [N, H, W, C]; the caller disposes it.
 * @throws when bias doesn't have C values.
 */
export function addBias(x: tf.Tensor4D, bias: tf.Tensor1D): tf.Tensor4D {
  if (bias.rank !== 1 || bias.shape[0] !== x.shape[3]) {
    throw new Error(`addBias: bias has shape [${bias.shape}], but x [${x.shape}] has ${x.shape[3]} channels`);
  }
  return differentiable(x, bias) as tf.Tensor4D;
}
