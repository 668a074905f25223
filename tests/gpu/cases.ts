/** Operations that the models train with, each as a function of tensors, to be compared between backends. */
import {
  batchNormInference,
  batchNormTraining,
  conv2d,
  type ConvolutionOptions,
  createRandom,
  depthwiseConv2d,
  hardNegativeMask,
  maxPool2d,
  type MaxPoolOptions,
  relu,
  relu6,
  sigmoid,
  sigmoidFocalLoss,
  smoothL1,
  softmaxCrossEntropy,
  swish,
  tf,
} from '../../lib/index';

/** One operation on inputs of given shapes. */
export interface OperationCase {
  readonly group: string;
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  /** Whether its gradients are compared, too; false where there are none. */
  readonly gradient: boolean;
  readonly run: (...inputs: tf.Tensor[]) => tf.Tensor;
}

type Shape = readonly number[];
type Unary = (x: tf.Tensor4D) => tf.Tensor;

/** Seeded standard normal numbers. */
export function normals(count: number, seed: string): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from({ length: count }, () => random.normal());
}

const ids = (values: number[]): tf.Tensor1D => tf.tensor1d(values, 'int32');
const rows = (x: tf.Tensor): tf.Tensor2D => x.reshape([-1, x.shape[x.rank - 1]]);
const whole = (x: tf.Tensor): tf.Tensor => tf.cast(tf.mul(x, 10), 'int32');
const some = (x: tf.Tensor): tf.Tensor => tf.greater(tf.tensor(normals(x.size, 'mask'), x.shape), 0);

const image: Shape = [2, 4, 6, 5];

