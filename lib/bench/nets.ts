/**
 * The networks of the benchmark, as data that every rival builds from: small single-shot detectors of 20 classes on a residual
 * trunk, on EfficientNet's blocks, and on shuffle blocks.
 */
import { gridAnchors, type AnchorSet } from '../boxes/anchors';
import type { Backbone } from '../models/backbones/backbone';
import { ResNet, resNetStems } from '../models/backbones/resnet';
import { Ssd } from '../models/ssd';
import type { ExtraLayer } from '../models/ssd-extras';
import { BatchNorm2d } from '../nn/batch-norm';
import { Conv2d } from '../nn/conv';
import { efficientNetNorm, MBConv } from '../nn/mbconv';
import { type ForwardContext, Module } from '../nn/module';
import { type Layer, Relu, runLayers } from '../nn/sequential';
import { ShuffleBlock, shuffleBlockKinds } from '../nn/shuffle-block';
import { swish } from '../tensor/kernels/activations';
import { createRandom, type Random } from '../tensor/random';
import { tf } from '../tensor/tf';

/** The kinds of network. */
export const netNames = ['resnet', 'mbconv', 'shuffle'] as const;

/** A kind of network. */
export type NetName = (typeof netNames)[number];

/** One block of a trunk, with all that a rival needs to build it. */
export interface BlockPlan {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly stride: 1 | 2;
  /** Of the depthwise window (`mbconv`). */
  readonly kernel: number;
  /** `mbconv` only. */
  readonly expand: number;
  /** DetNAS's number of the choice, 0 to 3 (`shuffle` only). */
  readonly choice: number;
}

/** A detector: a 3x3 convolution of stride 2, stages of blocks, extra layers, SSD's heads. */
export interface NetPlan {
  readonly net: NetName;
  readonly inputSize: number;
  readonly classes: number;
  /** Channels of the first convolution. */
  readonly stem: number;
  readonly stages: readonly (readonly BlockPlan[])[];
  /** Stages whose map is predicted on. */
  readonly taps: readonly number[];
  readonly extras: readonly ExtraLayer[];
  readonly anchorsPerCell: readonly number[];
}

interface StagePlan {
  readonly channels: number;
  readonly blocks: number;
  readonly stride: 1 | 2;
  readonly kernel?: number;
  readonly expand?: number;
  readonly choices?: readonly number[];
}

/** Stem and stages; `blocks` is multiplied by the depth. */
const trunks: Readonly<
  Record<NetName, { stem: number; stages: readonly StagePlan[]; taps: readonly number[] }>
> = {
  // ResNet-18 at half its width.
  resnet: {
    stem: 32,
    stages: [
      { channels: 32, blocks: 2, stride: 1 },
      { channels: 64, blocks: 2, stride: 2 },
      { channels: 128, blocks: 2, stride: 2 },
      { channels: 256, blocks: 2, stride: 2 },
    ],
    taps: [1, 2, 3],
  },
  // EfficientNet-B0 up to the fifth of its seven stages.
  mbconv: {
    stem: 32,
    stages: [
      { channels: 16, blocks: 1, stride: 1, kernel: 3, expand: 1 },
      { channels: 24, blocks: 2, stride: 2, kernel: 3, expand: 6 },
      { channels: 40, blocks: 2, stride: 2, kernel: 5, expand: 6 },
      { channels: 80, blocks: 3, stride: 2, kernel: 3, expand: 6 },
      { channels: 112, blocks: 3, stride: 1, kernel: 5, expand: 6 },
    ],
    taps: [1, 2, 4],
  },
  // DetNAS's small space with the choices of COCO-FPN-300M, less the last stage.
  shuffle: {
    stem: 16,
    stages: [
      { channels: 64, blocks: 4, stride: 2, choices: [2, 1, 2, 0] },
      { channels: 160, blocks: 4, stride: 2, choices: [2, 1, 1, 2] },
      { channels: 320, blocks: 8, stride: 2, choices: [3, 3, 1, 3, 0, 0, 3, 1] },
    ],
    taps: [0, 1, 2],
  },
};

