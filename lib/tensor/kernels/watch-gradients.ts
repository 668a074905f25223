/** Which gradients of convolutions and matrix products a computation takes, seen where they are taken. Not part of the public interface. */
import { tf } from '../tf';
import { registerConvolutionGradients } from './conv-gradients';

/** One convolution or matrix product whose gradient is being taken. */
export interface ProductGradient {
  /** What the forward kernel was given, as it was noted then: of a convolution the map and the filter. */
  readonly operands: readonly [tf.Tensor, tf.Tensor];
  /** The operands' data (`dataId`); of one that was reshaped, that of the tensor which it was made of. */
  readonly sources: readonly [object, object];
  /** Of the forward kernel, for the whole batch. The gradient of either operand takes as many: each product has its counterpart there. */
  readonly multiplyAdds: number;
}

/** Who is told. */
export interface GradientWatcher {
  /** Once an operation, before its gradients. */
  readonly reached: (product: ProductGradient) => void;
  /** Once for each operand whose gradient is computed: none is for an image or a frozen weight. */
  readonly taken: (product: ProductGradient, operand: 0 | 1) => void;
}

/** A kernel, its operands' names, and what one number of its output takes. */
interface ProductKernel {
  readonly name: string;
  readonly operands: readonly [string, string];
  readonly depth: (operands: readonly [tf.Tensor, tf.Tensor], attributes: tf.NamedAttrMap) => number;
}

const window = ({ shape }: tf.Tensor): number => tf.util.sizeFromShape(shape.slice(0, 2));

const kernels: readonly ProductKernel[] = [
  {
    name: 'Conv2D',
    operands: ['x', 'filter'],
    depth: ([, filter]) => tf.util.sizeFromShape(filter.shape.slice(0, 3)),
  },
  { name: 'DepthwiseConv2dNative', operands: ['x', 'filter'], depth: ([, filter]) => window(filter) },
  {
    name: 'BatchMatMul',
    operands: ['a', 'b'],
    depth: ([{ shape }], { transposeA }) => shape.slice(transposeA ? -2 : -1)[0],
  },
];

/**
 * Runs `body` and tells `watcher` of every gradient of a convolution, depthwise convolution or matrix product that is taken of what `body`
 * itself has computed. Counts what is asked for, on every backend, and not by which kernels a backend answers: those that recast a
 * gradient as forward convolutions sum up more or fewer zeros.
 */
export function watchGradients<T>(watcher: GradientWatcher, body: () => T): T {
  // Or the first convolution would register them over those below.
  registerConvolutionGradients();
  const originals = kernels.map(({ name }) => tf.getGradient(name));
  return followingReshapes((sourceOf) => {
    kernels.forEach((kernel, i) => tf.registerGradient(watched(kernel, originals[i], watcher, sourceOf)));
    try {
      return body();
    } finally {
      originals.forEach((original) => tf.registerGradient(original));
    }
  });
}

/** Runs `body`, which can ask what a tensor was reshaped from: not every backend lets the two share their data. */
function followingReshapes<T>(body: (sourceOf: (tensor: tf.Tensor) => object) => T): T {
  const engine = tf.engine();
  const sources = new WeakMap<object, object>();
  const sourceOf = ({ dataId }: tf.Tensor): object => sources.get(dataId) ?? dataId;
  const runKernel = engine.runKernel.bind(engine);
  engine.runKernel = <R extends tf.Tensor | tf.Tensor[]>(...call: Parameters<typeof runKernel>): R => {
    const result = runKernel<R>(...call);
    if (call[0] === 'Reshape') sources.set((result as tf.Tensor).dataId, sourceOf(call[1].x as tf.Tensor));
    return result;
  };
  try {
    return body(sourceOf);
  } finally {
    // The method of the class, which the one above hides.
    delete (engine as Partial<typeof engine>).runKernel;
  }
}

function watched(
  kernel: ProductKernel,
  original: tf.GradConfig,
  watcher: GradientWatcher,
  sourceOf: (tensor: tf.Tensor) => object,
): tf.GradConfig {
  return {
    ...original,
    gradFunc: (dy, saved, attributes) => {
      const operands = saved as [tf.Tensor, tf.Tensor];
      const multiplyAdds = (dy as tf.Tensor).size * kernel.depth(operands, attributes);
      const sources = operands.map(sourceOf) as [object, object];
      const product: ProductGradient = { operands, sources, multiplyAdds };
      watcher.reached(product);
      const gradients = original.gradFunc(dy, saved, attributes);
      const noted = kernel.operands.map((name, operand) => [
        name,
        (): tf.Tensor => {
          watcher.taken(product, operand as 0 | 1);
          return gradients[name]();
        },
      ]);
      return Object.fromEntries(noted) as ReturnType<tf.GradFunc>;
    },
  };
}
