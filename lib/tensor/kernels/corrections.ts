/**
 * Gradients that tfjs 4.22 gets wrong, registered anew: Cumsum (fails unless the axis is the last), average pooling with padding
 * (`cpu` and `wasm` divide by the window's size, the forward pass by the pixels it holds), resizing (on `cpu` wrong for images that
 * aren't square, everywhere for half pixel centres), Max and Min (each of several equal extremes gets all of dy), Prod (fails for an
 * axis counted from the end), Cast (passes through integers as if nothing were cut off), and Tile (a slice and an addition for each
 * repetition, which broadcasting a scalar makes thousands of).
 */
import { tf } from '../tf';

/** d cumsum: the sum from the other end. */
const cumsum: tf.GradConfig = {
  kernelName: 'Cumsum',
  gradFunc: (dy, _saved, attrs) => {
    const { axis, exclusive, reverse } = attrs as unknown as {
      axis: number;
      exclusive: boolean;
      reverse: boolean;
    };
    return { x: () => tf.cumsum(dy as tf.Tensor, axis, exclusive, !reverse) };
  },
};

/** What `original` makes of dy, once dy makes up for windows that hold fewer pixels than they have room for. */
function averagePooling(original: tf.GradConfig): tf.GradConfig {
  return {
    ...original,
    gradFunc: (dy, saved, attrs) => {
      if (tf.getBackend() === 'tensorflow') return original.gradFunc(dy, saved, attrs);
      const { filterSize, strides, pad, dimRoundingMode } = attrs as unknown as {
        filterSize: number;
        strides: number;
        pad: number;
        dimRoundingMode?: 'floor';
      };
      const shape = (saved as tf.Tensor[])[0].shape as [number, number, number, number];
      const info = tf.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
      const { top, left, bottom, right } = info.padInfo;
      if (top <= 0 && left <= 0 && bottom <= 0 && right <= 0) return original.gradFunc(dy, saved, attrs);
      /** How many pixels of the axis each window holds. */
      const held = (count: number, stride: number, window: number, before: number, size: number): number[] =>
        Array.from({ length: count }, (_, i) => {
          const start = i * stride - before;
          return Math.min(size, start + window) - Math.max(0, start);
        });
      const rows = held(info.outHeight, info.strideHeight, info.filterHeight, top, info.inHeight);
      const columns = held(info.outWidth, info.strideWidth, info.filterWidth, left, info.inWidth);
      const window = info.filterHeight * info.filterWidth;
      return {
        x: () => {
          const factors = rows.flatMap((r) => columns.map((c) => window / (r * c)));
          const scaled = tf.mul(dy as tf.Tensor, tf.tensor4d(factors, [1, rows.length, columns.length, 1]));
          return original.gradFunc(scaled, saved, attrs).x();
        },
      };
    },
  };
}

/** Max and Min: dy goes to the extremes, in equal parts where there are several, as in TensorFlow and PyTorch's `amax`. */
function extreme(kernelName: 'Max' | 'Min', axesName: 'reductionIndices' | 'axis'): tf.GradConfig {
  return {
    kernelName,
    inputsToSave: ['x'],
    outputsToSave: [true],
    gradFunc: (dy, saved, attrs) => {
      const [x, y] = saved as tf.Tensor[];
      const axes = tf.util.parseAxisParam((attrs as Record<string, unknown>)[axesName] as number[], x.shape);
      const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
      return {
        x: () => {
          const reached = tf.cast(tf.equal(x, y.reshape(kept)), 'float32');
          return tf.mul(reached, tf.div((dy as tf.Tensor).reshape(kept), tf.sum(reached, axes, true)));
        },
      };
    },
  };
}

/** What `original` makes of it, with axes counted from the front. */
function product(original: tf.GradConfig): tf.GradConfig {
  return {
    ...original,
    gradFunc: (dy, saved, attrs) => {
      const axis = tf.util.parseAxisParam(
        (attrs as unknown as { axis: number[] }).axis,
        (saved as tf.Tensor[])[0].shape,
      );
      return original.gradFunc(dy, saved, { ...attrs, axis });
    },
  };
}

