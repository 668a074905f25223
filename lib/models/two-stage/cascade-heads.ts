/**
 * Cascade R-CNN's second stage (Cai and Vasconcelos, CVPR 2018, section 4): heads one after another, each of which learns from the boxes
 * that the one before refined, at a higher IoU.
 *
 * From the paper: three heads at IoU 0.5, 0.6 and 0.7; one box for all classes; offsets normalised a stage; a sample drawn anew for each
 * stage; the mean of the heads' scores. From mmdetection, where the paper is silent: the stages' weights in the loss, 1, 1/2 and 1/4;
 * objects' own boxes are added to every stage's candidates, and their refined ones are not handed on; the weights 10, 10, 5, 5 of the
 * offsets, which the next stages double and treble.
 */
import { type BoxCoder, cascadeCoders } from '../../boxes/coders';
import { decodeTensor } from '../../boxes/decode-tensor';
import { clipTensor, largeEnough, type Proposals } from '../../boxes/proposals';
import { type ObjectTensors, sampleRegions } from '../../boxes/proposals-sampling';
import type { Loss } from '../../losses/loss';
import { type ForwardContext, Module } from '../../nn/module';
import type { Random } from '../../tensor/random';
import { withoutGradient } from '../../tensor/stop-gradient';
import { tf } from '../../tensor/tf';
import { type BoxHeadOptions, FastRcnnPredictor, TwoMlpHead } from './box-head';
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

/** What distinguishes one cascade from another; lists have one entry a stage. */
export interface CascadeOptions {
  /** IoU from which a region is an object's, inclusive. Default 0.5, 0.6, 0.7. */
  readonly positiveIous?: readonly number[];
  /** How offsets are written. Default `cascadeCoders`. */
  readonly coders?: readonly BoxCoder[];
  /** Weights in the loss. Default 1, 1/2, 1/4. */
  readonly lossWeights?: readonly number[];
  /**
   * The regions whose scores by all heads are averaged: each head's `own` (default; mmdetection, Detectron2), or, with every head, those of
   * the `last` one (the paper's table 4 and the authors' release), at the price of as many heads again.
   */
  readonly scoredRegions?: 'own' | 'last';
}

/** Options of `CascadeHeads`. */
export interface CascadeHeadsOptions
  extends Omit<BoxHeadOptions, 'window' | 'classAgnostic'>, CascadeOptions {
  readonly pooling?: RegionPoolingOptions;
}

/** The heads, under the names `roi_heads.box_head.0.fc6`, `roi_heads.box_predictor.0.cls_score`. */
export class CascadeHeads extends Module implements SecondStage {
  readonly box_head: TwoMlpHead[];
  readonly box_predictor: FastRcnnPredictor[];
  private readonly pooling: RegionPoolingOptions;
  private readonly stages: {
    readonly positiveIou: number;
    readonly coder: BoxCoder;
    readonly weight: number;
  }[];
  private readonly scoredRegions: 'own' | 'last';

  /** @throws RangeError when the lists of stages are not of one length. */
  constructor(options: CascadeHeadsOptions, random: Random) {
    super();
    const { positiveIous = [0.5, 0.6, 0.7], coders = cascadeCoders, lossWeights = [1, 0.5, 0.25] } = options;
    const { pooling = {}, scoredRegions = 'own' } = options;
    const stages = positiveIous.length;
    if (stages === 0 || coders.length !== stages || lossWeights.length !== stages) {
      throw new RangeError(
        `CascadeHeads: ${stages} positiveIous, ${coders.length} coders and ${lossWeights.length} lossWeights; give one of each a stage`,
      );
    }
    const layers = { ...options, window: pooling.outputSize ?? 7, classAgnostic: true };
    this.pooling = pooling;
    this.scoredRegions = scoredRegions;
    this.stages = positiveIous.map((positiveIou, stage) => ({
      positiveIou,
      coder: coders[stage],
      weight: lossWeights[stage],
    }));
    this.box_head = this.stages.map(() => new TwoMlpHead(layers, random));
    this.box_predictor = this.stages.map(() => new FastRcnnPredictor(layers, random));
  }

