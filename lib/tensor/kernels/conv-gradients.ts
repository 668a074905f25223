/**
 * The gradients of tf.conv2d and tf.depthwiseConv2d, registered in place of tfjs's own, which refuse a dilation above 1 and, on
 * `tensorflow`, explicit padding.
 */
import { tf } from '../tf';
import { type ConvAttributes, convInfo, recastFilterGradient, recastInputGradient } from './conv-recast';
import { recastDepthwiseFilterGradient, recastDepthwiseInputGradient } from './depthwise-recast';
import { runKernel } from './registry';
import { convolutionGradientOp } from './tensorflow-ops';

type Attributes = Required<ConvAttributes>;

/** How one of the two kinds of convolution differentiates. */
interface Convolution {
  readonly depthwise: boolean;
  readonly filterKernel: string;
  readonly inputKernel: string;
  readonly recastFilter: typeof recastFilterGradient;
  readonly recastInput: typeof recastInputGradient;
}

const full: Convolution = {
  depthwise: false,
  filterKernel: 'Conv2DBackpropFilter',
  inputKernel: 'Conv2DBackpropInput',
  recastFilter: recastFilterGradient,
  recastInput: recastInputGradient,
};

const depthwise: Convolution = {
  depthwise: true,
  filterKernel: 'DepthwiseConv2dNativeBackpropFilter',
  inputKernel: 'DepthwiseConv2dNativeBackpropInput',
  recastFilter: recastDepthwiseFilterGradient,
  recastInput: recastDepthwiseInputGradient,
};

/** Whether there is a dilation that the backend's kernels don't know: tfjs's know none, detlab's for wasm do. */
function dilatesBeyondKernels(info: tf.backend_util.Conv2DInfo): boolean {
  return tf.getBackend() !== 'wasm' && (info.dilationHeight > 1 || info.dilationWidth > 1);
}

/** The backend's kernel where it is correct, TensorFlow's op where tfjs's wrapper of it is too narrow, the recast one otherwise. */
function filterGradient(
  kind: Convolution,
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  shape: number[],
  attrs: Attributes,
): tf.Tensor {
  const info = convInfo(x.shape, shape, attrs, kind.depthwise);
  if (tf.getBackend() === 'tensorflow') {
    return convolutionGradientOp(kind.filterKernel, info, { x, dy }) ?? kind.recastFilter(x, dy, info);
  }
  if (dilatesBeyondKernels(info)) return kind.recastFilter(x, dy, info);
  return runKernel(kind.filterKernel, { x, dy }, { ...attrs, filterShape: shape });
}

function inputGradient(
  kind: Convolution,
  shape: number[],
  filter: tf.Tensor4D,
  dy: tf.Tensor4D,
  attrs: Attributes,
): tf.Tensor {
  const info = convInfo(shape, filter.shape, attrs, kind.depthwise);
  if (tf.getBackend() === 'tensorflow') {
    return (
      convolutionGradientOp(kind.inputKernel, info, { filter, dy }) ?? kind.recastInput(dy, filter, info)
    );
  }
  if (dilatesBeyondKernels(info)) return kind.recastInput(dy, filter, info);
  return runKernel(kind.inputKernel, { dy, filter }, { ...attrs, inputShape: shape });
}

function register(kernelName: string, kind: Convolution): void {
  tf.registerGradient({
    kernelName,
    inputsToSave: ['x', 'filter'],
    // Thunks, which tfjs calls only for inputs that need a gradient: a frozen filter or the image costs nothing.
    gradFunc: (dy, saved, attrs) => {
      const [x, filter] = saved as [tf.Tensor4D, tf.Tensor4D];
      const attributes = attrs as unknown as Attributes;
      return {
        x: () => inputGradient(kind, x.shape, filter, dy as tf.Tensor4D, attributes),
        filter: () => filterGradient(kind, x, dy as tf.Tensor4D, filter.shape, attributes),
      };
    },
  });
}

let registered = false;

/** Registers the gradients, for every backend. Any number of calls does what one does. */
export function registerConvolutionGradients(): void {
  if (registered) return;
  register('Conv2D', full);
  register('DepthwiseConv2dNative', depthwise);
  registered = true;
}
