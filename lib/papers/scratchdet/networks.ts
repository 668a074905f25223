/**
 * ScratchDet's networks (Zhu et al., CVPR 2019, arXiv 1810.08425), at the published size and, by the same rules, at any other.
 *
 * Where the text, the released codes (github.com/KimSoybean/ScratchDet, a Caffe and an mmdetection tree) and accounts of the paper differ:
 *
 * - Maps of the residual extra layers: the text's 38, 19, 10, 5, 3, 1 (8732 anchors), not the codes' (`releasedResidualExtras`).
 * - Blocks: with the ReLU after the sum, as in the mmdetection tree, in torchvision and in the figures; the Caffe tree's are of the
 *   pre-activation kind, and are not built here.
 * - Batch norm after max-pools: the text has one after each convolution, the Caffe VGG16 after each max-pool, too. Default: the text's.
 *   Off, the arms that compare where batch norm stands differ in nothing that the text does not name; `poolNorm` gives the Caffe model.
 * - Batch norm in the head: directly after its convolutions without ReLU, as in the mmdetection tree; the text does not say. The Caffe
 *   recipe for VOC has none there, the one for COCO and mmdetection's do. Default: both, with which the paper's best VGG16 was trained.
 * - L2 normalisation of the first map: in the original SSD, not here.
 */
import {
  ResNet,
  resNet18,
  resNet18A,
  resNet18B,
  type ResNetConfig,
  rootResNet18,
  rootResNet34,
} from '../../models/backbones/resnet';
import type { SsdConfig, VggTrunk } from '../../models/ssd';
import {
  convolutionalExtras,
  releasedResidualExtras,
  residualExtras,
  type SsdExtra,
} from '../../models/ssd-extras';

/** Where batch normalisation stands. */
export type BatchNormPlacement = 'none' | 'backbone' | 'head' | 'both';

/** The switches of each placement. */
export const batchNormPlacements: Readonly<Record<BatchNormPlacement, SsdConfig['batchNorm']>> = {
  none: { backbone: false, head: false },
  backbone: { backbone: true, head: false },
  head: { backbone: false, head: true },
  both: { backbone: true, head: true },
};

/** The residual trunks: the four stems that the paper compares (a, b, c, d), and the one that it settles on. */
export const scratchDetResNets: Readonly<
  Record<'resnet18' | 'resnet18-a' | 'resnet18-b' | 'root-resnet18' | 'root-resnet34', ResNetConfig>
> = {
  resnet18: resNet18,
  'resnet18-a': resNet18A,
  'resnet18-b': resNet18B,
  'root-resnet18': rootResNet18,
  'root-resnet34': rootResNet34,
};

/** A trunk of the paper. */
export type ScratchDetTrunk = 'vgg16' | keyof typeof scratchDetResNets;

/** SSD's extra layers, residual ones down to one cell, or the residual ones of a released code (300 pixels only). */
export type ScratchDetExtras =
  'convolutional' | 'residual' | 'residual-as-in-mmdetection' | 'residual-as-in-caffe';

/** What distinguishes one network from another. */
export interface ScratchDetNetworkOptions {
  readonly trunk: ScratchDetTrunk;
  /** Classes without the background. */
  readonly classes: number;
  /** Side of the square input, pixels. Default 300. */
  readonly inputSize?: number;
  /** Default `both`. A residual trunk has batch norm of its own: with it, `backbone` or `both`. */
  readonly batchNorm?: BatchNormPlacement;
  /** Default `convolutional`. */
  readonly extras?: ScratchDetExtras;
  /** VGG16 only: see `VggConfig.poolNorm`. Default false. */
  readonly poolNorm?: boolean;
  /**
   * Channels of the stages: four, of which VGG16's last two stages share the fourth and fc6 and fc7 have the double. Default 64, 128, 256
   * and 512. The extra layers follow the fourth.
   */
  readonly widths?: readonly [number, number, number, number];
  /** Blocks of each residual stage, or convolutions of each of VGG16's five. Default: the published. */
  readonly blocks?: readonly number[];
  /** Image pixels a cell of the finest detection map. Default 8: 38 cells at 300 pixels. */
  readonly finestStride?: 4 | 8;
  /**
   * Give ResNet-18's maps the channels that the other stems' maps have. The finest map of 1/8 of the image comes from its second stage, but
   * from the third of ResNet-18-A, -B and Root-ResNet-18, whose every stage is twice as large: their channels are 256, 512, 512, 256, 256
   * and 256, ResNet-18's would be 128, 256, 512, 256, 256 and 256. An account of the paper by its first author says that the channels of
   * the detection maps are equal, and not how; taken to mean equal among the stems, by a 1x1 convolution with batch norm and ReLU on those
   * maps that differ. Default true.
   */
  readonly equalChannels?: boolean;
}

