/** What stands on the trunk: a Faster R-CNN, or a RetinaNet, whose capacity is a dial (arXiv 2204.00484, table 3). */
import type { BackboneBuilder } from '../../models/backbones/backbone';
import { neckGraphs } from '../../models/necks/neck-graphs';
import type { RetinaNetConfig, RetinaNetDetectorOptions } from '../../models/retinanet';
import type { FasterRcnnConfig } from '../../models/two-stage/faster-rcnn';
import { frozenReleasedFasterRcnn } from './released';

/**
 * From little to much: a feature pyramid; BiFPN, which the paper does not have; NAS-FPN; NAS-FPN and a cascade of heads. The paper's three are
 * FPN, NAS-FPN, and NAS-FPN with a cascade.
 */
export type FrozenCapacity = 'fpn' | 'bifpn' | 'nas-fpn' | 'nas-fpn-cascade';

/** All of them, in that order. */
export const frozenCapacities: readonly FrozenCapacity[] = ['fpn', 'bifpn', 'nas-fpn', 'nas-fpn-cascade'];

/** Names for tables and charts. */
export const frozenCapacityTitles: Readonly<Record<FrozenCapacity, string>> = {
  fpn: 'FPN',
  bifpn: 'BiFPN',
  'nas-fpn': 'NAS-FPN',
  'nas-fpn-cascade': 'NAS-FPN + Cascade',
};

/** The network's size, as plain values. */
export interface FrozenPlan {
  /** Side of the square input, pixels. */
  readonly inputSize: number;
  /** Channels of the feature network and of the region proposal network. */
  readonly channels: number;
  /** How often each graph is repeated. */
  readonly cells: Readonly<Record<'bifpn' | 'nas-fpn', number>>;
  /** Outputs of the second stage's fully connected layers. */
  readonly features: number;
  /** Rows and columns of a pooled region. */
  readonly pooled: number;
}

/** The detectors that the paper's release has recipes of. */
export type FrozenDetectorKind = 'faster-rcnn' | 'retinanet';

/** A trunk and the stages that a pyramid stands on. */
export interface FrozenFoundation {
  readonly backbone: BackboneBuilder;
  readonly taps: readonly number[];
}

/** Anchors of levels 3 to 7 at 96 pixels: shares of the input's side. */
const anchorShares = [14, 28, 48, 68, 88].map((side) => side / 96);

/** Inputs up to here are small pictures; above, anchors, samples and proposals are the published detectors'. */
export const frozenSmallInput = 512;

/** What all levels' maps are made by: levels 3 to 7 in any case. Nodes have plain 3x3 convolutions, as NAS-FPN was released. */
function feature({ channels, cells }: FrozenPlan, capacity: FrozenCapacity): NeckSettings {
  const settings = { outChannels: channels, batchNorm: true, extraLevels: 'p6p7' } as const;
  if (capacity === 'fpn') return settings;
  const graph = capacity === 'bifpn' ? 'bifpn' : 'nas-fpn';
  return {
    ...settings,
    neck: {
      graph: neckGraphs[graph](3, 7),
      cells: cells[graph],
      convolution: 'plain',
      redundantBias: false,
      norm: { epsilon: 1e-3, momentum: 0.9 },
    },
  };
}

type NeckSettings = Pick<FasterRcnnConfig, 'outChannels' | 'batchNorm' | 'neck'> & {
  readonly extraLevels: 'p6p7';
};

/**
 * The Faster R-CNN of a capacity. All of them have levels 3 to 7, the same anchors, and regions read from levels 3 to 5: they differ in what
 * makes those levels, and in the heads. Batch norm is in the feature network, and nowhere else beside the trunk. The cascade's IoUs are the
 * release's.
 */
export function frozenFasterRcnn(
  plan: FrozenPlan,
  capacity: FrozenCapacity,
  foundation: FrozenFoundation,
  classes: number,
): FasterRcnnConfig {
  const { inputSize, features, pooled } = plan;
  const small = inputSize <= frozenSmallInput;
  return {
    ...foundation,
    ...feature(plan, capacity),
    classes,
    // The usual 224 is for inputs of 800 pixels.
    pooling: { outputSize: pooled, canonicalSize: small ? Math.round(inputSize / 2) : 224 },
    features,
    cascade:
      capacity === 'nas-fpn-cascade' ? { positiveIous: frozenReleasedFasterRcnn.cascade.ious } : undefined,
    ...(small && {
      anchorSizes: anchorShares.map((share) => [Math.round(share * inputSize)]),
      anchorRatios: [0.6, 1, 1.6],
      proposals: {
        training: { preNmsTop: 150, postNmsTop: 64 },
        inference: { preNmsTop: 150, postNmsTop: 40 },
      },
    }),
  };
}

/**
 * The RetinaNet of a capacity, with the released recipe's heads of four convolutions, two in small networks.
 * @throws RangeError for a cascade, which it has no second stage for.
 */
export function frozenRetinaNet(
  plan: FrozenPlan,
  capacity: FrozenCapacity,
  foundation: FrozenFoundation,
  classes: number,
): RetinaNetConfig {
  if (capacity === 'nas-fpn-cascade') {
    throw new RangeError(
      'frozenRetinaNet: RetinaNet has no second stage that could be a cascade; take nas-fpn',
    );
  }
  const small = plan.inputSize <= frozenSmallInput;
  return {
    ...foundation,
    ...feature(plan, capacity),
    classes,
    anchorsPerCell: small ? 3 : 9,
    ...(small && { depth: 2, groupNorm: { groups: 8 } }),
  };
}

/** The anchors' sizes of a small RetinaNet, and their ratios; `undefined` at published sizes, for its defaults. */
export function frozenRetinaNetAnchors({
  inputSize,
}: FrozenPlan): Pick<RetinaNetDetectorOptions, 'sizes' | 'ratios'> | undefined {
  if (inputSize > frozenSmallInput) return undefined;
  return { sizes: anchorShares.map((share) => [Math.round(share * inputSize)]), ratios: [0.6, 1, 1.6] };
}
