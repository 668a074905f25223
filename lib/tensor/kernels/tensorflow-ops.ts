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
    'TF_ATTR_FLOAT' | 'TF_ATTR_STRING' | 'TF_ATTR_BOOL' | 'TF_ATTR_INT' | 'TF_ATTR_TYPE',
    number
  >;
  readonly isUsingGpuDevice: boolean;
  /** TensorFlow's number of a type. */
  getDTypeInteger(type: tf.DataType): number;
  executeMultipleOutputs(
    name: string,
    attributes: OpAttribute[],
    inputs: tf.Tensor[],
    outputs: number,
  ): tf.Tensor[];
}

/** A whole number that an op wants as an integer; a plain number is passed as a float. */
interface Integer {
  readonly integer: number;
}

/** Attribute values by name: a type by tfjs's name of it, a flag, another text, integers, or (a plain number) a float. */
type Attributes = Record<string, tf.DataType | boolean | string | readonly number[] | Integer | number>;

const dataTypes: ReadonlySet<string> = new Set(['float32', 'int32', 'bool', 'complex64', 'string']);

/** Whether ops can be called: the current backend is TensorFlow's. */
export function onTensorFlow(): boolean {
  return tf.getBackend() === 'tensorflow';
}

/**
 * Runs a TensorFlow op.
 * @param attributes 'float32', 'int32' and the like are passed as types, a list of numbers and `{ integer }` as integers, a
 * number as a float.
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
    if (typeof value === 'string' && dataTypes.has(value)) {
      return {
        name: key,
        type: binding.TF_ATTR_TYPE,
        value: backend.getDTypeInteger(value as tf.DataType),
      };
    }
    if (typeof value === 'string') return { name: key, type: binding.TF_ATTR_STRING, value };
    if (typeof value === 'boolean') return { name: key, type: binding.TF_ATTR_BOOL, value };
    if (typeof value === 'number') return { name: key, type: binding.TF_ATTR_FLOAT, value };
    return { name: key, type: binding.TF_ATTR_INT, value: 'integer' in value ? value.integer : value };
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
  // oneDNN's gradient of a strided 1x1 filter writes beyond its memory where the input has fewer channels than a vector has numbers (seen
  // in TensorFlow 2.21). Explicit padding, of 0, takes it to TensorFlow's own kernel.
  const overrun =
    name === 'Conv2DBackpropFilter' &&
    info.filterHeight * info.filterWidth === 1 &&
    Math.max(info.strideHeight, info.strideWidth) > 1 &&
    info.inChannels % 16 !== 0;
  const explicit = overrun || (type !== 'SAME' && type !== 'VALID');
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
