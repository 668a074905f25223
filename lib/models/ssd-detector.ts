/** A detector around an SSD network: its anchors, matching and loss, and the way from images to detections. */
import type { AnchorSet } from '../boxes/anchors';
import { ssdDetections, type SsdDetectionOptions } from '../boxes/ssd-detections';
import type { GroundTruth } from '../boxes/types';
import { multiboxLoss, type MultiboxLossOptions } from '../losses/multibox';
import {
  encodeTargets,
  type EncodeOptions,
  type MultiboxTargets,
  targetTensors,
} from '../losses/multibox-targets';
import { type ForwardContext, inference } from '../nn/module';
import { type tf } from '../tensor/tf';
import { decodePredictions } from './decode-predictions';
import type { Detector } from './detector';
import type { SsdPredictions } from './heads/ssd';
import type { Ssd } from './ssd';

/** What an SSD is trained with. */
export interface SsdTraining {
  /** How anchors are matched to objects, and boxes encoded. */
  readonly matching?: EncodeOptions;
  readonly loss?: MultiboxLossOptions;
}

/** An SSD network with the anchors its predictions refer to. */
export interface SsdDetector extends Detector<SsdDetectionOptions> {
  readonly model: Ssd;
  readonly anchors: AnchorSet;
  readonly training: SsdTraining;
  targets(groundTruth: readonly (readonly GroundTruth[])[]): MultiboxTargets;
  predict(images: tf.Tensor4D, context?: Pick<ForwardContext, 'path'>): SsdPredictions;
}

/**
 * Joins a network and its anchors.
 * @throws when their detection maps or the number of anchors a cell differ, naming the level.
 */
export function createSsdDetector(model: Ssd, anchors: AnchorSet, training: SsdTraining = {}): SsdDetector {
  const { inputSize, anchorsPerCell } = model.config;
  const sizes = model.mapSizes();
  const describe = (cells: readonly string[]) => cells.join(', ');
  const wanted = sizes.map((size, level) => `${size}x${size}x${anchorsPerCell[level]}`);
  const given = anchors.levels.map(({ rows, cols, shapes }) => `${rows}x${cols}x${shapes.length}`);
  if (describe(wanted) !== describe(given)) {
    throw new RangeError(
      `createSsdDetector: the network predicts on maps of ${describe(wanted)} (rows x columns x anchors a cell), ` +
        `the anchors are for ${describe(given)}`,
    );
  }
  if (anchors.imageWidth !== inputSize || anchors.imageHeight !== inputSize) {
    throw new RangeError(
      `createSsdDetector: the network's input is ${inputSize}x${inputSize} pixels, the anchors are for ` +
        `${anchors.imageWidth}x${anchors.imageHeight}`,
    );
  }
  const { classes } = model.config;
  const predict = (images: tf.Tensor4D, context?: Pick<ForwardContext, 'path'>): SsdPredictions =>
    model.forward(images, { ...inference, ...context });
  return {
    model,
    anchors,
    training,
    classes,
    inputSize: { width: inputSize, height: inputSize },
    targets(groundTruth) {
      return targetTensors(encodeTargets(groundTruth, anchors, { classes, ...training.matching }));
    },
    loss(images, targets, context) {
      const predictions = model.forward(images, context);
      const { total, classLoss, boxLoss, positives } = multiboxLoss(
        predictions,
        targets as MultiboxTargets,
        training.loss,
      );
      return { total, parts: { class: classLoss, box: boxLoss, positives } };
    },
    predict,
    async detect(images, options, run = predict) {
      return decodePredictions(run(images) as SsdPredictions, (logits, deltas) =>
        ssdDetections(logits, deltas, anchors, { coder: training.matching?.coder, ...options }),
      );
    },
  };
}
