/**
 * Which regions a two-stage detector learns from, and what: matching and balanced sampling as tensor operations on fixed shapes, as the
 * regions are proposed by the very step that learns from them.
 */
import { withoutGradient } from '../tensor/stop-gradient';
import { tf } from '../tensor/tf';
import type { BoxCoder } from './coders';
import { encodeTensor } from './encode-tensor';
import type { Proposals } from './proposals';

/** The objects of a batch of images, padded to one number G an image. */
export type ObjectTensors = {
  /** `[B, G, 4]` xyxy in pixels of the network's input; zeros where an image has fewer. */
  readonly objectBoxes: tf.Tensor3D;
  /** `[B, G]` int32: class id from 0, or -1 where there is no object. */
  readonly objectLabels: tf.Tensor2D;
};

/** How many to take; see `balancedSample`. */
export interface SampleSize {
  readonly size: number;
  /** Part of them that may be positive at most. */
  readonly positiveFraction: number;
}

/**
 * `balancedSample` for a batch: `[B, S, 2]`, an index into N and whether it counts (1) or is there for the shape's sake (0); S is `size`,
 * or N where that is less. Those that count come first, the positives before the others. Every positive is as likely as another, and every
 * negative. Not to be differentiated: call it inside `withoutGradient`. The caller disposes the result.
 * @param positive `[B, N]` 1 or 0
 * @param negative `[B, N]` 1 or 0; what is neither is not drawn
 * @param keys `[B, N]` uniform in [0, 1): `RandomStream.uniform`
 */
export function balancedSampleTensor(
  positive: tf.Tensor,
  negative: tf.Tensor,
  keys: tf.Tensor,
  { size, positiveFraction }: SampleSize,
): tf.Tensor3D {
  if (!(Number.isInteger(size) && size > 0) || !(positiveFraction >= 0 && positiveFraction <= 1)) {
    throw new RangeError(
      `balancedSampleTensor: size must be a positive whole number and positiveFraction in [0, 1], got ${size} and ${positiveFraction}`,
    );
  }
  const count = positive.shape[1] as number;
  const taken = Math.min(size, count);
  const most = Math.min(Math.floor(size * positiveFraction), count);
  return tf.tidy(() => {
    /** The `k` highest of the marked ones' keys, and 1 where they are marked. */
    const draw = (marked: tf.Tensor, k: number): { indices: tf.Tensor; there: tf.Tensor } => {
      const { values, indices } = tf.topk(tf.mul(marked, tf.add(keys, 1)), k);
      return { indices, there: tf.cast(tf.greaterEqual(values, 1), 'float32') };
    };
    const others = draw(negative, taken);
    if (most === 0) return tf.stack([tf.cast(others.indices, 'float32'), others.there], 2) as tf.Tensor3D;
    const positives = draw(positive, most);
    const left = tf.sub(size, tf.sum(positives.there, 1, true));
    const ranks = tf.range(0, taken, 1, 'float32').expandDims(0);
    const there = tf.concat(
      [positives.there, tf.mul(others.there, tf.cast(tf.less(ranks, left), 'float32'))],
      1,
    );
    const indices = tf.concat([positives.indices, others.indices], 1);
    // Those that count move to the front.
    const places = most + taken;
    const { values, indices: from } = tf.topk(tf.mul(there, tf.range(places, 0, -1, 'float32')), taken);
    return tf.stack(
      [tf.cast(tf.gather(indices, from, 1, 1), 'float32'), tf.cast(tf.greater(values, 0), 'float32')],
      2,
    ) as tf.Tensor3D;
  });
}

/** Options of `sampleRegions`. */
export interface RegionSamplingOptions extends SampleSize {
  /** IoU from which a region is an object's, inclusive; below, it is background. Default 0.5. */
  readonly positiveIou?: number;
  /** How the offsets that it is to learn are written. */
  readonly coder: BoxCoder;
}

/** Regions of a batch to learn from, S an image. (A type, so that `tf.tidy` takes it.) */
export type SampledRegions = {
  /** `[B, S, 4]` xyxy in pixels; a place that is empty has `[0, 0, 1, 1]`. */
  readonly boxes: tf.Tensor3D;
  /** `[B, S]`: 1 for a region, 0 for a place that is empty. */
  readonly valid: tf.Tensor2D;
  /** `[B, S]` int32: 0 background, else class id + 1. */
  readonly classTargets: tf.Tensor2D;
  /** `[B, S, 4]` offsets of the region's object; zeros unless it has one. */
  readonly boxTargets: tf.Tensor3D;
  /** `[B, S]`: 1 for a region that is no proposal but an object's own box. */
  readonly isObject: tf.Tensor2D;
};

