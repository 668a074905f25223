/**
 * RoIAlign (He et al., Mask R-CNN, ICCV 2017, section 3): regions of a feature map as maps of one size, by bilinear samples at exact
 * places. The values are torchvision's `roi_align`.
 *
 * Everything is tensor operations on fixed shapes, also the regions' coordinates, so that a step can be recorded as a graph.
 */
import { scaled, sumOf } from '../tensor/kernels/linear';
import { withoutGradient } from '../tensor/stop-gradient';
import { tf } from '../tensor/tf';

/** Options of `roiAlign`. */
export interface RoiAlignOptions {
  /** Rows and columns of a pooled region. Default 7. */
  readonly outputSize?: number | readonly [rows: number, cols: number];
  /** Cells of the feature map for each unit of the boxes: 1 / stride. Default 1. */
  readonly spatialScale?: number;
  /**
   * Samples for each row and for each column of an output cell. Default 2, Faster R-CNN's. `adaptive`: one for each cell of the
   * feature map that the output cell is high (or wide), rounded up, as torchvision has it for 0 and -1.
   */
  readonly samplingRatio?: number | 'adaptive';
  /**
   * Only for `adaptive`, whose cost grows with its square: samples are never more than this, and a region that wants more has as
   * many, evenly spaced. Default: as many as a region of the feature map's own size wants, so that only regions that are larger
   * than the map differ from torchvision's.
   */
  readonly maxSamples?: number;
  /**
   * Whether a feature stands in the middle of its cell: coordinates are moved by half a cell, and a region may be smaller than one
   * cell (Detectron2's choice). Default false, torchvision's: no shift, and a region is at least one cell wide and high.
   */
  readonly aligned?: boolean;
}

/**
 * Pools regions: `[R, rows, cols, C]`, each cell the mean of its samples. Samples up to one cell outside the map have the border's
 * value, those farther away 0. No regions give an empty tensor. The caller disposes the result.
 *
 * The gradient flows into `features` only, as in torchvision.
 * @param features `[B, H, W, C]` float32
 * @param boxes `[R, 4]` xyxy, finite (TensorFlow refuses others, elsewhere they give NaN); with `spatialScale` 1 in cells of the
 *   map, else in pixels of the network's input
 * @param images `[R]` int32: which of the B images each region lies in
 */
export function roiAlign(
  features: tf.Tensor4D,
  boxes: tf.Tensor2D,
  images: tf.Tensor1D,
  options: RoiAlignOptions = {},
): tf.Tensor4D {
  check(features, boxes, images, 'roiAlign');
  return tf.tidy(() => pool(features, boxes, images, options));
}

/** Options of `multiLevelRoiAlign`; a map's `spatialScale` is given a level. */
export interface MultiLevelRoiAlignOptions extends Omit<RoiAlignOptions, 'spatialScale'> {
  /** Cells of each level's map for each pixel of the boxes: 1/4, 1/8, ... */
  readonly spatialScales: readonly number[];
}

/**
 * `roiAlign` on a feature pyramid, each region from its own level (Lin et al., CVPR 2017, section 4.2): `[R, rows, cols, C]`.
 *
 * Each level is pooled for all regions, with those of other levels moved out of the map, where sampling costs little: shapes stay
 * the same however regions spread over levels.
 * @param features `[B, H, W, C]` of each level, from fine to coarse
 * @param boxes `[R, 4]` xyxy in pixels
 * @param images `[R]` int32: which of the B images each region lies in
 * @param levels `[R]` int32: index into `features`: `fpnLevels` less its finest level
 */
export function multiLevelRoiAlign(
  features: readonly tf.Tensor4D[],
  boxes: tf.Tensor2D,
  images: tf.Tensor1D,
  levels: tf.Tensor1D,
  options: MultiLevelRoiAlignOptions,
): tf.Tensor4D {
  const { spatialScales, ...rest } = options;
  if (features.length === 0 || features.length !== spatialScales.length) {
    throw new RangeError(
      `multiLevelRoiAlign: ${features.length} levels, but ${spatialScales.length} spatialScales; give one a level`,
    );
  }
  for (const level of features) check(level, boxes, images, 'multiLevelRoiAlign');
  return tf.tidy(() => {
    const pooled = features.map((level, k) =>
      pool(level, boxes, images, { ...rest, spatialScale: spatialScales[k] }, tf.equal(levels, k)),
    );
    return pooled.length === 1 ? pooled[0] : sumOf(pooled);
  });
}

/** Where samples lie along one axis, in cells. */
interface Axis {
  /** `[R, 1]`: a region's first edge. */
  readonly start: tf.Tensor;
  /** `[R, 1]`: an output cell's height or width. */
  readonly bin: tf.Tensor;
  /** `[R, 1]`: samples in it. */
  readonly samples: tf.Tensor;
}

