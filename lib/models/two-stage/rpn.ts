/**
 * The region proposal network (Ren et al., NeurIPS 2015, section 3.1): a small head, shared by all levels of a pyramid, that says of every
 * anchor whether there is an object and where. The layers' names are torchvision's.
 */
import type { AnchorSet } from '../../boxes/anchors';
import { retinaNetCoder } from '../../boxes/coders';
import { encodeTensor } from '../../boxes/encode-tensor';
import { balancedSampleTensor, type SampleSize } from '../../boxes/proposals-sampling';
import { sigmoidCrossEntropy } from '../../losses/sigmoid-cross-entropy';
import { smoothL1 } from '../../losses/smooth-l1';
import { Conv2d } from '../../nn/conv';
import { normal } from '../../nn/initializers';
import { type ForwardContext, Module } from '../../nn/module';
import { relu } from '../../tensor/kernels/activations';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';

/** Raw predictions for every anchor, levels one after another, in the anchors' order. (A type, so that `tf.tidy` takes it.) */
export type RpnPredictions = {
  /** `[B, A]` before the sigmoid. */
  readonly logits: tf.Tensor2D;
  /** `[B, A, 4]` offsets from the anchor. */
  readonly deltas: tf.Tensor3D;
};

/** Options of `RpnHead`. */
export interface RpnHeadOptions {
  /** Channels of the pyramid's maps. */
  readonly channels: number;
  /** Anchors a cell, on every level. */
  readonly anchorsPerCell: number;
  /** 3x3 convolutions before the predictions. Default 1; torchvision's `fasterrcnn_resnet50_fpn_v2` has 2. */
  readonly depth?: number;
}

/** 3x3 convolutions with ReLU, then a 1x1 for scores and one for boxes; weights from N(0, 0.01), as in the paper. */
export class RpnHead extends Module {
  /** `conv.i.0`, as torchvision has them. */
  readonly conv: [Conv2d][];
  readonly cls_logits: Conv2d;
  readonly bbox_pred: Conv2d;

  constructor({ channels, anchorsPerCell, depth = 1 }: RpnHeadOptions, random: Random) {
    super();
    const convolution = (outChannels: number, kernel: number): Conv2d =>
      new Conv2d({ inChannels: channels, outChannels, kernel, initializer: normal(0.01) }, random);
    this.conv = Array.from({ length: depth }, () => [convolution(channels, 3)]);
    this.cls_logits = convolution(anchorsPerCell, 1);
    this.bbox_pred = convolution(4 * anchorsPerCell, 1);
  }

  /** @param maps `[B, H_i, W_i, channels]` a level. Returns predictions for all anchors; the caller disposes them. */
  forward(maps: readonly tf.Tensor4D[], context: ForwardContext): RpnPredictions {
    return tf.tidy(() => {
      const levels = maps.map((map) => {
        const y = this.conv.reduce((x, [layer]) => relu(layer.forward(x, context)), map);
        return {
          logits: this.cls_logits.forward(y, context).reshape([map.shape[0], -1]),
          deltas: this.bbox_pred.forward(y, context).reshape([map.shape[0], -1, 4]),
        };
      });
      return {
        logits: tf.concat(
          levels.map(({ logits }) => logits),
          1,
        ) as tf.Tensor2D,
        deltas: tf.concat(
          levels.map(({ deltas }) => deltas),
          1,
        ) as tf.Tensor3D,
      };
    });
  }
}

/** The network under torchvision's name: `rpn.head`. */
export class RegionProposalNetwork extends Module {
  readonly head: RpnHead;

  constructor(options: RpnHeadOptions, random: Random) {
    super();
    this.head = new RpnHead(options, random);
  }
}

/** What the anchors of a batch are to say. */
export interface RpnTargets {
  /** `[B, A]` int32: index of the anchor's object among the image's, or -1 background, or -2 ignored. */
  readonly anchorObjects: tf.Tensor2D;
  /** `[B, G, 4]` xyxy in pixels. */
  readonly objectBoxes: tf.Tensor3D;
}

/** Options of `rpnLoss`; the defaults are torchvision's. */
export interface RpnLossOptions {
  /** Default 256 an image, at most half of them positive. */
  readonly sample?: SampleSize;
  /** Where the box loss' parabola meets the line. Default 1/9. */
  readonly beta?: number;
}

/** The region proposal network's part of a loss, scalars. (A type, so that `tf.tidy` takes it.) */
export type RpnLoss = {
  readonly objectness: tf.Scalar;
  readonly box: tf.Scalar;
};

/**
 * The loss of a sample of anchors: binary cross-entropy of the scores, smooth L1 of the positives' offsets, both summed over the batch and
 * divided by the number of anchors in the sample (torchvision's; the paper divides the boxes' by the number of cells and weighs it by 10,
 * which is about the same). Differentiable in the predictions. The caller disposes the result.
 * @param keys `[B, A]` uniform in [0, 1): `RandomStream.uniform`
 */
export function rpnLoss(
  predictions: RpnPredictions,
  targets: RpnTargets,
  anchors: AnchorSet,
  keys: tf.Tensor,
  options: RpnLossOptions = {},
): RpnLoss {
  const { sample = { size: 256, positiveFraction: 0.5 }, beta = 1 / 9 } = options;
  const { anchorObjects, objectBoxes } = targets;
  return tf.tidy(() => {
    const positive = tf.cast(tf.greaterEqual(anchorObjects, 0), 'float32');
    const negative = tf.cast(tf.equal(anchorObjects, -1), 'float32');
    const [which, counts] = tf.unstack(balancedSampleTensor(positive, negative, keys, sample), 2);
    const chosen = tf.cast(which, 'int32');
    const isPositive = tf.mul(tf.gather(positive, chosen, 1, 1), counts);
    const anchor = tf.gather(
      tf.tensor2d(anchors.boxes, [anchors.boxes.length / 4, 4]),
      chosen as tf.Tensor1D,
    );
    const object = tf.gather(
      objectBoxes,
      tf.maximum(tf.gather(anchorObjects, chosen, 1, 1), tf.scalar(0, 'int32')),
      1,
      1,
    );
    // Background is encoded relative to itself: finite, and all zeros.
    const target = tf.where(tf.cast(isPositive, 'bool').expandDims(2), object, anchor as tf.Tensor);
    const number = tf.maximum(tf.sum(counts), 1);
    const entropies = sigmoidCrossEntropy(
      tf.gather(predictions.logits, chosen, 1, 1) as tf.Tensor,
      isPositive,
    );
    const distances = smoothL1(
      tf.gather(predictions.deltas, chosen, 1, 1) as tf.Tensor,
      encodeTensor(target, anchor, retinaNetCoder),
      beta,
    );
    return {
      objectness: tf.div(tf.sum(tf.mul(entropies, counts)), number) as tf.Scalar,
      box: tf.div(tf.sum(tf.mul(distances, isPositive.expandDims(2))), number) as tf.Scalar,
    };
  });
}
