/** Image classifiers on a detector's trunks: for training a trunk, for reading published weights, for comparing published costs. */
import { BatchNorm2d, type BatchNorm2dOptions } from '../nn/batch-norm';
import { Conv2d } from '../nn/conv';
import { ConvBlock } from '../nn/conv-block';
import { Dropout } from '../nn/dropout';
import { kaimingNormalFanOut, normal } from '../nn/initializers';
import { Linear } from '../nn/linear';
import { efficientNetActivations, efficientNetNorm } from '../nn/mbconv';
import { type ForwardContext, Module } from '../nn/module';
import { relu } from '../tensor/kernels/activations';
import { globalAveragePool2d } from '../tensor/kernels/global-pool';
import { maxPool2d } from '../tensor/kernels/pool';
import { nearest } from '../tensor/nearest';
import type { Random } from '../tensor/random';
import { tf } from '../tensor/tf';
import type { Backbone } from './backbones/backbone';
import {
  EfficientNet,
  type EfficientNetConfig,
  efficientNetLite0,
  efficientNets,
  scaledChannels,
} from './backbones/efficientnet';
import { MobileNetV2 } from './backbones/mobilenet-v2';
import { ResNet, resNet101, resNet18, resNet34, resNet50, type ResNetConfig } from './backbones/resnet';
import { ShuffleNetV2, type ShuffleNetV2Config, shuffleNetsV2 } from './backbones/shufflenet';
import { Vgg } from './backbones/vgg';

/** What stands behind the trunk's last map. */
export interface ClassifierConfig {
  readonly classes: number;
  /** A 1x1 convolution with batch norm and activation: EfficientNet's and ShuffleNetV2's. */
  readonly conv?: {
    readonly channels: number;
    readonly activation: 'relu' | 'relu6' | 'swish';
    readonly norm?: Omit<BatchNorm2dOptions, 'channels'>;
  };
  /**
   * VGG's: a 2x2 max-pool, then its two fully connected layers of so many channels, each with ReLU and dropout. The first one sees a
   * window of `window` x `window` cells. They are convolutions here, so that larger images are classified densely and averaged (Simonyan
   * and Zisserman, section 3.2).
   */
  readonly hidden?: { readonly channels: number; readonly window: number };
  /** Share of values that training drops before each fully connected layer but VGG's first. Default 0. */
  readonly dropout?: number;
}

/** A trunk, and class scores from the average of its last map. */
export class Classifier extends Module {
  readonly backbone: Backbone;
  readonly conv?: Conv2d;
  readonly bn?: BatchNorm2d;
  readonly hidden?: ConvBlock[];
  readonly fc: Linear;
  private readonly dropout: Dropout;
  private readonly activation: <T extends tf.Tensor>(x: T) => T;

  constructor(backbone: Backbone, config: ClassifierConfig, random: Random) {
    super();
    const { classes, conv, hidden, dropout = 0 } = config;
    this.backbone = backbone;
    this.activation = { relu, ...efficientNetActivations }[conv?.activation ?? 'relu'];
    let channels = backbone.channels[backbone.channels.length - 1];
    if (conv) {
      const options = { inChannels: channels, outChannels: conv.channels, kernel: 1, bias: false };
      this.conv = new Conv2d({ ...options, initializer: kaimingNormalFanOut }, random);
      this.bn = new BatchNorm2d({ channels: conv.channels, ...conv.norm });
      ({ channels } = conv);
    }
    if (hidden) {
      this.hidden = [hidden.window, 1].map((kernel) => {
        const block = new ConvBlock(
          {
            inChannels: channels,
            outChannels: hidden.channels,
            kernel,
            padding: 0,
            initializer: normal(0.01),
          },
          random,
        );
        ({ channels } = hidden);
        return block;
      });
    }
    this.fc = new Linear({ inFeatures: channels, outFeatures: classes, initializer: normal(0.01) }, random);
    this.dropout = new Dropout(dropout);
  }

  /**
   * @param x `[B, H, W, 3]`, normalised.
   * @returns `[B, classes]` scores before the softmax; the caller disposes them.
   * @throws RangeError for an image too small for VGG's fully connected layers, which see 7x7 cells: 224 pixels.
   */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor2D {
    return tf.tidy(() => {
      const maps = this.backbone.forward(x, context);
      let y = maps[maps.length - 1];
      if (this.conv && this.bn) y = this.activation(this.bn.forward(this.conv.forward(y, context), context));
      if (this.hidden) {
        y = maxPool2d(y, { kernel: 2, stride: 2 });
        const [window] = this.hidden[0].conv.weight.shape;
        if (Math.min(y.shape[1], y.shape[2]) < window) {
          throw new RangeError(
            `Classifier: an image of ${x.shape[1]}x${x.shape[2]} leaves ${y.shape[1]}x${y.shape[2]} cells for fully connected layers ` +
              `that see ${window}x${window}; give a larger image`,
          );
        }
        for (const block of this.hidden) y = this.dropout.forward(block.forward(y, context), context);
      }
      const [batch, , , channels] = y.shape;
      const pooled = globalAveragePool2d(y).reshape<tf.Tensor2D>([batch, channels]);
      return this.fc.forward(this.hidden ? pooled : this.dropout.forward(pooled, context), context);
    });
  }
}

