/** The tfjs ops that detectors train with: values and gradients on each backend against the `cpu` backend. */
import { describe, expect, it } from 'vitest';
import { useBackend } from '../../../lib/tensor/backend';
import { tf } from '../../../lib/tensor/tf';
import { backends, expectClose, normals, on } from './backends';

type Op = (x: tf.Tensor4D) => tf.Tensor;

const ids = (values: number[]): tf.Tensor1D => tf.tensor1d(values, 'int32');
const matrix = (x: tf.Tensor4D): tf.Tensor2D => x.reshape([-1, 5]);

/** Of x [2, 4, 6, 5]. */
const ops: Record<string, Op> = {
  abs: (x) => tf.abs(x),
  square: (x) => tf.square(x),
  'sqrt of positive': (x) => tf.sqrt(tf.add(tf.square(x), 1)),
  rsqrt: (x) => tf.rsqrt(tf.add(tf.square(x), 1)),
  exp: (x) => tf.exp(x),
  expm1: (x) => tf.expm1(x),
  log: (x) => tf.log(tf.add(tf.square(x), 0.5)),
  log1p: (x) => tf.log1p(tf.square(x)),
  sigmoid: (x) => tf.sigmoid(x),
  tanh: (x) => tf.tanh(x),
  softplus: (x) => tf.softplus(x),
  elu: (x) => tf.elu(x),
  relu: (x) => tf.relu(x),
  relu6: (x) => tf.relu6(tf.mul(x, 4)),
  leakyRelu: (x) => tf.leakyRelu(x, 0.1),
  reciprocal: (x) => tf.reciprocal(tf.add(tf.square(x), 1)),
  erf: (x) => tf.erf(x),
  clipByValue: (x) => tf.clipByValue(x, -0.5, 0.7),
  pow: (x) => tf.pow(tf.add(tf.square(x), 0.5), 1.5),
  'div by broadcast': (x) => tf.div(x, tf.tensor1d([1, 2, 3, 4, 5])),
  'sub of broadcast': (x) => tf.sub(tf.tensor1d([1, 2, 3, 4, 5]), x),
  squaredDifference: (x) => tf.squaredDifference(x, 0.3),
  maximum: (x) => tf.maximum(x, 0.2),
  minimum: (x) => tf.minimum(x, tf.mul(x, x)),
  where: (x) => tf.where(tf.greater(tf.zeros(x.shape), 1), x, tf.mul(x, 2)),
  softmax: (x) => tf.softmax(x),
  logSoftmax: (x) => tf.logSoftmax(x),
  logSumExp: (x) => tf.logSumExp(x, -1),
  'sum over an axis': (x) => tf.sum(x, 1),
  'mean over space': (x) => tf.mean(x, [1, 2]),
  'max over an axis': (x) => tf.max(x, -1),
  'min over an axis': (x) => tf.min(x, 1),
  cumsum: (x) => tf.cumsum(x, 1),
  transpose: (x) => tf.transpose(x, [0, 3, 1, 2]),
  concat: (x) => tf.concat([x, tf.mul(x, 2)], 3),
  stack: (x) => tf.stack([x, tf.mul(x, 2)], 1),
  unstack: (x) => tf.mul(tf.unstack(x)[0], 3),
  split: (x) => tf.mul(tf.split(x, [1, 3], 1)[1], 3),
  slice: (x) => tf.slice(x, [0, 1, 2, 0], [2, 2, 3, 5]),
  pad: (x) =>
    tf.pad(x, [
      [0, 0],
      [1, 2],
      [0, 1],
      [0, 0],
    ]),
  tile: (x) => tf.tile(x, [1, 2, 1, 1]),
  gather: (x) => tf.gather(matrix(x), ids([3, 0, 3, 11])),
  reverse: (x) => tf.reverse(x, 2),
  'nearest neighbour, doubled': (x) => tf.image.resizeNearestNeighbor(x, [8, 12]),
  'bilinear, doubled': (x) => tf.image.resizeBilinear(x, [8, 12]),
  'bilinear, to an odd size': (x) => tf.image.resizeBilinear(x, [7, 5]),
  'average pooling': (x) => tf.avgPool(x, 2, 2, 'same'),
  'average pooling, overlapping': (x) => tf.avgPool(x, 3, 1, 'same'),
  'max pooling': (x) => tf.maxPool(x, 3, 2, 'same'),
  matMul: (x) => tf.matMul(matrix(x), matrix(x), true, false),
  'a softmax cross entropy': (x) =>
    tf.losses.softmaxCrossEntropy(tf.oneHot(ids(new Array(48).fill(2)), 5), matrix(x)),
  'a sigmoid cross entropy': (x) => tf.losses.sigmoidCrossEntropy(tf.ones([48, 5]), matrix(x)),
  'a Huber loss': (x) => tf.losses.huberLoss(tf.zeros([48, 5]), matrix(x)),
  'topk values': (x) => tf.topk(x, 3).values,
  gatherND: (x) => tf.gatherND(x, tf.tensor2d([1, 2, 0, 3], [2, 2], 'int32')),
  scatterND: (x) =>
    tf.scatterND(tf.tensor2d([4, 1], [2, 1], 'int32'), tf.slice(matrix(x), [0, 0], [2, 5]), [6, 5]),
  stridedSlice: (x) => tf.stridedSlice(x, [0, 0, 1, 0], [2, 4, 6, 5], [1, 2, 2, 1]),
  cropAndResize: (x) =>
    tf.image.cropAndResize(x, tf.tensor2d([0, 0, 1, 1, 0.2, 0.1, 0.7, 0.9], [2, 4]), ids([1, 0]), [3, 3]),
  prod: (x) => tf.prod(x, 3),
};

