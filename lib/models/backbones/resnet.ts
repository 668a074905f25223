/**
 * Residual networks (He et al., CVPR 2016, section 3.3): ResNet-18, -34, -50 and -101 as torchvision has them, the variants of ResNet-18
 * that ScratchDet tries (Zhu et al., CVPR 2019), and small ones by the same rule. Parameters have torchvision's names (`conv1.weight`,
 * `layer2.0.downsample.1.bias`), less its classifier.
 *
 * Departure, torchvision's: a bottleneck that halves the map does so in its 3x3 convolution, not in its first 1x1 ("version 1.5").
 */
import { BatchNorm2d } from '../../nn/batch-norm';
import { Conv2d } from '../../nn/conv';
import { kaimingNormalFanOut } from '../../nn/initializers';
import { type ForwardContext, Module } from '../../nn/module';
import type { RecomputePlan } from '../../nn/recompute-plan';
import { type MapLayer, runSegments } from '../../nn/run-segments';
import { type Layer, runLayers } from '../../nn/sequential';
import { relu } from '../../tensor/kernels/activations';
import { sumOf } from '../../tensor/kernels/linear';
import { maxPool2d } from '../../tensor/kernels/pool';
import type { Random } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import type { Backbone } from './backbone';

/** What stands before the first stage: convolutions with batch norm and ReLU, then a max-pool if wanted. */
export interface ResNetStem {
  readonly kernel: number;
  /** Of the first convolution; the others have 1. */
  readonly stride: 1 | 2;
  /** How many convolutions, each as wide as the first stage. Default 1. */
  readonly convolutions?: 1 | 2 | 3;
  /** A max-pool of stride 2. */
  readonly pool: boolean;
  /** The pool's window: 3 with padding 1 (default), or 2 without. Either halves an odd size upwards. */
  readonly poolKernel?: 2 | 3;
}

/** The stems in use. */
export const resNetStems: Readonly<
  Record<'quarter' | 'half' | 'full' | 'unpooled' | 'unstrided' | 'root', ResNetStem>
> = {
  /** 7x7 of stride 2 and a pool: ImageNet's. */
  quarter: { kernel: 7, stride: 2, pool: true },
  /** 3x3 of stride 2. */
  half: { kernel: 3, stride: 2, pool: false },
  /** 3x3 of stride 1: for images of a few dozen pixels. */
  full: { kernel: 3, stride: 1, pool: false },
  /** ScratchDet's ResNet-18-A: ImageNet's without the pool, the second of its two halvings. */
  unpooled: { kernel: 7, stride: 2, pool: false },
  /** ScratchDet's ResNet-18-B: ImageNet's without the stride, the first of its two halvings. The image is sampled in full. */
  unstrided: { kernel: 7, stride: 1, pool: true },
  /** ScratchDet's root block: three 3x3 of stride 1 instead of the 7x7, and a 2x2 pool. */
  root: { kernel: 3, stride: 1, convolutions: 3, pool: true, poolKernel: 2 },
};

/** What a residual network is made of. */
export interface ResNetConfig {
  readonly stem: ResNetStem;
  /** Width of each stage, one to four; the stem has that of the first. */
  readonly widths: readonly number[];
  /** Blocks of each stage. The first block of every stage but the first has stride 2. */
  readonly blocks: readonly number[];
  /** Two 3x3 convolutions, or 1x1, 3x3 and 1x1, whose output is four times as wide. Default `basic`. */
  readonly block?: 'basic' | 'bottleneck';
}

/** ResNet-18: 11,176,512 parameters without the classifier. */
export const resNet18: ResNetConfig = {
  stem: resNetStems.quarter,
  widths: [64, 128, 256, 512],
  blocks: [2, 2, 2, 2],
};

/** ResNet-34: 21,284,672 parameters without the classifier. */
export const resNet34: ResNetConfig = { ...resNet18, blocks: [3, 4, 6, 3] };

/** ScratchDet's ResNet-18-A: as ResNet-18, but every map twice as large. 11,176,512 parameters. */
export const resNet18A: ResNetConfig = { ...resNet18, stem: resNetStems.unpooled };

/** ScratchDet's ResNet-18-B: maps as large as ResNet-18-A's, but nothing halves the image before it is looked at. 11,176,512 parameters. */
export const resNet18B: ResNetConfig = { ...resNet18, stem: resNetStems.unstrided };

/** ScratchDet's Root-ResNet-18: 11,242,816 parameters, maps as large as ResNet-18-B's. */
export const rootResNet18: ResNetConfig = { ...resNet18, stem: resNetStems.root };

/** ScratchDet's Root-ResNet-34: 21,350,976 parameters. */
export const rootResNet34: ResNetConfig = { ...resNet34, stem: resNetStems.root };

