/** A detector around a two-stage network: its targets, its loss, and the way from images to detections. */
import type { AnchorSet } from '../../boxes/anchors';
import { isDegenerate } from '../../boxes/geometry';
import { type MatchOptions, matchAnchors, objectRole, rpnMatching } from '../../boxes/matching';
import type { ObjectTensors } from '../../boxes/proposals-sampling';
import { regionDetections, type RegionDetectionOptions } from '../../boxes/region-detections';
import type { GroundTruth } from '../../boxes/types';
import { type ForwardContext, inference } from '../../nn/module';
import { tf } from '../../tensor/tf';
import type { Detector } from '../detector';
import type { FasterRcnn } from './faster-rcnn';
import { rpnLoss, type RpnLossOptions } from './rpn';
import { type SecondStageLossOptions, type TwoStagePredictions } from './second-stage';
import { sampleKeys } from './stage-tensors';

/** Options of `createFasterRcnnDetector`. */
export interface FasterRcnnDetectorOptions {
  /** Of the network's input, pixels. */
  readonly inputSize: { readonly width: number; readonly height: number };
  /** How anchors are matched to objects. Default `rpnMatching`: IoU 0.7 and 0.3, and low-quality matches. */
  readonly matching?: MatchOptions;
  /** The region proposal network's loss: sample size, beta. */
  readonly rpnLoss?: RpnLossOptions;
  /** The second stage's loss: sample size, beta. */
  readonly regionLoss?: SecondStageLossOptions;
  /** Most objects that an image may have: the room that the step's fixed shapes leave. Default 128. */
  readonly maxObjects?: number;
}

/** What the loss compares a batch with. (A type, so that `tf.tidy` takes it.) */
export type FasterRcnnTargets = ObjectTensors & {
  /** `[B, A]` int32: index of the anchor's object among the image's, or -1 background, or -2 ignored. */
  readonly anchorObjects: tf.Tensor2D;
};

/** A two-stage network with its anchors. */
export interface FasterRcnnDetector extends Detector<RegionDetectionOptions> {
  readonly model: FasterRcnn;
  readonly anchors: AnchorSet;
  targets(groundTruth: readonly (readonly GroundTruth[])[]): FasterRcnnTargets;
  predict(images: tf.Tensor4D, context?: Pick<ForwardContext, 'path'>): TwoStagePredictions;
}

/**
 * Gives a two-stage network its targets and its loss. Training draws samples: the training loop must be given random numbers.
 *
 * The log's parts are `objectness` and `proposalBox` of the first stage, `class` and `box` of the second (of a cascade `class1`, `box1`,
 * ... before they are weighted). Crowds are not learnt from, and objects without area are left out; difficult objects are learnt unless
 * `matching` says `drop` (its `ignore` leaves their anchors alone, and no region is given to them).
 */
export function createFasterRcnnDetector(
  model: FasterRcnn,
  options: FasterRcnnDetectorOptions,
): FasterRcnnDetector {
  const { inputSize, matching = rpnMatching, maxObjects = 128 } = options;
  if (!(Number.isInteger(maxObjects) && maxObjects > 0)) {
    throw new RangeError(
      `createFasterRcnnDetector: maxObjects must be a positive whole number, got ${maxObjects}`,
    );
  }
  const { classes } = model.config;
  const anchors = model.anchors(inputSize);
  const predict = (images: tf.Tensor4D, context?: Pick<ForwardContext, 'path'>): TwoStagePredictions =>
    model.forward(images, { ...inference, ...context }, anchors);
  return {
    model,
    anchors,
    classes,
    inputSize,
    targets: (groundTruth) => targetTensors(groundTruth, anchors, { classes, matching, maxObjects }),
    loss(images, given, context) {
      const targets = given as unknown as FasterRcnnTargets;
      return tf.tidy(() => {
        const first = model.firstStage(images, context, anchors);
        const keys = sampleKeys(context, first.rpn.logits.shape);
        const { objectness, box } = rpnLoss(first.rpn, targets, anchors, keys, options.rpnLoss);
        const proposals = model.propose(first, 'training');
        const second = model.roi_heads.loss(
          first.features,
          proposals,
          targets,
          context,
          options.regionLoss ?? {},
        );
        return {
          total: tf.addN([objectness, box, second.total]),
          parts: { objectness, proposalBox: box, ...second.parts },
        };
      });
    },
    predict,
    async detect(images, detection, run = predict) {
      const { boxes, valid, classScores, boxDeltas } = run(images) as TwoStagePredictions;
      const tensors = [boxes, valid, classScores, boxDeltas];
      const values = (await Promise.all(tensors.map((tensor) => tensor.data()))) as Float32Array[];
      const [batch, count] = valid.shape;
      const lengths = tensors.map(({ shape }) => shape[2] ?? 1);
      tf.dispose(tensors);
      return Array.from({ length: batch }, (_, i) => {
        const present = values[1].subarray(i * count, (i + 1) * count).reduce((sum, v) => sum + v, 0);
        const [own, , scores, deltas] = values.map((all, k) =>
          all.subarray(i * count * lengths[k], (i * count + present) * lengths[k]),
        );
        return regionDetections({ boxes: own, classScores: scores, boxDeltas: deltas }, inputSize, {
          coder: model.roi_heads.coder,
          ...detection,
        });
      });
    },
  };
}

function targetTensors(
  groundTruth: readonly (readonly GroundTruth[])[],
  anchors: AnchorSet,
  options: { readonly classes: number; readonly matching: MatchOptions; readonly maxObjects: number },
): FasterRcnnTargets {
  const { classes, matching, maxObjects } = options;
  const batch = groundTruth.length;
  const count = anchors.boxes.length / 4;
  const anchorObjects = new Int32Array(batch * count);
  const boxes = new Float32Array(batch * maxObjects * 4);
  const labels = new Int32Array(batch * maxObjects).fill(-1);
  groundTruth.forEach((objects, image) => {
    const { labels: verdicts, objects: matched } = matchAnchors(anchors.boxes, objects, matching);
    const places = new Int32Array(objects.length).fill(-1);
    let used = 0;
    objects.forEach((object, index) => {
      const { box, label } = object;
      if (isDegenerate(box) || objectRole(object, matching) !== 'use') return;
      if (!(Number.isInteger(label) && label >= 0 && label < classes)) {
        throw new RangeError(
          `createFasterRcnnDetector: image ${image}, object ${index}: label ${label} is not a class from 0 to ${classes - 1}`,
        );
      }
      if (used < maxObjects) {
        boxes.set(box, 4 * (image * maxObjects + used));
        labels[image * maxObjects + used] = label;
      }
      places[index] = used++;
    });
    if (used > maxObjects) {
      throw new RangeError(
        `createFasterRcnnDetector: image ${image} of the batch has ${used} objects, more than the ${maxObjects} that fit; ` +
          `give maxObjects: ${used} or more`,
      );
    }
    for (let a = 0, at = image * count; a < count; a++, at++) {
      anchorObjects[at] = matched[a] >= 0 ? places[matched[a]] : verdicts[a];
    }
  });
  return tf.tidy(() => ({
    anchorObjects: tf.tensor2d(anchorObjects, [batch, count], 'int32'),
    objectBoxes: tf.tensor3d(boxes, [batch, maxObjects, 4]),
    objectLabels: tf.tensor2d(labels, [batch, maxObjects], 'int32'),
  }));
}