/** The published networks. */
export type ScratchDetNetworkName =
  | 'ssd300-vgg16'
  | 'ssd300-resnet18'
  | 'ssd300-resnet18-a'
  | 'ssd300-resnet18-b'
  | 'ssd300-root-resnet18'
  | 'ssd300-root-resnet34-convolutional'
  | 'ssd300-root-resnet34'
  | 'ssd512-vgg16'
  | 'ssd512-root-resnet34';

/**
 * What `scratchDetNetwork` makes the published networks of, less classes and the placement of batch norm:
 * `scratchDetNetwork({ ...scratchDetNetworks['ssd300-vgg16'], classes: 20 })`.
 */
export const scratchDetNetworks: Readonly<
  Record<ScratchDetNetworkName, Omit<ScratchDetNetworkOptions, 'classes' | 'batchNorm'>>
> = {
  'ssd300-vgg16': { trunk: 'vgg16' },
  'ssd300-resnet18': { trunk: 'resnet18' },
  'ssd300-resnet18-a': { trunk: 'resnet18-a' },
  'ssd300-resnet18-b': { trunk: 'resnet18-b' },
  'ssd300-root-resnet18': { trunk: 'root-resnet18' },
  'ssd300-root-resnet34-convolutional': { trunk: 'root-resnet34' },
  /** ScratchDet300. */
  'ssd300-root-resnet34': { trunk: 'root-resnet34', extras: 'residual' },
  'ssd512-vgg16': { trunk: 'vgg16', inputSize: 512 },
  /** As in mmdetection's `ssd_root34_512.py`. */
  'ssd512-root-resnet34': { trunk: 'root-resnet34', inputSize: 512, extras: 'residual' },
};

/**
 * The configuration of a network, for `new Ssd(config, random)`.
 *
 * One rule for all sizes. Detection maps: every stage of the trunk whose cells are `finestStride` pixels or more, then extra layers down to
 * one cell. The four stems so have maps of the same sizes. Anchors a cell: SSD's, 4 on the first map and the last two, 6 between.
 *
 * The stems that ScratchDet compares cost more the better they do (3.39, 12.54, 13.17 and 19.11 thousand million multiply-adds at 300
 * pixels): show both. From ResNet-18-A to -B nothing changes but where the image is halved, in the first convolution or behind it; that pair
 * is nearly equal in cost.
 * @throws RangeError for options that do not go together.
 */
export function scratchDetNetwork(options: ScratchDetNetworkOptions): SsdConfig {
  const { trunk, classes, inputSize = 300, batchNorm = 'both', equalChannels = true } = options;
  checkOptions(options);
  const { backbone, taps, extras, sources } = planNetwork(options);
  const others = trunk === 'resnet18' ? planNetwork({ ...options, trunk: 'resnet18-b' }).sources : sources;
  if (others.length !== sources.length) {
    throw new RangeError(
      `scratchDetNetwork: at ${inputSize} pixels resnet18 has ${sources.length} detection maps, the other stems ${others.length}; ` +
        'take 49 pixels or more',
    );
  }
  return {
    inputSize,
    backbone,
    taps,
    extras,
    anchorsPerCell: sources.map((_, map) => (map === 0 || map >= sources.length - 2 ? 4 : 6)),
    classes,
    batchNorm: batchNormPlacements[batchNorm],
    ...(equalChannels && trunk === 'resnet18' && { sourceChannels: others }),
  };
}