/** ResNet-50: 23,508,032 parameters without the classifier. */
export const resNet50: ResNetConfig = { ...resNet34, block: 'bottleneck' };

/** ResNet-101: 42,500,160 parameters without the classifier. */
export const resNet101: ResNetConfig = { ...resNet50, blocks: [3, 4, 23, 3] };

/** How many times as wide as its stage a bottleneck's output is. */
const expansion = 4;

/**
 * 3x3 -> 3x3, each with batch norm, plus the input (through a 1x1 of the same stride where shapes differ), then ReLU.
 *
 * `padding` 0 leaves out the first convolution's: the map loses a cell on every side before any stride, and so does the input that is
 * added. The windows of the cells that remain are then those of the padded convolution.
 */
export class BasicBlock extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly downsample?: Layer[];
  readonly padding: 0 | 1;

  constructor(inChannels: number, outChannels: number, stride: 1 | 2, random: Random, padding: 0 | 1 = 1) {
    super();
    this.padding = padding;
    this.conv1 = convolution(inChannels, outChannels, 3, stride, random, padding);
    this.bn1 = new BatchNorm2d({ channels: outChannels });
    this.conv2 = convolution(outChannels, outChannels, 3, 1, random);
    this.bn2 = new BatchNorm2d({ channels: outChannels });
    this.downsample = shortcut(inChannels, outChannels, stride, random);
  }

  /**
   * @param x `[B, H, W, in]`.
   * @returns `[B, ceil(H / stride), ceil(W / stride), out]`, with H - 2 and W - 2 for H and W where `padding` is 0; the caller disposes
   *   it.
   */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => {
      let y = relu(this.bn1.forward(this.conv1.forward(x, context), context));
      y = this.bn2.forward(this.conv2.forward(y, context), context);
      const input = this.padding === 1 ? x : withoutBorder(x);
      return relu(sumOf([y, runLayers(this.downsample ?? [], input, context)]));
    });
  }
}

/**
 * 1x1 to `width` channels, 3x3, 1x1 to four times `width`, each with batch norm, plus the input (through a 1x1 of the same stride
 * where shapes differ), then ReLU.
 */
export class Bottleneck extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly conv3: Conv2d;
  readonly bn3: BatchNorm2d;
  readonly downsample?: Layer[];

  constructor(inChannels: number, width: number, stride: 1 | 2, random: Random) {
    super();
    const outChannels = expansion * width;
    this.conv1 = convolution(inChannels, width, 1, 1, random);
    this.bn1 = new BatchNorm2d({ channels: width });
    this.conv2 = convolution(width, width, 3, stride, random);
    this.bn2 = new BatchNorm2d({ channels: width });
    this.conv3 = convolution(width, outChannels, 1, 1, random);
    this.bn3 = new BatchNorm2d({ channels: outChannels });
    this.downsample = shortcut(inChannels, outChannels, stride, random);
  }

  /** @param x `[B, H, W, in]`. Returns `[B, ceil(H / stride), ceil(W / stride), 4 * width]`; the caller disposes it. */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => {
      let y = relu(this.bn1.forward(this.conv1.forward(x, context), context));
      y = relu(this.bn2.forward(this.conv2.forward(y, context), context));
      y = this.bn3.forward(this.conv3.forward(y, context), context);
      return relu(sumOf([y, runLayers(this.downsample ?? [], x, context)]));
    });
  }
}

/** A residual network. Each stage's map is half as large as the one before; the first is as large as the stem's. */
export class ResNet extends Module implements Backbone {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  /** Second and third convolution of a stem that has them, under the names that ScratchDet's released code gives them. */
  readonly conv2?: Conv2d;
  readonly bn2?: BatchNorm2d;
  readonly conv3?: Conv2d;
  readonly bn3?: BatchNorm2d;
  readonly layer1: Layer[];
  readonly layer2?: Layer[];
  readonly layer3?: Layer[];
  readonly layer4?: Layer[];
  readonly channels: readonly number[];
  readonly config: ResNetConfig;
  /**
   * What training computes twice instead of keeping it (arXiv 1604.06174): for each chain of `chains()` the plan of its segments, as
   * `planResNet` makes them. The stages' maps are kept in any case. Undefined: everything is kept.
   */
  recompute?: readonly RecomputePlan[];

