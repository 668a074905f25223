/** First values of weights. Each draws from a seeded stream, so that the same seed builds the same network on every backend. */
import type { Random } from '../tensor/random';
import { tf } from '../tensor/tf';

/** Makes the first value of a weight tensor; a convolution's shape is `[kernelH, kernelW, in, out]`. */
export type Initializer = (shape: readonly number[], random: Random) => tf.Tensor;

/** Fan-in and fan-out of a `[kH, kW, in, out]` or `[in, out]` weight: connections into and out of one unit. */
export function fans(shape: readonly number[]): { fanIn: number; fanOut: number } {
  if (shape.length < 2)
    throw new RangeError(`fans: a weight has at least two dimensions, got [${shape.join(', ')}]`);
  const window = shape.slice(0, -2).reduce((product, size) => product * size, 1);
  return { fanIn: window * shape[shape.length - 2], fanOut: window * shape[shape.length - 1] };
}

function filled(shape: readonly number[], draw: () => number): tf.Tensor {
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
  for (let i = 0; i < values.length; i++) values[i] = draw();
  return tf.tensor(values, [...shape], 'float32');
}

/** Uniform in ±sqrt(6 / (fanIn + fanOut)) (Glorot and Bengio, AISTATS 2010, eq. 16). */
export const xavierUniform: Initializer = (shape, random) => {
  const { fanIn, fanOut } = fans(shape);
  const limit = Math.sqrt(6 / (fanIn + fanOut));
  return filled(shape, () => random.uniform(-limit, limit));
};

/** Normal with variance 2 / fanIn, for layers followed by a ReLU (He et al., ICCV 2015, eq. 10). */
export const kaimingNormal: Initializer = (shape, random) => {
  const deviation = Math.sqrt(2 / fans(shape).fanIn);
  return filled(shape, () => deviation * random.normal());
};

/** Normal with variance 1 / fanIn (LeCun et al., "Efficient BackProp", 1998), which keeps the values' size where no ReLU halves it. */
export const lecunNormal: Initializer = (shape, random) => {
  const deviation = Math.sqrt(1 / fans(shape).fanIn);
  return filled(shape, () => deviation * random.normal());
};

/**
 * Normal with variance 2 / fanOut, which keeps the gradients' size instead of the values' (He et al., ICCV 2015, eq. 14): what
 * ResNets and EfficientNets are usually begun with.
 */
export const kaimingNormalFanOut: Initializer = (shape, random) => {
  const deviation = Math.sqrt(2 / fans(shape).fanOut);
  return filled(shape, () => deviation * random.normal());
};

/**
 * Uniform with variance 1 / fanIn: PyTorch's `kaiming_uniform_(a=1)`, for convolutions that no ReLU follows. torchvision begins its
 * feature pyramids with it.
 */
export const kaimingUniformLinear: Initializer = (shape, random) => {
  const limit = Math.sqrt(3 / fans(shape).fanIn);
  return filled(shape, () => random.uniform(-limit, limit));
};

/** Normal with a fixed standard deviation. */
export function normal(deviation: number): Initializer {
  return (shape, random) => filled(shape, () => deviation * random.normal());
}

/** All zeros. */
export const zeros: Initializer = (shape) => tf.zeros([...shape]);

/** All ones. */
export const ones: Initializer = (shape) => tf.ones([...shape]);