/** Of one image batch, differentiable. */
const smooth: Record<string, Record<string, Unary>> = {
  elementwise: {
    abs: (x) => tf.abs(x),
    square: (x) => tf.square(x),
    sqrt: (x) => tf.sqrt(tf.add(tf.square(x), 1)),
    rsqrt: (x) => tf.rsqrt(tf.add(tf.square(x), 1)),
    exp: (x) => tf.exp(x),
    log: (x) => tf.log(tf.add(tf.square(x), 0.5)),
    log1p: (x) => tf.log1p(tf.square(x)),
    tanh: (x) => tf.tanh(x),
    softplus: (x) => tf.softplus(x),
    pow: (x) => tf.pow(tf.add(tf.square(x), 0.5), 1.5),
    clipByValue: (x) => tf.clipByValue(x, -0.5, 0.7),
    maximum: (x) => tf.maximum(x, 0.2),
    minimum: (x) => tf.minimum(x, tf.mul(x, x)),
    'division by a row': (x) => tf.div(x, tf.tensor1d([1, 2, 3, 4, 5])),
    'a row less it': (x) => tf.sub(tf.tensor1d([1, 2, 3, 4, 5]), x),
    where: (x) => tf.where(some(x), x, tf.mul(x, 2)),
    'times a comparison': (x) => tf.mul(x, tf.cast(tf.greater(x, 0.5), 'float32')),
    relu: (x) => relu(x),
    relu6: (x) => relu6(tf.mul(x, 4) as tf.Tensor4D),
    sigmoid: (x) => sigmoid(x),
    swish: (x) => swish(x),
  },
  reductions: {
    'sum over an axis': (x) => tf.sum(x, 1),
    'sum over three': (x) => tf.sum(x, [0, 1, 2]),
    'sum of all': (x) => tf.sum(x),
    'mean over space': (x) => tf.mean(x, [1, 2], true),
    'max over channels': (x) => tf.max(x, -1),
    'min over rows': (x) => tf.min(x, 1),
    logSumExp: (x) => tf.logSumExp(x, -1),
    softmax: (x) => tf.softmax(x),
    'softmax of large numbers': (x) => tf.softmax(tf.mul(x, 100)),
    logSoftmax: (x) => tf.logSoftmax(x),
    'cumsum over rows': (x) => tf.cumsum(x, 1),
    'cumsum over columns': (x) => tf.cumsum(x, 2),
    'cumsum over channels, exclusive, backwards': (x) => tf.cumsum(x, 3, true, true),
    'cumsum over columns, backwards': (x) => tf.cumsum(x, 2, false, true),
  },
  rearrangements: {
    'transpose to NCHW': (x) => tf.transpose(x, [0, 3, 1, 2]),
    'transpose, all': (x) => tf.transpose(x, [3, 1, 2, 0]),
    'transpose of a matrix': (x) => tf.transpose(rows(x)),
    concat: (x) => tf.concat([x, tf.mul(x, 2)], 3),
    stack: (x) => tf.stack([x, tf.mul(x, 2)], 1),
    split: (x) => tf.mul(tf.split(x, [1, 3], 1)[1], 3),
    slice: (x) => tf.slice(x, [0, 1, 2, 0], [2, 2, 3, 5]),
    pad: (x) => tf.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]]), // prettier-ignore
    tile: (x) => tf.tile(x, [1, 2, 1, 1]),
    reverse: (x) => tf.reverse(x, 2),
    'gather of rows, one twice': (x) => tf.gather(rows(x), ids([3, 0, 3, 11])),
    'gather of columns': (x) => tf.gather(x, ids([1, 0, 1]), 2),
    gatherND: (x) => tf.gatherND(x, tf.tensor2d([1, 2, 0, 3, 1, 2], [3, 2], 'int32')),
    scatterND: (x) =>
      tf.scatterND(tf.tensor2d([4, 1], [2, 1], 'int32'), tf.slice(rows(x), [0, 0], [2, 5]), [6, 5]),
    stridedSlice: (x) => tf.stridedSlice(x, [0, 0, 1, 0], [2, 4, 6, 5], [1, 2, 2, 1]),
    topk: (x) => tf.topk(x, 3).values,
    'nearest neighbour, doubled': (x) => tf.image.resizeNearestNeighbor(x, [8, 12]),
    'bilinear, doubled': (x) => tf.image.resizeBilinear(x, [8, 12]),
    'bilinear, half pixel centres': (x) => tf.image.resizeBilinear(x, [7, 9], false, true),
    cropAndResize: (x) =>
      tf.image.cropAndResize(x, tf.tensor2d([0, 0, 1, 1, 0.2, 0.1, 0.7, 0.9], [2, 4]), ids([1, 0]), [3, 3]),
  },
  losses: {
    smoothL1: (x) => smoothL1(x, tf.zeros(x.shape)),
    sigmoidFocalLoss: (x) => sigmoidFocalLoss(x, tf.cast(some(x), 'float32')),
    softmaxCrossEntropy: (x) =>
      softmaxCrossEntropy(x, tf.tensor(Array.from({ length: 48 }, (_, i) => i % 5), [2, 4, 6], 'int32')), // prettier-ignore
  },
};

