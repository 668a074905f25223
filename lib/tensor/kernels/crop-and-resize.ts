/** The gradients of cropAndResize (RoI pooling by bilinear or nearest samples) in the image and in the boxes, which tfjs lacks. */
import { tf } from '../tf';
import { onTensorFlow, runOp } from './tensorflow-ops';

interface Attributes {
  method: 'bilinear' | 'nearest';
  extrapolationValue: number;
  cropSize: [number, number];
}

/** Where a crop's rows (or columns) lie in the image. */
interface Samples {
  /** [B, count]: 1 where the sample lies in the image, 0 where the crop was filled with the extrapolation value. */
  readonly inside: tf.Tensor2D;
  /** [B, count], int32: the pixel before and the one behind, cut to the image. */
  readonly pixels: readonly [tf.Tensor2D, tf.Tensor2D];
  /** [B, count]: the distance from the pixel before, in pixels. */
  readonly fraction: tf.Tensor2D;
}

/** The share of a box's last edge in sample i of `count`; the rest is the first edge's. */
function shares(count: number): tf.Tensor2D {
  const values = Array.from({ length: count }, (_, i) => (count > 1 ? i / (count - 1) : 0.5));
  return tf.tensor2d(values, [1, count]);
}

/** @param axis 0 for rows, 1 for columns. @param size the image's. */
function samples(boxes: tf.Tensor2D, axis: 0 | 1, count: number, size: number, nearest: boolean): Samples {
  const edge = (column: number): tf.Tensor2D => boxes.slice([0, column], [-1, 1]);
  const [first, last] = [edge(axis), edge(axis + 2)];
  // In the order in which the forward kernels compute, so that both round alike and agree on what lies inside.
  const at: tf.Tensor2D =
    count > 1
      ? tf.add(
          tf.mul(first, size - 1),
          tf.mul(tf.range(0, count), tf.div(tf.mul(tf.sub(last, first), size - 1), count - 1)),
        )
      : tf.mul(tf.mul(tf.add(first, last), 0.5), size - 1);
  const inside = tf.cast(
    tf.logicalAnd(tf.greaterEqual(at, 0), tf.lessEqual(at, size - 1)),
    'float32',
  ) as tf.Tensor2D;
  const pixel = (x: tf.Tensor): tf.Tensor2D =>
    tf.cast(tf.clipByValue(x, 0, size - 1), 'int32') as tf.Tensor2D;
  if (nearest) {
    const closest = pixel(tf.floor(tf.add(at, 0.5)));
    return { inside, pixels: [closest, closest], fraction: tf.zerosLike(at) };
  }
  const before = tf.floor(at);
  return { inside, pixels: [pixel(before), pixel(tf.ceil(at))], fraction: tf.sub(at, before) };
}

/** Of a crop's rows [B, h] and columns [B, w]: the products, [B h w, 1]. */
function grid(rows: tf.Tensor2D, columns: tf.Tensor2D): tf.Tensor2D {
  return tf.mul(rows.expandDims(2), columns.expandDims(1)).reshape([-1, 1]);
}

/** The pixels at rows [B, h] and columns [B, w] of each box's image, as rows of [N H W, C]: [B h w]. */
function pixelIds(
  rows: tf.Tensor2D,
  columns: tf.Tensor2D,
  boxInd: tf.Tensor1D,
  shape: number[],
): tf.Tensor1D {
  const [, height, width] = shape;
  const lines = tf.add(tf.mul(boxInd.expandDims(1), tf.scalar(height, 'int32')), rows);
  return tf
    .add(tf.mul(lines, tf.scalar(width, 'int32')).expandDims(2), columns.expandDims(1))
    .reshape<tf.Tensor1D>([-1]);
}