  get coder(): BoxCoder {
    return this.stages[this.stages.length - 1].coder;
  }

  predict(features: RegionFeatures, proposals: Proposals, context: ForwardContext): TwoStagePredictions {
    return tf.tidy(() => {
      const [batch] = proposals.valid.shape;
      const last = this.stages.length - 1;
      let { boxes } = proposals;
      const scores: tf.Tensor2D[] = [];
      for (let stage = 0; ; stage++) {
        const pooled = this.pool(features, boxes);
        const { classLogits, boxDeltas } = this.head(stage, pooled, context);
        if (stage === last || this.scoredRegions === 'own') scores.push(tf.softmax(classLogits));
        if (stage < last) {
          boxes = this.refined(stage, features, boxes, byImage(boxDeltas, batch));
          continue;
        }
        if (this.scoredRegions === 'last') {
          for (let k = 0; k < last; k++) scores.push(tf.softmax(this.head(k, pooled, context).classLogits));
        }
        return {
          boxes: boxes.clone(),
          valid: proposals.valid.clone(),
          classScores: byImage(tf.mul(tf.addN(scores), 1 / (last + 1)), batch),
          boxDeltas: byImage(boxDeltas, batch),
        };
      }
    });
  }

  /** The loss' parts are `class1`, `box1`, `class2`, ... before they are weighted. */
  loss(
    features: RegionFeatures,
    proposals: Proposals,
    objects: ObjectTensors,
    context: ForwardContext,
    { sample = regionSample, beta = 1 }: SecondStageLossOptions,
  ): Loss {
    return tf.tidy(() => {
      let current = proposals;
      const parts: Record<string, tf.Scalar> = {};
      const weighted = this.stages.map(({ positiveIou, coder, weight }, stage) => {
        const [batch, count] = current.valid.shape;
        const keys = sampleKeys(context, [batch, count + objects.objectLabels.shape[1]]);
        const sampled = sampleRegions(current, objects, keys, { ...sample, coder, positiveIou });
        const predictions = this.head(stage, this.pool(features, sampled.boxes), context);
        const loss = regionLoss(predictions, sampled, beta);
        parts[`class${stage + 1}`] = loss.class;
        parts[`box${stage + 1}`] = loss.box;
        if (stage + 1 < this.stages.length) {
          const boxes = this.refined(stage, features, sampled.boxes, byImage(predictions.boxDeltas, batch));
          const proposed = tf.mul(sampled.valid, tf.sub(1, sampled.isObject));
          const valid = tf.mul(proposed, tf.cast(largeEnough(boxes, 1e-3), 'float32'));
          current = { boxes, valid: valid as tf.Tensor2D };
        }
        return tf.mul<tf.Scalar>(tf.add(loss.class, loss.box), weight);
      });
      return { total: tf.addN(weighted), parts };
    });
  }

  private pool({ maps, height }: RegionFeatures, boxes: tf.Tensor3D): tf.Tensor4D {
    return poolRegions(maps, boxes, height, this.pooling);
  }

  private head(
    stage: number,
    pooled: tf.Tensor4D,
    context: ForwardContext,
  ): ReturnType<FastRcnnPredictor['forward']> {
    return this.box_predictor[stage].forward(this.box_head[stage].forward(pooled, context), context);
  }

  /** The next stage's regions `[B, R, 4]`, cut to the image; zeros for those that have no area. No gradient flows through. */
  private refined(
    stage: number,
    { width, height }: RegionFeatures,
    boxes: tf.Tensor3D,
    boxDeltas: tf.Tensor3D,
  ): tf.Tensor3D {
    return withoutGradient(
      (from, deltas) => {
        const moved = clipTensor(decodeTensor(deltas, from, this.stages[stage].coder), width, height);
        return tf.where(largeEnough(moved, 1e-3).expandDims(2), moved, tf.zerosLike(moved));
      },
      boxes,
      boxDeltas,
    ) as tf.Tensor3D;
  }
}