/** Networks that were published as classifiers of ImageNet's 1000 classes. */
export const classifierNames = [
  'vgg16',
  'vgg16-bn',
  'resnet18',
  'resnet34',
  'resnet50',
  'resnet101',
  'efficientnet-b0',
  'efficientnet-b1',
  'efficientnet-b2',
  'efficientnet-b3',
  'efficientnet-b4',
  'efficientnet-b5',
  'efficientnet-b6',
  'efficientnet-b7',
  'efficientnet-lite0',
  'shufflenet-v2-x0.5',
  'shufflenet-v2-x1.0',
  'shufflenet-v2-x1.5',
  'shufflenet-v2-x2.0',
  'mobilenet-v2',
] as const;

/** One of `classifierNames`. */
export type ClassifierName = (typeof classifierNames)[number];

type Build = (classes: number, random: Random) => Classifier;

const vgg16 =
  (batchNorm: boolean): Build =>
  (classes, random) => {
    const stages = [
      [64, 64],
      [128, 128],
      [256, 256, 256],
      [512, 512, 512],
      [512, 512, 512],
    ];
    const head = { classes, hidden: { channels: 4096, window: 7 }, dropout: 0.5 };
    return new Classifier(new Vgg({ stages, batchNorm }, random), head, random);
  };

const resNet =
  (config: ResNetConfig): Build =>
  (classes, random) =>
    new Classifier(new ResNet(config, random), { classes }, random);

const efficientNet =
  ({ dropout, ...config }: EfficientNetConfig & { dropout: number }): Build =>
  (classes, random) => {
    const channels = config.fixedEnds ? 1280 : scaledChannels(1280, config.width);
    const head = {
      classes,
      conv: { channels, activation: config.activation ?? 'swish', norm: efficientNetNorm },
      dropout,
    } as const;
    return new Classifier(new EfficientNet({ ...config, stochasticDepth: 0.2 }, random), head, random);
  };

const shuffleNet =
  (config: ShuffleNetV2Config): Build =>
  (classes, random) => {
    const head = { classes, conv: { channels: config.last, activation: 'relu' } } as const;
    return new Classifier(new ShuffleNetV2(config, random), head, random);
  };

// The trunk has the 1x1 convolution itself, as torchvision's.
const mobileNetV2: Build = (classes, random) =>
  new Classifier(new MobileNetV2({}, random), { classes, dropout: 0.2 }, random);

const builders: Readonly<Record<ClassifierName, Build>> = {
  vgg16: vgg16(false),
  'vgg16-bn': vgg16(true),
  resnet18: resNet(resNet18),
  resnet34: resNet(resNet34),
  resnet50: resNet(resNet50),
  resnet101: resNet(resNet101),
  'efficientnet-b0': efficientNet(efficientNets.b0),
  'efficientnet-b1': efficientNet(efficientNets.b1),
  'efficientnet-b2': efficientNet(efficientNets.b2),
  'efficientnet-b3': efficientNet(efficientNets.b3),
  'efficientnet-b4': efficientNet(efficientNets.b4),
  'efficientnet-b5': efficientNet(efficientNets.b5),
  'efficientnet-b6': efficientNet(efficientNets.b6),
  'efficientnet-b7': efficientNet(efficientNets.b7),
  'efficientnet-lite0': efficientNet(efficientNetLite0),
  'shufflenet-v2-x0.5': shuffleNet(shuffleNetsV2['x0.5']),
  'shufflenet-v2-x1.0': shuffleNet(shuffleNetsV2['x1.0']),
  'shufflenet-v2-x1.5': shuffleNet(shuffleNetsV2['x1.5']),
  'shufflenet-v2-x2.0': shuffleNet(shuffleNetsV2['x2.0']),
  'mobilenet-v2': mobileNetV2,
};

/**
 * Builds a classifier as it was published: `summarize(buildClassifier('resnet50', random), [224, 224, 3])` gives its parameters and
 * multiply-adds. With batch norm, VGG's convolutions have no bias of their own here, 4,224 numbers less than torchvision's.
 * @param classes default ImageNet's 1000.
 * @throws RangeError for an unknown name, with the nearest known one.
 */
export function buildClassifier(name: ClassifierName, random: Random, classes: number = 1000): Classifier {
  if (!Object.hasOwn(builders, name)) {
    const near = nearest(name, classifierNames);
    throw new RangeError(
      `buildClassifier: there is no "${name}"` +
        (near ? `; did you mean "${near}"?` : `; there are ${classifierNames.join(', ')}`),
    );
  }
  return builders[name](classes, random);
}