/**
 * A plan that every rival understands.
 * @param depth how many times as many blocks each stage has.
 */
export function planNet(net: NetName, inputSize: number, depth: number = 1): NetPlan {
  const { stem, stages, taps } = trunks[net];
  let inChannels = stem;
  return {
    net,
    inputSize,
    classes: 20,
    stem,
    stages: stages.map(({ channels, blocks, stride, kernel = 3, expand = 1, choices = [0] }) =>
      Array.from({ length: Math.max(1, Math.round(blocks * depth)) }, (_, index): BlockPlan => {
        const from = inChannels;
        inChannels = channels;
        return {
          inChannels: from,
          outChannels: channels,
          stride: index === 0 ? stride : 1,
          kernel,
          expand,
          choice: choices[index % choices.length],
        };
      }),
    ),
    taps,
    extras: [{ squeeze: 64, channels: 128, stride: 2, padding: 1 }],
    anchorsPerCell: [4, 6, 6, 4],
  };
}

/** The plan built from this library's layers, its weights drawn from a fixed seed. */
export function buildNet(plan: NetPlan): Ssd {
  const { inputSize, classes, taps, extras, anchorsPerCell } = plan;
  return new Ssd(
    {
      inputSize,
      backbone: (random) => buildTrunk(plan, random),
      taps,
      extras,
      anchorsPerCell,
      classes,
      batchNorm: { backbone: true, head: false },
    },
    createRandom(`bench/${plan.net}`),
  );
}

/** The anchors that a plan's predictions refer to. */
export function netAnchors(plan: NetPlan, mapSizes: readonly number[]): AnchorSet {
  return gridAnchors({
    imageWidth: plan.inputSize,
    imageHeight: plan.inputSize,
    maps: mapSizes.map((size) => [size, size]),
    scales: [0.15, 0.9],
    ratios: plan.anchorsPerCell.map((count) => (count === 6 ? [2, 3] : [2])),
  });
}

function buildTrunk(plan: NetPlan, random: Random): Backbone {
  if (plan.net !== 'resnet') return new StagedTrunk(plan, random);
  const widths = plan.stages.map((blocks) => blocks[0].outChannels);
  const counts = plan.stages.map((blocks) => blocks.length);
  return new ResNet({ stem: resNetStems.half, widths, blocks: counts }, random);
}

class Swish extends Module {
  forward(x: tf.Tensor4D): tf.Tensor4D {
    return swish(x);
  }
}

/** A trunk of stages of one kind of block. */
class StagedTrunk extends Module implements Backbone {
  readonly stem: Layer[];
  readonly stages: Layer[][];
  readonly channels: readonly number[];
  private readonly strides: readonly number[];

  constructor({ net, stem, stages }: NetPlan, random: Random) {
    super();
    const norm = net === 'mbconv' ? efficientNetNorm : {};
    this.stem = [
      new Conv2d({ inChannels: 3, outChannels: stem, kernel: 3, stride: 2, bias: false }, random),
      new BatchNorm2d({ channels: stem, ...norm }),
      net === 'mbconv' ? new Swish() : new Relu(),
    ];
    this.stages = stages.map((blocks) =>
      blocks.map((block) =>
        net === 'mbconv'
          ? new MBConv({ ...block, padding: 'symmetric' }, random)
          : new ShuffleBlock({ ...block, kind: shuffleBlockKinds[block.choice] }, random),
      ),
    );
    this.channels = stages.map((blocks) => blocks[0].outChannels);
    this.strides = stages.map((blocks) => blocks[0].stride);
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    return tf.tidy(() => {
      let y = runLayers(this.stem, x, context);
      return this.stages.map((blocks) => (y = runLayers(blocks, y, context)));
    });
  }

  mapSizes(inputSize: number): number[] {
    let size = Math.ceil(inputSize / 2);
    return this.strides.map((stride) => (size = Math.ceil(size / stride)));
  }
}
