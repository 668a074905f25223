/** Faster R-CNN's second stage: pooled regions, two fully connected layers, a class and a box a class. */
import { type BoxCoder, fasterRcnnCoder } from '../../boxes/coders';
import type { Proposals } from '../../boxes/proposals';
import { type ObjectTensors, sampleRegions } from '../../boxes/proposals-sampling';
import type { Loss } from '../../losses/loss';
import { type ForwardContext, Module } from '../../nn/module';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import { type BoxHeadOptions, type BoxHeadPredictions, FastRcnnPredictor, TwoMlpHead } from './box-head';
import { regionLoss } from './region-loss';
import { poolRegions, type RegionPoolingOptions } from './region-pooling';
import {
  type RegionFeatures,
  regionSample,
  type SecondStage,
  type SecondStageLossOptions,
  type TwoStagePredictions,
} from './second-stage';
import { byImage, sampleKeys } from './stage-tensors';

/** Options of `RoiHeads`. */
export interface RoiHeadsOptions extends Omit<BoxHeadOptions, 'window' | 'classAgnostic'> {
  readonly pooling?: RegionPoolingOptions;
  /** How offsets are written. Default `fasterRcnnCoder`. */
  readonly coder?: BoxCoder;
  /** IoU from which a region is an object's, inclusive. Default 0.5. */
  readonly positiveIou?: number;
}

/** One head, under torchvision's names: `roi_heads.box_head.fc6`, `roi_heads.box_predictor.cls_score`. */
export class RoiHeads extends Module implements SecondStage {
  readonly box_head: TwoMlpHead;
  readonly box_predictor: FastRcnnPredictor;
  readonly coder: BoxCoder;
  private readonly pooling: RegionPoolingOptions;
  private readonly positiveIou: number;

  constructor(options: RoiHeadsOptions, random: Random) {
    super();
    const { pooling = {}, coder = fasterRcnnCoder, positiveIou = 0.5 } = options;
    const layers = { ...options, window: pooling.outputSize ?? 7 };
    this.pooling = pooling;
    this.coder = coder;
    this.positiveIou = positiveIou;
    this.box_head = new TwoMlpHead(layers, random);
    this.box_predictor = new FastRcnnPredictor(layers, random);
  }

  predict(features: RegionFeatures, proposals: Proposals, context: ForwardContext): TwoStagePredictions {
    return tf.tidy(() => {
      const { classLogits, boxDeltas } = this.run(features, proposals.boxes, context);
      const [batch] = proposals.valid.shape;
      return {
        boxes: proposals.boxes.clone(),
        valid: proposals.valid.clone(),
        classScores: byImage(tf.softmax(classLogits), batch),
        boxDeltas: byImage(boxDeltas, batch),
      };
    });
  }

  /** The loss' parts are `class` and `box`. */
  loss(
    features: RegionFeatures,
    proposals: Proposals,
    objects: ObjectTensors,
    context: ForwardContext,
    { sample = regionSample, beta = 1 / 9 }: SecondStageLossOptions,
  ): Loss {
    return tf.tidy(() => {
      const [batch, count] = proposals.valid.shape;
      const keys = sampleKeys(context, [batch, count + objects.objectLabels.shape[1]]);
      const { coder, positiveIou } = this;
      const sampled = sampleRegions(proposals, objects, keys, { ...sample, coder, positiveIou });
      const parts = regionLoss(this.run(features, sampled.boxes, context), sampled, beta);
      return { total: tf.add<tf.Scalar>(parts.class, parts.box), parts };
    });
  }

  private run(
    { maps, height }: RegionFeatures,
    boxes: tf.Tensor3D,
    context: ForwardContext,
  ): BoxHeadPredictions {
    const pooled = poolRegions(maps, boxes, height, this.pooling);
    return this.box_predictor.forward(this.box_head.forward(pooled, context), context);
  }
}