/** Functions without a gradient, for values only. */
const values: Record<string, Op> = {
  'topk indices': (x) => tf.topk(x, 3).indices,
  argMax: (x) => tf.argMax(x, -1),
  oneHot: (x) => tf.oneHot(tf.argMax(x, -1), 5),
  floor: (x) => tf.floor(x),
  round: (x) => tf.round(x),
  sign: (x) => tf.sign(x),
  step: (x) => tf.step(x),
  mod: (x) => tf.mod(x, 0.7),
  floorDiv: (x) => tf.floorDiv(tf.round(tf.mul(x, 10)), tf.scalar(3)),
  'greater and not': (x) => tf.logicalNot(tf.greater(x, 0)),
  'and, or': (x) => tf.logicalAnd(tf.logicalOr(tf.less(x, 0), tf.greater(x, 1)), tf.notEqual(x, 2)),
  any: (x) => tf.any(tf.greater(x, 1), 3),
  all: (x) => tf.all(tf.less(x, 1), 3),
};

describe.each(backends.filter((name) => name !== 'cpu'))('as the cpu backend has it, on %s', (backend) => {
  on(backend);
  const x = normals(240, 'survey');

  /** What `f` gives on the cpu backend and on this one. */
  async function both(f: () => tf.Tensor): Promise<[tf.TypedArray, tf.TypedArray]> {
    const run = (): tf.TypedArray => tf.tidy(() => f().dataSync());
    await useBackend({ backend: 'cpu' });
    const expected = run();
    await useBackend({ backend });
    return [run(), expected];
  }

  it.each(Object.keys({ ...ops, ...values }))('value: %s', async (key) => {
    const [actual, expected] = await both(() => ({ ...ops, ...values })[key](tf.tensor4d(x, [2, 4, 6, 5])));
    expectClose(actual, expected, 1e-5, key);
  });

  it.each(Object.keys(ops))('gradient: %s', async (key) => {
    const f = (a: tf.Tensor): tf.Tensor => {
      const y = ops[key](a as tf.Tensor4D);
      return tf.sum(tf.mul(y, tf.tensor(normals(y.size, 'dy'), y.shape)));
    };
    const [actual, expected] = await both(() => tf.grad(f)(tf.tensor4d(x, [2, 4, 6, 5])));
    expect(expected.some((v) => v !== 0)).toBe(true);
    expectClose(actual, expected, 1e-5, key);
  });
});
