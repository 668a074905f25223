/**
 * The layers behind an SSD's trunk, each of which adds a coarser detection map: SSD's pairs of convolutions (Liu et al., ECCV 2016, section
 * 2.1), or basic residual blocks in their place (ScratchDet, Zhu et al., CVPR 2019: fewer parameters, the same accuracy).
 */
import { ConvBlock } from '../nn/conv-block';
import type { Layer } from '../nn/sequential';
import type { Random } from '../tensor/random';
import { BasicBlock } from './backbones/resnet';

/** SSD's extra layer: 1x1 to `squeeze` channels, then 3x3 to `channels`. */
export interface ExtraLayer {
  readonly squeeze: number;
  readonly channels: number;
  readonly stride: 1 | 2;
  readonly padding: 0 | 1;
  /** Side of the second window. Default 3; the last layer of SSD512 has 4. */
  readonly kernel?: 3 | 4;
  /** Side of the first window. Default 1. */
  readonly squeezeKernel?: 1 | 3;
}

/** ScratchDet's extra layer: a `BasicBlock`, whose batch norm is no option. */
export interface ResidualExtra {
  readonly block: 'residual';
  readonly channels: number;
  readonly stride: 1 | 2;
  /** Of the first of its two convolutions. Without it the block adds the middle of its input. */
  readonly padding: 0 | 1;
}

/** An extra layer of either kind. */
export type SsdExtra = ExtraLayer | ResidualExtra;

/**
 * SSD's extra layers from a map of `mapSize` cells a side down to one cell, each halving the map: by stride 2, or where 5, 3 or 2 cells are
 * left by a window that has no room to stride, as SSD300 (5 to 3 to 1) and SSD512 (2 to 1, 4x4 with padding 1) do it.
 * @param first channels of the first layer, 512 in SSD.
 * @param rest channels of the others. Default: half of `first`.
 */
export function convolutionalExtras(
  mapSize: number,
  first: number,
  rest: number = Math.ceil(first / 2),
): ExtraLayer[] {
  return downToOne(mapSize, (size, index) => {
    const channels = index === 0 ? first : rest;
    const layer: ExtraLayer = { squeeze: Math.ceil(channels / 2), channels, stride: 2, padding: 1 };
    if (size === 2) return { ...layer, stride: 1, kernel: 4 };
    return size === 3 || size === 5 ? { ...layer, stride: 1, padding: 0 } : layer;
  });
}

/**
 * Residual extra layers from a map of `mapSize` cells a side down to one cell.
 *
 * ScratchDet's text has maps of 10, 5, 3 and 1 cells; of its two released codes one ends with 3 and 3, the other with 5 and 5
 * (`releasedResidualExtras`). This is the text's: strides of 2, and from 3 cells to 1 a block without padding. Neither the text nor the
 * codes say how such a block adds its input; the middle cell is taken, which has no parameters, so that the number of parameters is that of
 * the released code with 3 and 3. From 2 cells to 1 goes what the code for 512 pixels has: a 3x3 convolution, then a 4x4 with padding 1.
 */
export function residualExtras(mapSize: number, channels: number): SsdExtra[] {
  return downToOne<SsdExtra>(mapSize, (size) => {
    if (size === 2)
      return { squeeze: channels, squeezeKernel: 3, channels, stride: 1, padding: 1, kernel: 4 };
    const small = size === 3;
    return { block: 'residual', channels, stride: small ? 1 : 2, padding: small ? 0 : 1 };
  });
}

/**
 * The four residual extra layers of ScratchDet's released codes for 300 pixels. `mmdetection`'s strides give maps of 10, 5, 3 and 3 cells
 * (8764 anchors), `caffe`'s 10, 5, 5 and 5 (8892). Both codes space the last map's anchors 300 pixels apart as if it had one cell, so that
 * most of them lie outside the image: one more reason why the text's maps are the default.
 *
 * Departure: Caffe's blocks are of the pre-activation kind (batch norm and ReLU before each convolution, none on the sum, no batch norm on a
 * shortcut's 1x1), in the trunk as well, and its head reads the last convolution of a block before the sum. The blocks here are
 * mmdetection's, with the ReLU after the sum, and the head reads the block's output.
 */
export function releasedResidualExtras(code: 'mmdetection' | 'caffe', channels: number): ResidualExtra[] {
  const strides = code === 'caffe' ? ([2, 2, 1, 1] as const) : ([2, 2, 2, 1] as const);
  return strides.map((stride) => ({ block: 'residual', channels, stride, padding: 1 }));
}

/** Cells a side of an extra layer's map; 0 or less where the map before is too small for its windows. */
export function extraMapSize(extra: SsdExtra, mapSize: number): number {
  const { stride, padding } = extra;
  const kernel = 'block' in extra ? 3 : (extra.kernel ?? 3);
  return Math.floor((mapSize + 2 * padding - kernel) / stride) + 1;
}

/**
 * Builds an extra layer.
 * @throws RangeError for a residual one without batch norm.
 */
export function buildExtra(
  extra: SsdExtra,
  options: { readonly inChannels: number; readonly batchNorm: boolean },
  random: Random,
): Layer[] {
  const { inChannels, batchNorm } = options;
  const { channels, stride, padding } = extra;
  if ('block' in extra) {
    if (!batchNorm) {
      throw new RangeError(
        'buildExtra: residual extra layers have batch norm; switch it on in the backbone, or take convolutional ones',
      );
    }
    return [new BasicBlock(inChannels, channels, stride, random, padding)];
  }
  const { squeeze, squeezeKernel = 1, kernel = 3 } = extra;
  return [
    new ConvBlock({ inChannels, outChannels: squeeze, kernel: squeezeKernel, batchNorm }, random),
    new ConvBlock({ inChannels: squeeze, outChannels: channels, kernel, stride, padding, batchNorm }, random),
  ];
}

function downToOne<T extends SsdExtra>(mapSize: number, layer: (size: number, index: number) => T): T[] {
  const layers: T[] = [];
  for (let size = mapSize; size > 1;) {
    const next = layer(size, layers.length);
    layers.push(next);
    size = extraMapSize(next, size);
  }
  return layers;
}