/** Nothing comes back through integers and truth values: they are piecewise constant. */
const cast: tf.GradConfig = {
  kernelName: 'Cast',
  gradFunc: (dy, _saved, attrs) => ({
    x: () => {
      const gradient = dy as tf.Tensor;
      return (attrs as unknown as { dtype: string }).dtype === 'float32'
        ? gradient.clone()
        : tf.zeros(gradient.shape);
    },
  }),
};

/** The sum over the repetitions, for any rank. */
const tile: tf.GradConfig = {
  kernelName: 'Tile',
  inputsToSave: ['x'],
  gradFunc: (dy, saved, attrs) => {
    const [x] = saved as tf.Tensor[];
    const { reps } = attrs as unknown as { reps: number[] };
    return {
      x: () => {
        const shape: number[] = [];
        const repeated: number[] = [];
        x.shape.forEach((size, axis) => {
          if (reps[axis] !== 1) repeated.push(shape.push(reps[axis]) - 1);
          shape.push(size);
        });
        return tf.sum((dy as tf.Tensor).reshape(shape), repeated).reshape(x.shape);
      },
    };
  },
};

interface ResizeAttributes {
  alignCorners: boolean;
  halfPixelCenters: boolean;
  size: [number, number];
}

/**
 * Resizing multiplies the rows and the columns by a matrix each, and its gradient by their transposes. The matrices are what
 * resizing makes of unit vectors, so that value and gradient cannot disagree.
 */
function resizing(original: tf.GradConfig): tf.GradConfig {
  return {
    ...original,
    gradFunc: (dy, saved, attrs) => {
      const attributes = attrs as unknown as ResizeAttributes;
      if (tf.getBackend() !== 'cpu' && !attributes.halfPixelCenters)
        return original.gradFunc(dy, saved, attrs);
      const resize =
        original.kernelName === 'ResizeBilinear' ? tf.image.resizeBilinear : tf.image.resizeNearestNeighbor;
      const [n, height, width, channels] = (saved as tf.Tensor4D[])[0].shape;
      const [outHeight, outWidth] = (dy as tf.Tensor4D).shape.slice(1, 3);
      /** [size, outSize]: transposed already. */
      const matrix = (size: number, outSize: number): tf.Tensor2D =>
        resize(
          tf.eye(size).reshape<tf.Tensor4D>([1, size, 1, size]),
          [outSize, 1],
          attributes.alignCorners,
          attributes.halfPixelCenters,
        )
          .reshape<tf.Tensor2D>([outSize, size])
          .transpose();
      return {
        images: () => {
          const images = n * outHeight;
          const columns = tf.tile(matrix(width, outWidth).expandDims<tf.Tensor3D>(0), [images, 1, 1]);
          const narrow = tf.matMul(
            columns,
            (dy as tf.Tensor).reshape<tf.Tensor3D>([images, outWidth, channels]),
          );
          const rows = tf.tile(matrix(height, outHeight).expandDims<tf.Tensor3D>(0), [n, 1, 1]);
          const small = tf.matMul(rows, narrow.reshape<tf.Tensor3D>([n, outHeight, width * channels]));
          return small.reshape([n, height, width, channels]);
        },
      };
    },
  };
}

let registered = false;

/** Registers the corrected gradients for every backend. Any number of calls does what one does. */
export function registerCorrections(): void {
  if (registered) return;
  tf.registerGradient(cumsum);
  tf.registerGradient(averagePooling(tf.getGradient('AvgPool')));
  tf.registerGradient(resizing(tf.getGradient('ResizeBilinear')));
  tf.registerGradient(resizing(tf.getGradient('ResizeNearestNeighbor')));
  tf.registerGradient(extreme('Max', 'reductionIndices'));
  tf.registerGradient(extreme('Min', 'axis'));
  tf.registerGradient(product(tf.getGradient('Prod')));
  tf.registerGradient(cast);
  tf.registerGradient(tile);
  registered = true;
}
