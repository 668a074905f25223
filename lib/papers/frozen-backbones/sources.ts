/** Where the trunks of the experiment come from: what each is, how its pixels are normalised, and its weights. */
import path from 'node:path';
import type { Normalization } from '../../data/transforms/normalization';
import type { ChainedBackbone } from '../../models/backbones/adapted-backbone';
import type { Backbone } from '../../models/backbones/backbone';
import { EfficientNet, efficientNetLite0 } from '../../models/backbones/efficientnet';
import { MobileNetV2 } from '../../models/backbones/mobilenet-v2';
import { ResNet, resNet101 } from '../../models/backbones/resnet';
import { efficientNetLite0Pixels, loadImageNetTrunk } from '../../models/imagenet-lite0';
import { loadOpenImagesBackbone, openImagesPixels } from '../../models/open-images/open-images-ssd';
import { mobileNetSsdBackbone } from '../../models/open-images/network';
import { copyWeights } from '../../nn/copy-weights';
import { projectRoot } from '../../tensor/packages';
import type { Random } from '../../tensor/random';
import { importWeights } from '../../weights/import-weights';
import { shippedResNet, shippedTrunkFile } from '../shipped-trunks';

/** Classes by pictures of each: classifiers of drawings, trained by `npm run pretrain`, as long as one another. */
export const drawingSources = [
  'drawings-12x64',
  'drawings-50x64',
  'drawings-200x4',
  'drawings-200x16',
  'drawings-200x64',
] as const;

/** A trunk trained as a classifier of drawings. */
export type DrawingSource = (typeof drawingSources)[number];

/**
 * Where a trunk's weights come from: the small ResNet, trained here as a classifier of drawings; EfficientNet-Lite0, a classifier of ImageNet's
 * 1.2 million photographs; the trunk of a detector of Open Images, MobileNetV2, whose features were learnt by detection; or the paper's
 * ResNet-101, from a file of the reader's own.
 */
export type FrozenSource = DrawingSource | 'imagenet' | 'open-images' | 'file';

/** A trunk's kind. */
export interface FrozenTrunk {
  /** The three stages that pyramids stand on: strides 8, 16 and 32. */
  readonly taps: readonly number[];
  /** How its pixels come in. */
  readonly pixels: Pick<Normalization, 'mean' | 'std'>;
  /** Whether adapters can stand in it. */
  readonly adaptable: boolean;
  /** From random weights; of the Open Images trunk the biases that its batch norm was folded into. */
  build(random: Random): Backbone;
}

const drawings: FrozenTrunk = {
  taps: [1, 2, 3],
  pixels: { mean: [123, 117, 104], std: [58, 58, 58] },
  adaptable: true,
  build: (random): ChainedBackbone => new ResNet(shippedResNet, random),
};

const imageNet: FrozenTrunk = {
  taps: [2, 3, 4],
  pixels: efficientNetLite0Pixels,
  adaptable: true,
  build: (random): ChainedBackbone => new EfficientNet(efficientNetLite0, random),
};

const openImages: FrozenTrunk = {
  taps: [2, 3, 4],
  pixels: openImagesPixels,
  adaptable: false,
  build: (random) => new MobileNetV2({ ...mobileNetSsdBackbone, batchNorm: false, taps: 'outputs' }, random),
};

const resNet101Trunk: FrozenTrunk = {
  taps: [1, 2, 3],
  // torchvision's
  pixels: { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] },
  adaptable: true,
  build: (random): ChainedBackbone => new ResNet(resNet101, random),
};

/** The trunk that a source's weights are of. */
export function frozenTrunk(source: FrozenSource): FrozenTrunk {
  switch (source) {
    case 'imagenet':
      return imageNet;
    case 'open-images':
      return openImages;
    case 'file':
      return resNet101Trunk;
    default:
      return drawings;
  }
}

/** What a classifier of drawings was shown: classes, and pictures of each. */
export function drawingsUpstream(source: DrawingSource): {
  readonly classes: number;
  readonly perClass: number;
} {
  const [classes, perClass] = source.slice('drawings-'.length).split('x').map(Number);
  return { classes, perClass };
}

/** The file of a classifier of drawings. */
export function drawingsFile(source: DrawingSource): string {
  if (source === 'drawings-200x64') return shippedTrunkFile('resnet');
  return path.join(
    projectRoot,
    'data',
    'weights',
    'frozen-backbones',
    `resnet-${source.slice('drawings-'.length)}.safetensors`,
  );
}

/**
 * Gives a trunk a source's weights.
 * @param file of `file`: anything that `importWeights` reads, such as torchvision's ResNet-101.
 * @throws where a file is asked for and none is given; what `loadOpenImagesBackbone` throws, for `open-images`: its file is downloaded when it
 *   is first asked for.
 */
export async function loadFrozenSource(source: FrozenSource, trunk: Backbone, file?: string): Promise<void> {
  if (source === 'imagenet') return loadImageNetTrunk(trunk);
  if (source === 'file') {
    if (file === undefined) {
      throw new Error(
        'loadFrozenSource: the trunk of this recipe comes from a file, and none is given; set the recipe’s weights to one of ResNet-101, such as ' +
          'torchvision’s, or take the source imagenet',
      );
    }
    await importWeights(trunk, file);
    return;
  }
  if (source !== 'open-images') {
    await importWeights(trunk, drawingsFile(source));
    return;
  }
  const loaded = await loadOpenImagesBackbone();
  copyWeights(loaded, trunk);
  loaded.dispose();
}
