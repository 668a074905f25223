/** What the two kinds of second stage have in common: Faster R-CNN's single head, and Cascade R-CNN's sequence of heads. */
import type { BoxCoder } from '../../boxes/coders';
import type { Proposals } from '../../boxes/proposals';
import type { ObjectTensors, SampleSize } from '../../boxes/proposals-sampling';
import type { Loss } from '../../losses/loss';
import type { ForwardContext, Module } from '../../nn/module';
import type { tf } from '../../tensor/tf';

/** What the second stage says of P regions an image. (A type, so that `tf.tidy` takes it.) */
export type TwoStagePredictions = {
  /** `[B, P, 4]` xyxy in pixels: the regions that the offsets refer to. */
  readonly boxes: tf.Tensor3D;
  /** `[B, P]`: 1 for a region, 0 for a place that is empty; all regions come before. */
  readonly valid: tf.Tensor2D;
  /** `[B, P, C + 1]` probabilities, background at index 0. */
  readonly classScores: tf.Tensor3D;
  /** `[B, P, (C + 1) * 4]` offsets, a box a class, or `[B, P, 4]`. */
  readonly boxDeltas: tf.Tensor3D;
};

/** The pyramid's maps that regions are read from, and the size of the input in pixels. */
export interface RegionFeatures {
  /** `[B, H_i, W_i, C]` a level, from fine to coarse, without the pyramid's extra level. */
  readonly maps: readonly tf.Tensor4D[];
  readonly width: number;
  readonly height: number;
}

/** Options of a second stage's loss. */
export interface SecondStageLossOptions {
  /** Default 512 an image, at most a quarter of them positive. */
  readonly sample?: SampleSize;
  /** Where the box loss' parabola meets the line. Default 1/9 (torchvision's); of a cascade 1 (the paper's, and mmdetection's). */
  readonly beta?: number;
}

/** From proposals to classes and boxes. */
export interface SecondStage extends Module {
  /** How the offsets of `predict` are written. */
  readonly coder: BoxCoder;
  /** The caller disposes the result. */
  predict(features: RegionFeatures, proposals: Proposals, context: ForwardContext): TwoStagePredictions;
  /** Differentiable in the features and the stage's own weights; the caller disposes the result. */
  loss(
    features: RegionFeatures,
    proposals: Proposals,
    objects: ObjectTensors,
    context: ForwardContext,
    options: SecondStageLossOptions,
  ): Loss;
}

/** 512 regions an image, at most a quarter of them positive: torchvision's. */
export const regionSample: SampleSize = { size: 512, positiveFraction: 0.25 };