/** Of one image batch, values only. */
const stepwise: Record<string, Record<string, Unary>> = {
  comparisons: {
    'greater, not': (x) => tf.logicalNot(tf.greater(x, 0)),
    'less, or, and, notEqual': (x) =>
      tf.logicalAnd(tf.logicalOr(tf.less(x, 0), tf.greater(x, 1)), tf.notEqual(x, 2)),
    'equal, rounded': (x) => tf.equal(tf.round(x), 0),
    'any over rows': (x) => tf.any(tf.greater(x, 1), 1),
    'all over channels': (x) => tf.all(tf.less(x, 1), 3),
    'argMax over channels': (x) => tf.argMax(x, -1),
    'argMax over rows, of whole numbers': (x) => tf.argMax(whole(x), 1),
    floor: (x) => tf.floor(x),
    sign: (x) => tf.sign(x),
    step: (x) => tf.step(x),
    'isNaN of a logarithm': (x) => tf.isNaN(tf.log(x)),
    'NaN through max': (x) => tf.isNaN(tf.max(tf.log(x), -1)),
  },
  'whole numbers and truth values': {
    'cast and back': (x) => tf.cast(whole(x), 'float32'),
    'sum over rows': (x) => tf.sum(whole(x), 1),
    'sum of truth values': (x) => tf.sum(tf.cast(tf.greater(x, 0), 'int32'), 1),
    'max over rows': (x) => tf.max(whole(x), 1),
    'transpose of whole numbers': (x) => tf.transpose(whole(x), [0, 3, 1, 2]),
    'transpose of truth values': (x) => tf.transpose(tf.greater(x, 0), [0, 2, 3, 1]),
    'cumsum of whole numbers': (x) => tf.cumsum(whole(x), 1),
    oneHot: (x) => tf.oneHot(whole(x), 5),
    'where of whole numbers': (x) => tf.where(tf.greater(x, 0), whole(x), whole(tf.neg(x))),
    'concat, slice': (x) => tf.slice(tf.concat([whole(x), whole(x)], 2), [0, 1, 3, 0], [2, 2, 6, 5]),
    'gather of whole numbers': (x) => tf.gather(whole(x), ids([1, 0]), 0),
    'segment sums, some beyond': (x) =>
      tf.unsortedSegmentSum(rows(x), ids(Array.from({ length: 48 }, (_, i) => (i % 7) - 1)), 5),
    'topk of all, its order': (x) => tf.topk(x.reshape([2, 120]), 120).indices,
    'hard negatives': (x) =>
      hardNegativeMask(
        tf.round(tf.mul<tf.Tensor2D>(tf.abs(x.reshape([2, 120])), 10)),
        tf.tensor2d(Array.from({ length: 240 }, (_, i) => (i % 37 === 0 ? 1 : 0)), [2, 120], 'int32'), // prettier-ignore
      ),
    'sum of nothing': (x) => tf.sum(tf.slice(x, [0, 0, 0, 0], [0, 4, 6, 5])),
  },
};

interface Convolution {
  readonly input: Shape;
  /** [KH, KW]. */
  readonly window: Shape;
  readonly out: number;
  readonly options: ConvolutionOptions;
}

const convolutions: Record<string, Convolution> = {
  '3x3': { input: [2, 7, 6, 3], window: [3, 3], out: 4, options: { padding: 1 } },
  '3x3 of 8 channels': { input: [2, 8, 8, 8], window: [3, 3], out: 16, options: { padding: 1 } },
  '3x3 of 32 channels, stride 2': { input: [1, 9, 9, 32], window: [3, 3], out: 32, options: { stride: 2, padding: 1 } },
  '1x1': { input: [2, 5, 6, 8], window: [1, 1], out: 16, options: {} },
  '1x1, stride 2': { input: [2, 7, 6, 3], window: [1, 1], out: 4, options: { stride: 2 } },
  '3x3, stride 2, as TensorFlow says same': { input: [2, 8, 8, 4], window: [3, 3], out: 8, options: { stride: 2, padding: [0, 1, 0, 1] } },
  '7x7, stride 2': { input: [1, 11, 9, 3], window: [7, 7], out: 8, options: { stride: 2, padding: 3 } },
  '5x5': { input: [2, 6, 7, 4], window: [5, 5], out: 4, options: { padding: 2 } },
  '3x3, dilation 6': { input: [1, 9, 10, 4], window: [3, 3], out: 4, options: { dilation: 6, padding: 6 } },
  '3x2, uneven padding': { input: [2, 7, 6, 3], window: [3, 2], out: 4, options: { padding: [2, 0, 0, 1] } },
}; // prettier-ignore

const pools: readonly [MaxPoolOptions, Shape][] = [
  [{ kernel: 2 }, [2, 6, 8, 3]],
  [{ kernel: 2, ceil: true }, [2, 7, 5, 3]],
  [{ kernel: 3, stride: 1, padding: 1 }, [2, 5, 6, 4]],
  [{ kernel: 3, stride: 2, padding: 1 }, [2, 8, 8, 3]],
  [{ kernel: 3, stride: 2, padding: 1 }, [1, 7, 9, 3]],
];

