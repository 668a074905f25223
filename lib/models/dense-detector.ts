/** What RetinaNet and EfficientDet have in common once their anchors are known: targets, loss, and the way to detections. */
import type { AnchorSet } from '../boxes/anchors';
import type { BoxCoder } from '../boxes/coders';
import { denseDetections, type DenseDetectionOptions } from '../boxes/dense-detections';
import type { MatchOptions } from '../boxes/matching';
import { denseLoss, type DenseLossOptions, type DensePredictions } from '../losses/dense';
import { encodeTargets, type MultiboxTargets, targetTensors } from '../losses/multibox-targets';
import { type ForwardContext, inference, type Module } from '../nn/module';
import type { tf } from '../tensor/tf';
import { decodePredictions } from './decode-predictions';
import type { Detector, Predictions } from './detector';

/** A network that scores every class at every anchor by itself, without a background. */
export type DenseNetwork<P> = Module & { forward(images: tf.Tensor4D, context: ForwardContext): P };

/** What a dense detector is made of, beside its network. */
export interface DenseDetectorParts extends Pick<Detector, 'classes' | 'inputSize'> {
  readonly anchors: AnchorSet;
  readonly matching: MatchOptions;
  readonly loss: DenseLossOptions;
  readonly coder: BoxCoder;
  /** What `detect` does unless it is told otherwise. */
  readonly detection?: DenseDetectionOptions;
}

/** A dense network with the anchors its predictions refer to. */
export interface DenseDetector<
  M extends DenseNetwork<P>,
  P extends DensePredictions & Predictions,
> extends Detector<DenseDetectionOptions> {
  readonly model: M;
  readonly anchors: AnchorSet;
  predict(images: tf.Tensor4D, context?: Pick<ForwardContext, 'path'>): P;
}

/** Puts a dense detector together. The log's parts are `class`, `box` and `positives`. */
export function createDenseDetector<M extends DenseNetwork<P>, P extends DensePredictions & Predictions>(
  model: M,
  { anchors, classes, inputSize, matching, loss, coder, detection }: DenseDetectorParts,
): DenseDetector<M, P> {
  const predict = (images: tf.Tensor4D, context?: Pick<ForwardContext, 'path'>): P =>
    model.forward(images, { ...inference, ...context });
  return {
    model,
    anchors,
    classes,
    inputSize,
    targets(groundTruth) {
      return targetTensors(encodeTargets(groundTruth, anchors, { classes, ...matching, coder }));
    },
    loss(images, targets, context) {
      const { total, classLoss, boxLoss, positives } = denseLoss(
        model.forward(images, context),
        targets as MultiboxTargets,
        loss,
      );
      return { total, parts: { class: classLoss, box: boxLoss, positives } };
    },
    predict,
    async detect(images, options, run = predict) {
      return decodePredictions(run(images) as P, (logits, deltas) =>
        denseDetections(logits, deltas, anchors, { ...detection, coder, ...options }),
      );
    },
  };
}
