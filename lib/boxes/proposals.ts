/**
 * Region proposals: from what a region proposal network predicts for every anchor to a fixed number of boxes (Ren et al., NeurIPS 2015,
 * section 3.3; on a pyramid: Lin et al., CVPR 2017, section 4.1). torchvision's `filter_proposals`.
 *
 * Everything is tensor operations on fixed shapes: no value is read in JavaScript, so that a step can be recorded as a graph.
 */
import { withoutGradient } from '../tensor/stop-gradient';
import { tf } from '../tensor/tf';
import type { AnchorSet } from './anchors';
import { type BoxCoder, retinaNetCoder } from './coders';
import { decodeTensor } from './decode-tensor';
import { absentScore, groupedNms } from './proposals-suppression';

/** Options of `selectProposals`; the defaults are torchvision's in training (1000 and 1000 otherwise). */
export interface ProposalOptions {
  /** Anchors with the highest scores of each level that are decoded. Default 2000. */
  readonly preNmsTop?: number;
  /** Proposals of all levels together that an image has at most. Default 2000. */
  readonly postNmsTop?: number;
  /** A proposal is dropped when its IoU with a better one of its level is above this. Default 0.7. */
  readonly iouThreshold?: number;
  /** Proposals narrower or lower than this are dropped, pixels. Default 0.001. */
  readonly minSize?: number;
  /** Default `retinaNetCoder`: offsets without weights. */
  readonly coder?: BoxCoder;
}

/** A fixed number of boxes for each image. (A type, so that `tf.tidy` takes it.) */
export type Proposals = {
  /** `[B, P, 4]` xyxy in pixels, within the image; zeros where an image has fewer. */
  readonly boxes: tf.Tensor3D;
  /** `[B, P]`: 1 for a box, 0 for a place that is empty; all boxes come before. */
  readonly valid: tf.Tensor2D;
};

/**
 * The best boxes of each image, highest score first: of every level the best anchors, decoded, cut to the image, without those that
 * overlap a better one of their level. P is `postNmsTop`, or the number of anchors that are decoded where that is less.
 *
 * No gradient flows through. Anchors whose prediction is NaN are not proposed. The caller disposes the result.
 * @param logits `[B, A]` before the sigmoid: how surely there is an object
 * @param deltas `[B, A, 4]` encoded by `coder`
 * @param anchors of all levels, A together
 */
export function selectProposals(
  logits: tf.Tensor2D,
  deltas: tf.Tensor3D,
  anchors: AnchorSet,
  options: ProposalOptions = {},
): Proposals {
  const { preNmsTop = 2000, postNmsTop = 2000, iouThreshold = 0.7, minSize = 1e-3 } = options;
  const { coder = retinaNetCoder } = options;
  const [batch, count] = logits.shape;
  if (anchors.boxes.length !== 4 * count || String(deltas.shape) !== String([batch, count, 4])) {
    throw new RangeError(
      `selectProposals: logits [${logits.shape}] and deltas [${deltas.shape}] do not go with ${anchors.boxes.length / 4} anchors; ` +
        'wanted [B, A] and [B, A, 4]',
    );
  }
  for (const [name, value] of Object.entries({ preNmsTop, postNmsTop })) {
    if (Number.isInteger(value) && value > 0) continue;
    throw new RangeError(`selectProposals: ${name} must be a positive whole number, got ${value}`);
  }
  const decoded = anchors.levels.map((level) => Math.min(preNmsTop, level.count));
  const longest = Math.max(...decoded);
  const maxOutput = Math.min(
    postNmsTop,
    decoded.reduce((sum, n) => sum + n, 0),
  );
  return tf.tidy(() => {
    const packed = withoutGradient(
      (allLogits, allDeltas) => {
        const levels = anchors.levels.map((level, l) => {
          const { values, indices } = tf.topk(
            allLogits.slice([0, level.start], [-1, level.count]),
            decoded[l],
          );
          const levelBoxes = anchors.boxes.subarray(4 * level.start, 4 * (level.start + level.count));
          const own = tf.gather(tf.tensor2d(levelBoxes, [level.count, 4]), indices as tf.Tensor2D);
          const offsets = allDeltas.slice([0, level.start, 0], [-1, level.count, -1]);
          const boxes = clipTensor(
            decodeTensor(tf.gather(offsets, indices, 1, 1), own, coder),
            anchors.imageWidth,
            anchors.imageHeight,
          );
          const wanted = tf.logicalAnd(largeEnough(boxes, minSize), tf.greater(values, absentScore));
          const missing = longest - decoded[l];
          return {
            // Boxes that are NaN would make the sampling of features fail.
            boxes: tf.pad(tf.where(wanted.expandDims(2), boxes, tf.zerosLike(boxes)), [[0, 0], [0, missing], [0, 0]]), // prettier-ignore
            scores: tf.pad(tf.where(wanted, values, tf.fill(values.shape, absentScore)), [[0, 0], [0, missing]], absentScore), // prettier-ignore
          };
        });
        return groupedNms(
          tf.stack(
            levels.map(({ boxes }) => boxes),
            1,
          ) as tf.Tensor4D,
          tf.stack(
            levels.map(({ scores }) => scores),
            1,
          ) as tf.Tensor3D,
          { iouThreshold, maxOutput },
        );
      },
      logits,
      deltas,
    );
    const [boxes, valid] = tf.split(packed, [4, 1], 2);
    return { boxes: boxes as tf.Tensor3D, valid: tf.squeeze(valid, [2]) };
  });
}

/** Boxes `[..., 4]` xyxy cut to an image: corners outside are moved onto its border. */
export function clipTensor<T extends tf.Tensor>(boxes: T, width: number, height: number): T {
  return tf.tidy(() => tf.minimum(tf.maximum(boxes, 0), tf.tensor1d([width, height, width, height]))) as T;
}

/** Whether boxes `[..., 4]` are at least so wide and so high: `[...]` bool, false for NaN. */
export function largeEnough(boxes: tf.Tensor, minSize: number): tf.Tensor {
  return tf.tidy(() => {
    const [x1, y1, x2, y2] = tf.split(boxes, 4, boxes.rank - 1).map((corner) => tf.squeeze(corner, [-1]));
    return tf.logicalAnd(tf.greaterEqual(tf.sub(x2, x1), minSize), tf.greaterEqual(tf.sub(y2, y1), minSize));
  });
}