function ofImages(table: typeof smooth, gradient: boolean): OperationCase[] {
  return Object.entries(table).flatMap(([group, operations]) =>
    Object.entries(operations).map(
      ([name, run]): OperationCase => ({ group, name, shapes: [image], gradient, run: (x) => run(x as tf.Tensor4D) }),
    ),
  ); // prettier-ignore
}

function ofConvolutions(): OperationCase[] {
  return Object.entries(convolutions).flatMap(([name, { input, window, out, options }]) => {
    const one = (kind: string, last: number, run: typeof conv2d): OperationCase => ({
      group: 'convolutions',
      name: `${kind} ${name}`,
      shapes: [input, [...window, input[3], last]],
      gradient: true,
      run: (x, filter) => run(x as tf.Tensor4D, filter as tf.Tensor4D, options),
    });
    return [
      one('conv2d', out, conv2d),
      one('depthwise', 1, depthwiseConv2d),
      one('depthwise, multiplier 2,', 2, depthwiseConv2d),
    ];
  });
}

function ofMatrices(): OperationCase[] {
  const sizes = [[5, 3, 4], [33, 70, 64], [1, 200, 3]]; // prettier-ignore
  return sizes.flatMap(([m, k, n]) =>
    [false, true].flatMap((transposeA) =>
      [false, true].map((transposeB): OperationCase => ({
        group: 'matrix products',
        name: `${m} x ${k} x ${n}${transposeA ? ', first transposed' : ''}${transposeB ? ', second transposed' : ''}`,
        shapes: [transposeA ? [k, m] : [m, k], transposeB ? [n, k] : [k, n]],
        gradient: true,
        run: (a, b) => tf.matMul(a, b, transposeA, transposeB),
      })),
    ),
  );
}

function ofNormalisation(): OperationCase[] {
  const shapes: Shape[] = [[3, 4, 5, 6], [2, 3, 3, 1], [1, 16, 16, 12]]; // prettier-ignore
  return shapes.flatMap((shape): OperationCase[] => {
    const channels = [shape[3]];
    const common = { group: 'batch normalisation', gradient: true } as const;
    return [
      {
        ...common,
        name: `training, [${shape}]`,
        shapes: [shape, channels, channels],
        run: (x, scale, offset) =>
          batchNormTraining(x as tf.Tensor4D, scale as tf.Tensor1D, offset as tf.Tensor1D, 1e-3).output,
      },
      {
        ...common,
        name: `inference, [${shape}]`,
        shapes: [shape, channels, channels],
        run: (x, scale, offset) =>
          batchNormInference(
            x as tf.Tensor4D,
            scale as tf.Tensor1D,
            offset as tf.Tensor1D,
            tf.range(0, channels[0]),
            tf.range(1, channels[0] + 1),
            1e-3,
          ),
      },
    ];
  });
}

/** All cases, in the order in which they run: a later one may meet the compiled program of an earlier one, of other sizes. */
export const operationCases: readonly OperationCase[] = [
  ...ofImages(smooth, true),
  ...ofImages(stepwise, false),
  ...ofMatrices(),
  ...ofConvolutions(),
  ...pools.map(([options, shape]): OperationCase => ({
    group: 'pooling',
    name: `max, ${JSON.stringify(options)} of [${shape}]`,
    shapes: [shape],
    gradient: true,
    // below 0, so that a padding of zeros would win
    run: (x) => maxPool2d(tf.sub(x, 5) as tf.Tensor4D, options),
  })),
  ...[[2, 2, 'same'], [3, 1, 'same'], [4, 1, 'valid']].map(
    ([window, stride, padding]): OperationCase => ({
      group: 'pooling',
      name: `average, ${window}x${window}, stride ${stride}, ${padding}`,
      shapes: [image],
      gradient: true,
      run: (x) => tf.avgPool(x as tf.Tensor4D, window as number, stride as number, padding as 'same'),
    }),
  ), // prettier-ignore
  ...ofNormalisation(),
];