/** Trunk, taps and extra layers, and the channels of the maps that they give. */
function planNetwork(options: ScratchDetNetworkOptions): {
  backbone: SsdConfig['backbone'];
  taps: number[];
  extras: readonly SsdExtra[];
  sources: number[];
} {
  const { trunk, inputSize = 300, finestStride = 8, widths = resNet18.widths, blocks, poolNorm } = options;
  const width = widths[3];
  let backbone: SsdConfig['backbone'];
  let channels: readonly number[];
  let firstStride = 1;
  let lastStride = 16;
  if (trunk === 'vgg16') {
    const convolutions = blocks ?? [2, 2, 3, 3, 3];
    const stages = [...widths, width].map((channels, stage) =>
      Array.from({ length: convolutions[stage] }, () => channels),
    );
    // 6 on the map of 19 cells and above; on a small map so wide a window would see padding only
    const dilation = Math.min(6, Math.max(1, Math.round((6 * Math.ceil(inputSize / 16)) / 19)));
    backbone = { stages, atrous: { channels: 2 * width, dilation }, poolNorm } satisfies VggTrunk;
    channels = [...widths, 2 * width];
  } else {
    const config = scratchDetResNets[trunk];
    firstStride = config.stem.stride * (config.stem.pool ? 2 : 1);
    lastStride = 8 * firstStride;
    backbone = (random) => new ResNet({ ...config, widths, blocks: blocks ?? config.blocks }, random);
    channels = widths;
  }
  const taps = channels.flatMap((_, stage) => (firstStride * 2 ** stage >= finestStride ? [stage] : []));
  // ResNet-18's fourth stage stands where the others have their first extra layer.
  const last = Math.ceil(inputSize / lastStride);
  const extras = extraLayers(options.extras, last, width, lastStride === 32);
  return {
    backbone,
    taps,
    extras,
    sources: [...taps.map((tap) => channels[tap]), ...extras.map((extra) => extra.channels)],
  };
}

/** Extra layers behind a map of `mapSize` cells: 512, 256, 256 and 256 channels, or 128 each, where the trunk's `width` is 512. */
function extraLayers(
  kind: ScratchDetExtras = 'convolutional',
  mapSize: number,
  width: number,
  withoutFirst: boolean,
): readonly SsdExtra[] {
  const half = Math.ceil(width / 2);
  const quarter = Math.ceil(width / 4);
  switch (kind) {
    case 'convolutional':
      return convolutionalExtras(mapSize, withoutFirst ? half : width, half);
    case 'residual':
      return residualExtras(mapSize, quarter);
    case 'residual-as-in-mmdetection':
      return releasedResidualExtras('mmdetection', quarter).slice(withoutFirst ? 1 : 0);
    case 'residual-as-in-caffe':
      return releasedResidualExtras('caffe', quarter).slice(withoutFirst ? 1 : 0);
  }
}

function checkOptions(options: ScratchDetNetworkOptions): void {
  const { trunk, inputSize = 300, batchNorm = 'both', extras = 'convolutional', widths, blocks } = options;
  const fail = (message: string): never => {
    throw new RangeError(`scratchDetNetwork: ${message}`);
  };
  const trunks = ['vgg16', ...Object.keys(scratchDetResNets)];
  if (!trunks.includes(trunk)) fail(`there is no trunk "${trunk}"; there are ${trunks.join(', ')}`);
  if (!(Number.isInteger(inputSize) && inputSize > 0)) fail(`inputSize is ${inputSize}, not whole pixels`);
  if (widths && !(widths.length === 4 && widths.every((width) => Number.isInteger(width) && width > 0))) {
    fail(`widths are four whole numbers, got [${widths.join(', ')}]`);
  }
  const stages = trunk === 'vgg16' ? 5 : 4;
  if (blocks && !(blocks.length === stages && blocks.every((n) => Number.isInteger(n) && n > 0))) {
    fail(`blocks of ${trunk} are ${stages} whole numbers, got [${blocks.join(', ')}]`);
  }
  const normed = batchNormPlacements[batchNorm].backbone;
  if (trunk !== 'vgg16' && !normed) {
    fail(`${trunk} has batch norm of its own: batchNorm is "backbone" or "both", not "${batchNorm}"`);
  }
  if (trunk !== 'vgg16' && options.poolNorm) fail(`poolNorm is for vgg16, not for ${trunk}`);
  if (extras !== 'convolutional' && !normed) {
    fail(`residual extra layers have batch norm: batchNorm is "backbone" or "both", not "${batchNorm}"`);
  }
  if (extras.startsWith('residual-as-in') && inputSize !== 300) {
    fail(`"${extras}" is for 300 pixels, not ${inputSize}; "residual" is for any size`);
  }
}
