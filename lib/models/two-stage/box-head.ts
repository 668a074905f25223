/**
 * The second stage's layers (Girshick, ICCV 2015, section 2; on a pyramid: Lin et al., CVPR 2017, section 4.2): two fully connected ones on
 * a pooled region, then its class and its box. The layers' names are torchvision's.
 */
import { Conv2d } from '../../nn/conv';
import { type Initializer, normal } from '../../nn/initializers';
import { Linear } from '../../nn/linear';
import { type ForwardContext, Module } from '../../nn/module';
import { relu } from '../../tensor/kernels/activations';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';

/** What the layers say of R regions. (A type, so that `tf.tidy` takes it.) */
export type BoxHeadPredictions = {
  /** `[R, C + 1]` before the softmax, background at index 0. */
  readonly classLogits: tf.Tensor2D;
  /** `[R, (C + 1) * 4]` offsets, a box a class, or `[R, 4]`. */
  readonly boxDeltas: tf.Tensor2D;
};

/** Options of the layers. */
export interface BoxHeadOptions {
  /** Channels of a pooled region. */
  readonly channels: number;
  /** Its rows and columns. */
  readonly window: number;
  /** Outputs of both fully connected layers. Default 1024. */
  readonly features?: number;
  /** Classes without the background. */
  readonly classes: number;
  /** One box for all classes, in place of one a class. Default false. */
  readonly classAgnostic?: boolean;
}

/** A fully connected layer over a whole map: a convolution whose window is the map, computed as one product. */
class WindowLinear extends Conv2d {
  override forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    const [height, width, inChannels, outChannels] = this.weight.shape;
    const output = tf.tidy(() => {
      const flat = x.reshape<tf.Tensor2D>([-1, height * width * inChannels]);
      const y = tf.matMul(flat, this.weight.reshape<tf.Tensor2D>([-1, outChannels]));
      return (this.bias ? tf.add(y, this.bias) : y).reshape<tf.Tensor4D>([-1, 1, 1, outChannels]);
    });
    const multiplyAdds = x.size * outChannels;
    context.trace?.({ module: this, inputShape: x.shape, outputShape: output.shape, output, multiplyAdds });
    return output;
  }
}

/** Uniform with variance 1 / fanIn, Detectron2's `c2_xavier_fill`. */
const fullyConnected: Initializer = (shape, random) => {
  const limit = Math.sqrt(3 / shape.slice(0, -1).reduce((product, size) => product * size, 1));
  return tf.tensor(
    Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, () =>
      random.uniform(-limit, limit),
    ),
    [...shape],
  );
};

/** Two fully connected layers, each with a ReLU. */
export class TwoMlpHead extends Module {
  /** `[window, window, channels, features]`; PyTorch stores `[features, channels * window * window]`, which loads into it. */
  readonly fc6: Conv2d;
  readonly fc7: Linear;

  constructor({ channels, window, features = 1024 }: BoxHeadOptions, random: Random) {
    super();
    this.fc6 = new WindowLinear(
      {
        inChannels: channels,
        outChannels: features,
        kernel: window,
        padding: 0,
        initializer: fullyConnected,
      },
      random,
    );
    this.fc7 = new Linear(
      { inFeatures: features, outFeatures: features, initializer: fullyConnected },
      random,
    );
  }

  /** @param x `[R, window, window, channels]`. Returns `[R, features]`; the caller disposes it. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor2D {
    return tf.tidy(() => {
      const y = relu(this.fc6.forward(x, context)).reshape<tf.Tensor2D>([
        x.shape[0],
        this.fc7.weight.shape[0],
      ]);
      return relu(this.fc7.forward(y, context));
    });
  }
}

/** Class scores and boxes; weights from N(0, 0.01) and N(0, 0.001), as Fast R-CNN has them (torchvision keeps PyTorch's defaults). */
export class FastRcnnPredictor extends Module {
  readonly cls_score: Linear;
  readonly bbox_pred: Linear;

  constructor({ features = 1024, classes, classAgnostic = false }: BoxHeadOptions, random: Random) {
    super();
    const layer = (outFeatures: number, deviation: number): Linear =>
      new Linear({ inFeatures: features, outFeatures, initializer: normal(deviation) }, random);
    this.cls_score = layer(classes + 1, 0.01);
    this.bbox_pred = layer(classAgnostic ? 4 : 4 * (classes + 1), 0.001);
  }

  /** @param x `[R, features]`. The caller disposes the result. */
  forward(x: tf.Tensor2D, context: ForwardContext): BoxHeadPredictions {
    return { classLogits: this.cls_score.forward(x, context), boxDeltas: this.bbox_pred.forward(x, context) };
  }
}
