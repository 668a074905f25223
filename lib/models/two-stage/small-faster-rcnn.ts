/** A two-stage detector of a size that trains from scratch on two processor cores. */
import type { Random } from '../../tensor/random';
import { ResNet, resNetStems } from '../backbones/resnet';
import type { CascadeOptions } from './cascade-heads';
import { FasterRcnn } from './faster-rcnn';
import { createFasterRcnnDetector, type FasterRcnnDetector } from './faster-rcnn-detector';

/** Options of `smallFasterRcnn`. */
export interface SmallFasterRcnnOptions {
  /** Of the network's input, pixels. Made for about 320 by 240. */
  readonly inputSize: { readonly width: number; readonly height: number };
  readonly classes: number;
  /** Makes the second stage a cascade; `{}` is the paper's. */
  readonly cascade?: CascadeOptions;
  /** For each of the five levels the square roots of its anchors' areas, pixels. Default 16, 32, 64, 128, 256. */
  readonly anchorSizes?: readonly (readonly number[])[];
}

/**
 * Faster R-CNN on half as wide a ResNet-18, 3.9 million parameters; everything else is the published detector with smaller numbers:
 * - pyramid of 64 channels (256), with batch normalisation, as it is trained from scratch;
 * - anchors half as large, and regions of 112 pixels (224) read from the level of stride 16, as the input is half as large or less;
 * - 200 anchors a level decoded, 200 proposals (2000), at inference 100 (1000);
 * - 64 regions an image to learn from (512), and fully connected layers of 256 (1024);
 * - room for 64 objects an image.
 */
export function smallFasterRcnn(options: SmallFasterRcnnOptions, random: Random): FasterRcnnDetector {
  const { inputSize, classes, cascade, anchorSizes = [[16], [32], [64], [128], [256]] } = options;
  const model = new FasterRcnn(
    {
      backbone: (r) =>
        new ResNet({ stem: resNetStems.quarter, widths: [32, 64, 128, 256], blocks: [2, 2, 2, 2] }, r),
      outChannels: 64,
      batchNorm: true,
      classes,
      anchorSizes,
      proposals: {
        training: { preNmsTop: 200, postNmsTop: 200 },
        inference: { preNmsTop: 200, postNmsTop: 100 },
      },
      pooling: { canonicalSize: 112 },
      features: 256,
      cascade,
    },
    random,
  );
  return createFasterRcnnDetector(model, {
    inputSize,
    regionLoss: { sample: { size: 64, positiveFraction: 0.25 } },
    maxObjects: 64,
  });
}