/** @param among `[R]`: regions that are to be pooled, the others give zeros. */
function pool(
  features: tf.Tensor4D,
  boxes: tf.Tensor2D,
  images: tf.Tensor1D,
  options: RoiAlignOptions,
  among?: tf.Tensor,
): tf.Tensor4D {
  const [, height, width, channels] = features.shape;
  const { outputSize = 7, samplingRatio = 2, aligned = false, spatialScale = 1 } = options;
  const [rows, cols] = typeof outputSize === 'number' ? [outputSize, outputSize] : outputSize;
  const most = [
    samplesAtMost(samplingRatio, options.maxSamples, height, rows),
    samplesAtMost(samplingRatio, options.maxSamples, width, cols),
  ];
  if (boxes.shape[0] === 0) {
    // Still a function of the features, whose gradient is 0.
    return withoutGradient(() => tf.zeros([0, rows, cols, channels]), features) as tf.Tensor4D;
  }
  const adaptive = samplingRatio === 'adaptive';
  /** One axis' places as `[R, 3]`, computed as one operation that passes no gradient on. */
  const places = (first: number, cells: number, limit: number): Axis => {
    const packed = withoutGradient((corners) => {
      const edge = (column: number): tf.Tensor =>
        tf.sub(tf.mul(corners.slice([0, column], [-1, 1]), spatialScale), aligned ? 0.5 : 0);
      const start = edge(first);
      const extent = tf.sub(edge(first + 2), start);
      const size = aligned ? extent : tf.maximum(extent, 1);
      const bin = tf.div(size, cells);
      const samples = adaptive ? tf.clipByValue(tf.ceil(bin), 0, limit) : tf.fill(bin.shape, limit);
      return tf.concat([start, bin, samples], 1);
    }, boxes);
    const [start, bin, samples] = tf.split(packed, 3, 1);
    return { start, bin, samples };
  };
  const y = places(1, rows, most[0]);
  const x = places(0, cols, most[1]);

  const padded = padWithBorder(features);
  const wanted = among && tf.cast(among, 'float32').expandDims(1);
  const down = Array.from({ length: most[0] }, (_, k) => edges(y, k, rows, height, adaptive, wanted));
  const right = Array.from({ length: most[1] }, (_, k) => edges(x, k, cols, width, adaptive, undefined));
  const crops = down.flatMap(([top, bottom]) =>
    right.map(([left, right_]) => {
      const corners = tf.concat2d([top, left, bottom, right_] as tf.Tensor2D[], 1);
      return tf.image.cropAndResize(padded, corners, images, [rows, cols], 'bilinear', 0);
    }),
  );
  const sum = crops.length === 1 ? crops[0] : sumOf(crops);
  if (!adaptive) return most[0] * most[1] === 1 ? sum : scaled(sum, 1 / (most[0] * most[1]));
  const count = tf.maximum(tf.mul(y.samples, x.samples), 1);
  return tf.div(sum, count.reshape([-1, 1, 1, 1]));
}

function samplesAtMost(
  ratio: number | 'adaptive',
  limit: number | undefined,
  size: number,
  cells: number,
): number {
  const value = ratio === 'adaptive' ? (limit ?? Math.max(1, Math.ceil(size / cells))) : ratio;
  if (!(Number.isInteger(value) && value > 0)) {
    const what = ratio === 'adaptive' ? 'maxSamples' : 'samplingRatio';
    throw new RangeError(`roiAlign: ${what} must be a positive whole number, got ${value}`);
  }
  return value;
}

/** `[B, H + 2, W + 2, C]`: the outermost features once more around the map, as a sample next to the map has the border's value. */
function padWithBorder(features: tf.Tensor4D): tf.Tensor4D {
  const [, height, width] = features.shape;
  const tall = tf.concat(
    [features.slice([0, 0], [-1, 1]), features, features.slice([0, height - 1], [-1, 1])],
    1,
  );
  return tf.concat([tall.slice([0, 0, 0], [-1, -1, 1]), tall, tall.slice([0, 0, width - 1], [-1, -1, 1])], 2);
}

/**
 * The first and the last of the places that sample k of every output cell has, `[R, 1]` each, as shares of the padded map: between
 * them they are evenly spaced, which is what cropAndResize samples. Samples that a region lacks lie outside the map.
 */
function edges(
  { start, bin, samples }: Axis,
  k: number,
  cells: number,
  size: number,
  adaptive: boolean,
  wanted: tf.Tensor | undefined,
): [tf.Tensor, tf.Tensor] {
  const within = tf.div(tf.mul(bin, k + 0.5), tf.maximum(samples, 1));
  const first = tf.add(tf.add(start, within), 1);
  const last = tf.add(first, tf.mul(bin, cells - 1));
  let keep = wanted;
  if (adaptive) {
    const exists = tf.cast(tf.greater(samples, k), 'float32');
    keep = keep ? tf.mul(keep, exists) : exists;
  }
  const share = (place: tf.Tensor): tf.Tensor => {
    const inMap = tf.div(place, size + 1);
    return keep ? tf.where(tf.cast(keep, 'bool'), inMap, tf.fill(inMap.shape, -1)) : inMap;
  };
  return [share(first), share(last)];
}

function check(features: tf.Tensor4D, boxes: tf.Tensor2D, images: tf.Tensor1D, where: string): void {
  const fits =
    features.rank === 4 &&
    boxes.rank === 2 &&
    boxes.shape[1] === 4 &&
    images.rank === 1 &&
    images.shape[0] === boxes.shape[0];
  if (fits) return;
  throw new RangeError(
    `${where}: shapes do not go together: features [${features.shape}], boxes [${boxes.shape}], images [${images.shape}]; ` +
      'wanted [B, H, W, C], [R, 4], [R]',
  );
}
