/** SSD's prediction layers (Liu et al., ECCV 2016, section 2.1): two 3x3 convolutions on every detection map. */
import { BatchNorm2d } from '../../nn/batch-norm';
import { Conv2d } from '../../nn/conv';
import { type ForwardContext, Module } from '../../nn/module';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import { joinLevels } from './join-levels';

/** Raw predictions for every anchor, levels one after another, in the anchors' order. (A type, so that `tf.tidy` takes it.) */
export type SsdPredictions = {
  /** `[B, A, C + 1]` scores before the softmax; index 0 is the background. */
  readonly classLogits: tf.Tensor3D;
  /** `[B, A, 4]` offsets from the anchor, encoded (see `encodeBoxes`). */
  readonly boxDeltas: tf.Tensor3D;
};

/** Options of `SsdHead`. */
export interface SsdHeadOptions {
  /** Channels of each detection map. */
  readonly inChannels: readonly number[];
  /** Anchors a cell on each detection map. */
  readonly anchorsPerCell: readonly number[];
  /** Classes without the background. */
  readonly classes: number;
  /**
   * Batch norm directly after each prediction convolution, with no ReLU: where ScratchDet's released code puts it
   * (`ssdbn_head.py`); the paper's text does not say.
   */
  readonly batchNorm: boolean;
}

class PredictionLayer extends Module {
  readonly conv: Conv2d;
  readonly bn?: BatchNorm2d;

  constructor(inChannels: number, outChannels: number, batchNorm: boolean, random: Random) {
    super();
    this.conv = new Conv2d({ inChannels, outChannels, kernel: 3, bias: !batchNorm }, random);
    if (batchNorm) this.bn = new BatchNorm2d({ channels: outChannels });
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    const y = this.conv.forward(x, context);
    return this.bn ? this.bn.forward(y, context) : y;
  }
}

/** Class scores and box offsets from each detection map. */
export class SsdHead extends Module {
  readonly classification: PredictionLayer[];
  readonly regression: PredictionLayer[];
  private readonly classes: number;

  constructor(options: SsdHeadOptions, random: Random) {
    super();
    const { inChannels, anchorsPerCell, classes, batchNorm } = options;
    if (inChannels.length !== anchorsPerCell.length) {
      throw new RangeError(
        `SsdHead: ${inChannels.length} detection maps but anchors for ${anchorsPerCell.length}; give one number a map`,
      );
    }
    this.classes = classes;
    const layers = (width: number) =>
      inChannels.map(
        (channels, level) => new PredictionLayer(channels, anchorsPerCell[level] * width, batchNorm, random),
      );
    this.classification = layers(classes + 1);
    this.regression = layers(4);
  }

  /** @param maps one `[B, H, W, C]` a level. Returns predictions for all anchors; the caller disposes them. */
  forward(maps: readonly tf.Tensor4D[], context: ForwardContext): SsdPredictions {
    return tf.tidy(() => {
      const flat = (layers: PredictionLayer[], width: number) =>
        joinLevels(
          maps.map((map, level) => layers[level].forward(map, context)),
          width,
        );
      return {
        classLogits: flat(this.classification, this.classes + 1),
        boxDeltas: flat(this.regression, 4),
      };
    });
  }
}