  /** @throws RangeError when widths and blocks don't go together. */
  constructor(config: ResNetConfig, random: Random) {
    super();
    const { stem, widths, blocks, block: kind = 'basic' } = config;
    if (widths.length !== blocks.length || widths.length < 1 || widths.length > 4) {
      throw new RangeError(
        `ResNet: widths [${widths.join(', ')}] and blocks [${blocks.join(', ')}] must have one number a stage, for one to four stages`,
      );
    }
    if (!blocks.every((count) => Number.isInteger(count) && count > 0)) {
      throw new RangeError(`ResNet: a stage has one block or more, got [${blocks.join(', ')}]`);
    }
    this.config = config;
    const Block = kind === 'bottleneck' ? Bottleneck : BasicBlock;
    this.channels = kind === 'bottleneck' ? widths.map((width) => expansion * width) : widths;
    this.conv1 = convolution(3, widths[0], stem.kernel, stem.stride, random);
    this.bn1 = new BatchNorm2d({ channels: widths[0] });
    const { convolutions = 1 } = stem;
    if (convolutions > 1) {
      this.conv2 = convolution(widths[0], widths[0], stem.kernel, 1, random);
      this.bn2 = new BatchNorm2d({ channels: widths[0] });
    }
    if (convolutions > 2) {
      this.conv3 = convolution(widths[0], widths[0], stem.kernel, 1, random);
      this.bn3 = new BatchNorm2d({ channels: widths[0] });
    }
    const stage = (index: number): Layer[] =>
      Array.from({ length: blocks[index] }, (_, block) => {
        const before = index === 0 ? widths[0] : this.channels[index - 1];
        const stride = block === 0 && index > 0 ? 2 : 1;
        return new Block(block === 0 ? before : this.channels[index], widths[index], stride, random);
      });
    this.layer1 = stage(0);
    if (widths.length > 1) this.layer2 = stage(1);
    if (widths.length > 2) this.layer3 = stage(2);
    if (widths.length > 3) this.layer4 = stage(3);
  }

  /** The layers in their order, a chain a stage: its blocks, before those of the first stage the stem. */
  chains(): MapLayer[][] {
    const stem: MapLayer = {
      forward: (x, context) => this.stem(x, context),
      parameters: () =>
        [this.conv1, this.bn1, this.conv2, this.bn2, this.conv3, this.bn3].flatMap(
          (layer) => layer?.parameters() ?? [],
        ),
    };
    const stages = [this.layer1, this.layer2, this.layer3, this.layer4].filter(
      (layer) => layer !== undefined,
    );
    return stages.map((blocks, stage) => (stage === 0 ? [stem, ...blocks] : blocks));
  }

  /**
   * @param x `[B, H, W, 3]`.
   * @returns one `[B, H_i, W_i, channels[i]]` a stage; the caller disposes them.
   * @throws RangeError when `recompute` is not for this network.
   */
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    const { recompute } = this;
    const chains = this.chains();
    if (recompute && recompute.length !== chains.length) {
      throw new RangeError(
        `ResNet: recompute has ${recompute.length} plans for ${chains.length} stages; give one a stage (planResNet)`,
      );
    }
    return tf.tidy(() => {
      let y = x;
      return chains.map((chain, stage) => {
        if (!recompute) return (y = runLayers(chain, y, context));
        y = runSegments(chain, y, context, recompute[stage]);
        // Handed out as a tensor of its own: so the parts of the map's gradient are added in one order, whatever is recomputed.
        return y.clone();
      });
    });
  }

  private stem(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => {
      let y = relu(this.bn1.forward(this.conv1.forward(x, context), context));
      if (this.conv2 && this.bn2) y = relu(this.bn2.forward(this.conv2.forward(y, context), context));
      if (this.conv3 && this.bn3) y = relu(this.bn3.forward(this.conv3.forward(y, context), context));
      const { pool, poolKernel = 3 } = this.config.stem;
      if (!pool) return y;
      const window = poolKernel === 2 ? { kernel: 2, ceil: true } : { kernel: 3, padding: 1 };
      return maxPool2d(y, { stride: 2, ...window });
    });
  }

  /** Cells a side of each stage's map; an odd size is halved upwards. */
  mapSizes(inputSize: number): number[] {
    const { stem, widths } = this.config;
    let size = Math.ceil(inputSize / stem.stride);
    if (stem.pool) size = Math.ceil(size / 2);
    return widths.map((_, index) => (index === 0 ? size : (size = Math.ceil(size / 2))));
  }
}

/** What the input goes through before it is added: nothing where shapes agree. */
function shortcut(
  inChannels: number,
  outChannels: number,
  stride: 1 | 2,
  random: Random,
): Layer[] | undefined {
  if (stride === 1 && inChannels === outChannels) return undefined;
  return [
    convolution(inChannels, outChannels, 1, stride, random),
    new BatchNorm2d({ channels: outChannels }),
  ];
}

function convolution(
  inChannels: number,
  outChannels: number,
  kernel: number,
  stride: number,
  random: Random,
  padding?: number,
): Conv2d {
  return new Conv2d(
    { inChannels, outChannels, kernel, stride, padding, bias: false, initializer: kaimingNormalFanOut },
    random,
  );
}

/** The map less its outermost cells. */
function withoutBorder(x: tf.Tensor4D): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  return tf.slice(x, [0, 1, 1, 0], [batch, height - 2, width - 2, channels]);
}
