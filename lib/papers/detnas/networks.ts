/** What stands on a trunk of DetNAS's space: a Faster R-CNN on a feature pyramid, or a RetinaNet. */
import { efficientDetLoss } from '../../losses/dense';
import type { BackboneBuilder } from '../../models/backbones/backbone';
import { createRetinaNetDetector, RetinaNet, type RetinaNetDetector } from '../../models/retinanet';
import { FasterRcnn } from '../../models/two-stage/faster-rcnn';
import {
  createFasterRcnnDetector,
  type FasterRcnnDetector,
} from '../../models/two-stage/faster-rcnn-detector';
import { createRandom } from '../../tensor/random';

/** The detectors that the paper searches for. */
export type DetNasDetectorKind = 'fpn' | 'retinanet';

/** Names for tables and charts. */
export const detNasDetectorTitles: Readonly<Record<DetNasDetectorKind, string>> = {
  fpn: 'FPN',
  retinanet: 'RetinaNet',
};

/** The size of what stands on the trunk, as plain values. */
export interface DetNasPlan {
  /** Side of the square input, pixels. */
  readonly inputSize: number;
  /** Channels of the pyramid. */
  readonly channels: number;
  /** Outputs of the second stage's fully connected layers. */
  readonly features: number;
  /** Rows and columns of a pooled region. */
  readonly pooled: number;
  /** Convolutions of each of RetinaNet's heads. */
  readonly headDepth: number;
  /** Left out at published sizes: the published detectors' anchors, samples and proposals. */
  readonly small?: {
    /** Of the pyramid's five levels, from the finest: shares of the input's side. */
    readonly anchors: Readonly<Record<DetNasDetectorKind, readonly number[]>>;
    readonly ratios: readonly number[];
  };
}

/** A detector of either kind. */
export type DetNasDetector = FasterRcnnDetector | RetinaNetDetector;

/**
 * The detector of a kind on a trunk. FPN takes all four stages, RetinaNet the last three. Batch norm is in the trunk and in the pyramid, over the whole
 * batch: on one device that is what the paper synchronises its devices for. The paper's second stage has four convolutions and one fully
 * connected layer, with batch norm; this one has Faster R-CNN's two fully connected layers.
 * @param classes without the background.
 * @param seed of everything but the trunk: detectors of one seed on different trunks of the same widths begin alike beside them.
 */
export function buildDetNasDetector(
  { inputSize, channels, features, pooled, headDepth, small }: DetNasPlan,
  kind: DetNasDetectorKind,
  trunk: BackboneBuilder,
  classes: number,
  seed: number,
): DetNasDetector {
  const random = createRandom(`detnas/${kind}/${seed}`);
  const backbone: BackboneBuilder = () => trunk(createRandom(`detnas/trunk/${seed}`));
  const size = { width: inputSize, height: inputSize };
  const sizes = small?.anchors[kind].map((share) => [Math.round(share * inputSize)]);
  const shared = { backbone, classes, outChannels: channels, batchNorm: true };
  if (kind === 'retinanet') {
    const heads = small
      ? { anchorsPerCell: small.ratios.length, groupNorm: { groups: 8 }, depth: headDepth }
      : { depth: headDepth };
    const model = new RetinaNet({ ...shared, ...heads, taps: [1, 2, 3], extraLevels: 'p6p7' }, random);
    return createRetinaNetDetector(model, {
      inputSize: size,
      ...(small && { sizes, ratios: small.ratios, loss: efficientDetLoss }),
    });
  }
  const model = new FasterRcnn(
    {
      ...shared,
      taps: [0, 1, 2, 3],
      features,
      // The usual 224 is for inputs of 800 pixels.
      pooling: { outputSize: pooled, canonicalSize: small ? Math.round(inputSize / 2) : 224 },
      ...(small && {
        anchorSizes: sizes,
        anchorRatios: small.ratios,
        proposals: {
          training: { preNmsTop: 150, postNmsTop: 64 },
          inference: { preNmsTop: 150, postNmsTop: 40 },
        },
      }),
    },
    random,
  );
  return createFasterRcnnDetector(model, {
    inputSize: size,
    rpnLoss: small && { sample: { size: 64, positiveFraction: 0.5 } },
    regionLoss: small && { sample: { size: 32, positiveFraction: 0.25 } },
  });
}
