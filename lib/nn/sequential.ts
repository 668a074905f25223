/** Layers one after another, kept in plain arrays: a field `branch` gives the names `branch.0.weight`, `branch.1.bias`, as PyTorch's. */
import { relu, relu6 } from '../tensor/kernels/activations';
import { tf } from '../tensor/tf';
import { type ForwardContext, Module } from './module';

/** A module from one map to one map. */
export interface Layer extends Module {
  /** @param x `[B, H, W, C]`. Returns `[B, H', W', C']`; the caller disposes it. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D;
}

/** `max(x, 0)` as a layer: it has no parameters but takes a number in the array, as in PyTorch. */
export class Relu extends Module {
  /** @param x `[B, H, W, C]`. Returns the same shape; the caller disposes it. */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    return relu(x);
  }
}

/** `min(max(x, 0), 6)` as a layer, MobileNet's. */
export class Relu6 extends Module {
  /** @param x `[B, H, W, C]`. Returns the same shape; the caller disposes it. */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    return relu6(x);
  }
}

/** Runs `layers` in their order. No layers give `x` itself. The caller disposes the result. */
export function runLayers(
  layers: readonly Pick<Layer, 'forward'>[],
  x: tf.Tensor4D,
  context: ForwardContext,
): tf.Tensor4D {
  return tf.tidy(() => layers.reduce((y, layer) => layer.forward(y, context), x));
}
