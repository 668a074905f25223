/** What SSD should have said for a batch of images: built on the CPU, outside the differentiated function. */
import type { AnchorSet } from '../boxes/anchors';
import { type BoxCoder, createBoxCoder } from '../boxes/coders';
import { isDegenerate, toBoxArray } from '../boxes/geometry';
import { ignoreLabel, matchAnchors, type MatchOptions } from '../boxes/matching';
import type { GroundTruth } from '../boxes/types';
import { tf } from '../tensor/tf';

/** Targets of B images and A anchors, as arrays. */
export interface EncodedTargets {
  readonly batch: number;
  readonly anchors: number;
  /** `[B, A]`: 0 background, 1 to C the classes (class id + 1), -1 ignored. */
  readonly classTargets: Int32Array;
  /** `[B, A, 4]`: encoded offsets of the matched object; 0 where the anchor is not positive. */
  readonly boxTargets: Float32Array;
  /** `[B]`: positive anchors of each image. */
  readonly positives: Int32Array;
}

/** Options of `encodeTargets`: how anchors are matched, and how boxes are encoded. */
export interface EncodeOptions extends MatchOptions {
  /** Default: SSD's, variances 0.1, 0.1, 0.2, 0.2. */
  readonly coder?: BoxCoder;
  /** What to do with a box without area: say so (the default), naming image and object, or leave it out. */
  readonly degenerate?: 'throw' | 'drop';
  /** Number of classes; when given, a label outside it is an error that names image and object. */
  readonly classes?: number;
}

/**
 * Matches and encodes a batch. Images without objects are all background; an empty batch gives empty arrays.
 * @param groundTruth the objects of each image, in pixels of the network's input
 */
export function encodeTargets(
  groundTruth: readonly (readonly GroundTruth[])[],
  anchors: AnchorSet,
  options: EncodeOptions = {},
): EncodedTargets {
  const { coder = createBoxCoder() } = options;
  const batch = groundTruth.length;
  const count = anchors.boxes.length / 4;
  const classTargets = new Int32Array(batch * count);
  const boxTargets = new Float32Array(batch * count * 4);
  const positives = new Int32Array(batch);
  groundTruth.forEach((list, image) => {
    const objects = checked(list, image, options);
    if (objects.length === 0) return;
    const boxes = toBoxArray(objects.map(({ box }) => box));
    const matches = matchAnchors(anchors.boxes, objects, options);
    const start = image * count;
    for (let a = 0; a < count; a++) {
      const object = matches.objects[a];
      if (object >= 0) {
        classTargets[start + a] = matches.labels[a] + 1;
        coder.encodeInto(boxTargets, start + a, boxes, object, anchors.boxes, a);
      } else if (matches.labels[a] === ignoreLabel) {
        classTargets[start + a] = -1;
      }
    }
    positives[image] = matches.positives;
  });
  return { batch, anchors: count, classTargets, boxTargets, positives };
}

/** The same as tensors; the caller disposes both. (A type, so that it passes for a record of tensors.) */
export type MultiboxTargets = {
  /** `[B, A]` int32: 0 background, 1 to C the classes, -1 ignored. */
  readonly classTargets: tf.Tensor2D;
  /** `[B, A, 4]` float32. */
  readonly boxTargets: tf.Tensor3D;
};

/** Arrays into tensors, which the caller disposes. */
export function targetTensors({ batch, anchors, classTargets, boxTargets }: EncodedTargets): MultiboxTargets {
  return {
    classTargets: tf.tensor2d(classTargets, [batch, anchors], 'int32'),
    boxTargets: tf.tensor3d(boxTargets, [batch, anchors, 4], 'float32'),
  };
}

function checked(
  list: readonly GroundTruth[],
  image: number,
  options: EncodeOptions,
): readonly GroundTruth[] {
  const { degenerate = 'throw', classes } = options;
  let drop = false;
  list.forEach(({ box, label }, index) => {
    const where = `encodeTargets: object ${index} of image ${image} in the batch`;
    if (!Number.isInteger(label) || label < 0 || (classes !== undefined && label >= classes)) {
      const range = classes === undefined ? 'a whole number from 0' : `from 0 to ${classes - 1}`;
      throw new RangeError(`${where} has label ${label}; class ids are ${range}`);
    }
    if (!isDegenerate(box)) return;
    if (degenerate === 'throw') {
      throw new RangeError(
        `${where}, [${box.join(', ')}], has no area. Boxes are [x1, y1, x2, y2]; ` +
          "drop such objects when loading, or pass { degenerate: 'drop' }",
      );
    }
    drop = true;
  });
  return drop ? list.filter(({ box }) => !isDegenerate(box)) : list;
}