function imageGradient(
  dy: tf.Tensor4D,
  shape: [number, number, number, number],
  boxes: tf.Tensor2D,
  boxInd: tf.Tensor1D,
  { method, cropSize }: Attributes,
): tf.Tensor {
  if (onTensorFlow()) {
    const size = tf.tensor1d(shape, 'int32');
    return runOp('CropAndResizeGradImage', { T: 'float32', method }, [dy, boxes, boxInd, size])[0];
  }
  const nearest = method === 'nearest';
  const rows = samples(boxes, 0, cropSize[0], shape[1], nearest);
  const columns = samples(boxes, 1, cropSize[1], shape[2], nearest);
  /** How much the pixel before (0) or behind (1) counts. */
  const weight = ({ inside, fraction }: Samples, side: number): tf.Tensor2D =>
    tf.mul(inside, side === 0 ? tf.sub(1, fraction) : fraction);
  const flat = dy.reshape<tf.Tensor2D>([-1, shape[3]]);
  const sides = nearest ? [0] : [0, 1];
  const corners = sides.flatMap((row) =>
    sides.map((column) =>
      tf.unsortedSegmentSum(
        tf.mul(flat, grid(weight(rows, row), weight(columns, column))),
        pixelIds(rows.pixels[row], columns.pixels[column], boxInd, shape),
        shape[0] * shape[1] * shape[2],
      ),
    ),
  );
  return tf.addN(corners).reshape(shape);
}

function boxGradient(
  dy: tf.Tensor4D,
  image: tf.Tensor4D,
  boxes: tf.Tensor2D,
  boxInd: tf.Tensor1D,
  { method, cropSize }: Attributes,
): tf.Tensor {
  // The nearest pixel stays the same for a small move of the box.
  if (method === 'nearest') return tf.zeros(boxes.shape);
  if (onTensorFlow())
    return runOp('CropAndResizeGradBoxes', { T: 'float32', method }, [dy, image, boxes, boxInd])[0];
  const [height, width, channels] = image.shape.slice(1);
  const rows = samples(boxes, 0, cropSize[0], height, false);
  const columns = samples(boxes, 1, cropSize[1], width, false);
  const flat = image.reshape<tf.Tensor2D>([-1, channels]);
  const [[topLeft, topRight], [bottomLeft, bottomRight]] = rows.pixels.map((row) =>
    columns.pixels.map((column) => tf.gather(flat, pixelIds(row, column, boxInd, image.shape))),
  );
  const [down, right] = [rows, columns].map(({ fraction }) => fraction);
  const [up, left] = [tf.sub(1, down), tf.sub(1, right)] as tf.Tensor2D[];
  const one = [tf.onesLike(down), tf.onesLike(right)];
  /** What a crop's values change by when its sample moves a pixel down, or a pixel to the right: [B h w, C]. */
  const slopes = [
    tf.add(
      tf.mul(tf.sub(bottomLeft, topLeft), grid(one[0], left)),
      tf.mul(tf.sub(bottomRight, topRight), grid(one[0], right)),
    ),
    tf.add(
      tf.mul(tf.sub(topRight, topLeft), grid(up, one[1])),
      tf.mul(tf.sub(bottomRight, bottomLeft), grid(down, one[1])),
    ),
  ];
  const inside = grid(rows.inside, columns.inside);
  const edges = slopes.map((slope, axis) => {
    const share = shares(cropSize[axis]);
    // By sample: sums over channels and the other axis.
    const bySample = tf.sum(
      tf
        .mul(tf.mul(dy.reshape([-1, channels]), inside), slope)
        .reshape([boxes.shape[0], ...cropSize, channels]),
      [2 - axis, 3],
    );
    const scaled = tf.mul(bySample, image.shape[1 + axis] - 1);
    const sum = (weights: tf.Tensor): tf.Tensor2D => tf.sum(tf.mul(scaled, weights), 1, true);
    return [sum(tf.sub(1, share)), sum(share)];
  });
  return tf.concat([edges[0][0], edges[1][0], edges[0][1], edges[1][1]], 1);
}

let registered = false;

/** Registers the gradients for every backend. Any number of calls does what one does. */
export function registerCropAndResizeGradient(): void {
  if (registered) return;
  tf.registerGradient({
    kernelName: 'CropAndResize',
    inputsToSave: ['image', 'boxes', 'boxInd'],
    gradFunc: (dy, saved, attrs) => {
      const [image, boxes, boxInd] = saved as [tf.Tensor4D, tf.Tensor2D, tf.Tensor1D];
      const attributes = attrs as unknown as Attributes;
      return {
        image: () => imageGradient(dy as tf.Tensor4D, image.shape, boxes, boxInd, attributes),
        boxes: () => boxGradient(dy as tf.Tensor4D, image, boxes, boxInd, attributes),
        boxInd: () => tf.zeros(boxInd.shape),
      };
    },
  });
  registered = true;
}
