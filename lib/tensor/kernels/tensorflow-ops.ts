/** TensorFlow's own ops, called by name on the backend `tensorflow`: fused gradients that tfjs builds from many small ops. */
import { tf } from '../tf';

/** An op's attribute as the native binding takes it. */
interface OpAttribute {
  name: string;
  type: number;
  value: unknown;
}

/** The part of tfjs-node's backend used here. */
interface NodeBackend {
  readonly binding: Record<
    'TF_ATTR_FLOAT' | 'TF_ATTR_STRING' | 'TF_ATTR_BOOL' | 'TF_ATTR_INT' | 'TF_ATTR_TYPE' | 'TF_FLOAT',
    number
  >;
  readonly isUsingGpuDevice: boolean;
  executeMultipleOutputs(
    name: string,
    attributes: OpAttribute[],
    inputs: tf.Tensor[],
    outputs: number,
  ): tf.Tensor[];
}

/** Attribute values by name: a type of 'float32', a flag, a text, a list of integers, or (everything else) a float. */
type Attributes = Record<string, 'float32' | boolean | string | readonly number[] | number>;

/** Whether ops can be called: the current backend is TensorFlow's. */
export function onTensorFlow(): boolean {
  return tf.getBackend() === 'tensorflow';
}

/**
 * Runs a TensorFlow op.
 * @param attributes a list of numbers is passed as integers, a number as a float.
 * @returns its first `outputs` outputs, tracked by the current tidy.
 */
export function runOp(
  name: string,
  attributes: Attributes,
  inputs: tf.Tensor[],
  outputs: number = 1,
): tf.Tensor[] {
  const backend = tf.backend() as unknown as NodeBackend;
  const { binding } = backend;
  const list = Object.entries(attributes).map(([key, value]): OpAttribute => {
    if (value === 'float32') return { name: key, type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT };
    if (typeof value === 'string') return { name: key, type: binding.TF_ATTR_STRING, value };
    if (typeof value === 'boolean') return { name: key, type: binding.TF_ATTR_BOOL, value };
    if (typeof value === 'number') return { name: key, type: binding.TF_ATTR_FLOAT, value };
    return { name: key, type: binding.TF_ATTR_INT, value };
  });
  return backend.executeMultipleOutputs(name, list, inputs, outputs);
}

/**
 * TensorFlow's gradient op of a convolution or depthwise convolution, with what tfjs's wrappers leave out: explicit padding and
 * dilation. Undefined where TensorFlow has no kernel for it on this device, so that the caller recasts it.
 * @param inputs {x, dy} for a filter gradient, {filter, dy} for an input gradient.
 */
export function convolutionGradientOp(
  name: string,
  info: tf.backend_util.Conv2DInfo,
  inputs: { x?: tf.Tensor4D; filter?: tf.Tensor4D; dy: tf.Tensor4D },
): tf.Tensor | undefined {
  const { top, bottom, left, right, type } = info.padInfo;
  const dilated = info.dilationHeight > 1 || info.dilationWidth > 1;
  const explicit = type !== 'SAME' && type !== 'VALID';
  if (dilated && !(tf.backend() as unknown as NodeBackend).isUsingGpuDevice) return undefined;
  const attributes: Attributes = {
    T: 'float32',
    strides: [1, info.strideHeight, info.strideWidth, 1],
    padding: explicit ? 'EXPLICIT' : type,
    data_format: 'NHWC',
    dilations: [1, info.dilationHeight, info.dilationWidth, 1],
  };
  if (explicit) attributes.explicit_paddings = [0, 0, top, bottom, left, right, 0, 0];
  if (!name.startsWith('Depthwise')) attributes.use_cudnn_on_gpu = true;
  return tf.tidy(() => {
    const sizes = tf.tensor1d(inputs.x ? info.filterShape : info.inShape, 'int32');
    const operands = inputs.x
      ? [inputs.x, sizes, inputs.dy]
      : [sizes, inputs.filter as tf.Tensor4D, inputs.dy];
    return runOp(name, attributes, operands)[0];
  });
}