/**
 * Chooses the regions that the second stage learns from (Girshick, ICCV 2015, section 2.3; torchvision's `select_training_samples`): the
 * objects' own boxes are added to the proposals, every region is given to the object that it overlaps most (the first of several), and a
 * balanced sample is drawn. An image without objects has background only.
 *
 * IoU is computed in float32, step by step as torchvision's `box_iou`. No gradient flows through. The caller disposes the result.
 * @param keys `[B, P + G]` uniform in [0, 1): `RandomStream.uniform`
 */
export function sampleRegions(
  proposals: Proposals,
  objects: ObjectTensors,
  keys: tf.Tensor,
  options: RegionSamplingOptions,
): SampledRegions {
  const { positiveIou = 0.5, coder } = options;
  const [batch, proposed] = proposals.valid.shape;
  const [, slots] = objects.objectLabels.shape;
  if (String(keys.shape) !== String([batch, proposed + slots])) {
    throw new RangeError(
      `sampleRegions: ${proposed} proposals and ${slots} objects an image want keys [${[batch, proposed + slots]}], got [${keys.shape}]`,
    );
  }
  return tf.tidy(() => {
    const packed = withoutGradient(
      (boxes, valid) => {
        const { objectBoxes, objectLabels } = objects;
        const there = tf.cast(tf.greaterEqual(objectLabels, 0), 'float32');
        const candidates = tf.concat([boxes, objectBoxes], 1);
        const real = tf.concat([valid, there], 1);
        // [B, P + G, G]; no object, no overlap
        const overlaps = tf.sub(
          tf.mul(tf.add(iouTensor(candidates as tf.Tensor3D, objectBoxes), 1), there.expandDims(1)),
          1,
        );
        const own = tf.argMax(overlaps, 2);
        const positive = tf.mul(
          real,
          tf.cast(tf.greaterEqual(tf.max(overlaps, 2), Math.fround(positiveIou)), 'float32'),
        );
        const drawn = balancedSampleTensor(positive, tf.sub(real, positive), keys, options);
        const [which, counts] = tf.unstack(drawn, 2);
        const chosen = tf.cast(which, 'int32') as tf.Tensor2D;
        const isPositive = tf.mul(tf.gather(positive, chosen, 1, 1), counts);
        const object = tf.gather(own, chosen, 1, 1);
        const region = tf.where(
          tf.cast(counts, 'bool').expandDims(2),
          tf.gather(candidates, chosen, 1, 1),
          tf.tensor1d([0, 0, 1, 1]),
        );
        // Background is encoded relative to itself: finite, and all zeros.
        const target = tf.where(
          tf.cast(isPositive, 'bool').expandDims(2),
          tf.gather(objectBoxes, object, 1, 1),
          region,
        );
        const label = tf.mul(
          tf.add(tf.cast(tf.gather(objectLabels, object, 1, 1), 'float32'), 1),
          isPositive,
        );
        const isObject = tf.mul(tf.cast(tf.greaterEqual(which, proposed), 'float32'), counts);
        return tf.concat(
          [region, encodeTensor(target, region, coder), tf.stack([counts, label, isObject], 2)],
          2,
        );
      },
      ...[proposals.boxes, proposals.valid],
    );
    const [boxes, boxTargets, valid, classTargets, isObject] = tf.split(packed, [4, 4, 1, 1, 1], 2);
    const flat = (column: tf.Tensor): tf.Tensor2D => tf.squeeze(column, [2]);
    return {
      boxes: boxes as tf.Tensor3D,
      valid: flat(valid),
      classTargets: tf.cast(flat(classTargets), 'int32'),
      boxTargets: boxTargets as tf.Tensor3D,
      isObject: flat(isObject),
    };
  });
}

/**
 * IoU of each box with each other one, `[B, N, M]`; 0 where a box has no area.
 * @param a `[B, N, 4]` xyxy
 * @param b `[B, M, 4]` xyxy
 */
export function iouTensor(a: tf.Tensor3D, b: tf.Tensor3D): tf.Tensor3D {
  return tf.tidy(() => {
    const [ax1, ay1, ax2, ay2] = tf.split(a as tf.Tensor, 4, 2);
    const [bx1, by1, bx2, by2] = tf.split(tf.transpose(b, [0, 2, 1]) as tf.Tensor, 4, 1);
    const extent = (low: tf.Tensor, high: tf.Tensor): tf.Tensor => tf.relu(tf.sub(high, low));
    const areas = (x1: tf.Tensor, y1: tf.Tensor, x2: tf.Tensor, y2: tf.Tensor): tf.Tensor =>
      tf.mul(extent(x1, x2), extent(y1, y2));
    const intersection = tf.mul(
      extent(tf.maximum(ax1, bx1), tf.minimum(ax2, bx2)),
      extent(tf.maximum(ay1, by1), tf.minimum(ay2, by2)),
    );
    const union = tf.sub(tf.add(areas(ax1, ay1, ax2, ay2), areas(bx1, by1, bx2, by2)), intersection);
    return tf.div(intersection, tf.maximum(union, 1e-30)) as tf.Tensor3D;
  });
}
