/**
 * Small detectors of the four kinds, for data sets of some hundred images and a machine without a GPU: one trunk, ResNet-18 at half
 * its width, with batch norm, from random weights. They share what they can, so that they differ in the method alone.
 */
import { gridAnchors } from '../boxes/anchors';
import { createRandom } from '../tensor/random';
import type { BackboneBuilder } from './backbones/backbone';
import { ResNet, resNet18 } from './backbones/resnet';
import type { Detector } from './detector';
import { createRetinaNetDetector, RetinaNet } from './retinanet';
import { Ssd } from './ssd';
import { createSsdDetector } from './ssd-detector';
import { FasterRcnn } from './two-stage/faster-rcnn';
import { createFasterRcnnDetector } from './two-stage/faster-rcnn-detector';

/** The kinds. */
export const smallDetectorNames = ['ssd', 'retinanet', 'faster-rcnn', 'cascade-rcnn'] as const;

/** A kind of small detector. */
export type SmallDetectorName = (typeof smallDetectorNames)[number];

/** What a small detector is made for. */
export interface SmallDetectorOptions {
  readonly classes: number;
  /** Of the network's input, pixels. SSD wants a square. */
  readonly inputSize: { readonly width: number; readonly height: number };
  /** Seed of the first weights. Default 0. */
  readonly seed?: number | string;
}

/** ResNet-18 at half its width: maps of stride 4, 8, 16 and 32 with 32, 64, 128 and 256 channels. */
const trunk: BackboneBuilder = (random) => new ResNet({ ...resNet18, widths: [32, 64, 128, 256] }, random);

/**
 * Anchors begin at twice the stride of the finest map, 16 pixels, and go on without gaps to half the image: objects below 8 pixels are
 * out of reach.
 */
const builders: Readonly<Record<SmallDetectorName, (options: SmallDetectorOptions) => Detector>> = {
  ssd({ classes, inputSize, seed = 0 }) {
    const { width, height } = inputSize;
    if (width !== height) {
      throw new RangeError(`smallDetector: SSD's input is a square, not ${width} x ${height}; give one side`);
    }
    const model = new Ssd(
      {
        inputSize: width,
        backbone: trunk,
        taps: [1, 2, 3],
        extras: [{ squeeze: 64, channels: 128, stride: 2, padding: 1 }],
        anchorsPerCell: [4, 4, 4, 4],
        classes,
        // in the head too: it takes five times the learning rate then (ScratchDet, section 3.2)
        batchNorm: { backbone: true, head: true },
      },
      createRandom(seed),
    );
    const maps = model.mapSizes().map((side): [number, number] => [side, side]);
    const sizes = [16, 32, 64, 128, 224];
    return createSsdDetector(
      model,
      gridAnchors({ imageWidth: width, imageHeight: height, maps, sizes, ratios: [1.6] }),
    );
  },
  retinanet({ classes, inputSize, seed = 0 }) {
    const model = new RetinaNet(
      {
        backbone: trunk,
        taps: [1, 2, 3],
        outChannels: 64,
        batchNorm: true,
        depth: 2,
        groupNorm: { groups: 8 },
        classes,
      },
      createRandom(seed),
    );
    const octaves = [1, 2 ** (1 / 3), 2 ** (2 / 3)];
    const sizes = [16, 32, 64, 128, 256].map((size) => octaves.map((octave) => Math.round(size * octave)));
    return createRetinaNetDetector(model, { inputSize, sizes, ratios: [0.6, 1, 1.6] });
  },
  'faster-rcnn': twoStage(false),
  'cascade-rcnn': twoStage(true),
};

/** Faster R-CNN with one head, or a cascade of three. */
function twoStage(cascade: boolean): (options: SmallDetectorOptions) => Detector {
  return ({ classes, inputSize, seed = 0 }) => {
    const model = new FasterRcnn(
      {
        backbone: trunk,
        outChannels: 64,
        batchNorm: true,
        classes,
        anchorSizes: [[16], [32], [64], [128], [256]],
        anchorRatios: [0.6, 1, 1.6],
        proposals: {
          training: { preNmsTop: 400, postNmsTop: 200 },
          inference: { preNmsTop: 400, postNmsTop: 150 },
        },
        // the paper's 224 is for inputs of 800 pixels
        pooling: { canonicalSize: 112 },
        features: 256,
        cascade: cascade ? {} : undefined,
      },
      createRandom(seed),
    );
    return createFasterRcnnDetector(model, {
      inputSize,
      regionLoss: { sample: { size: 64, positiveFraction: 0.25 } },
    });
  };
}

/**
 * Builds a small detector.
 * @throws RangeError for an unknown name or an input that it cannot take.
 */
export function smallDetector(name: SmallDetectorName, options: SmallDetectorOptions): Detector {
  if (!Object.hasOwn(builders, name)) {
    throw new RangeError(`smallDetector: there is no "${name}"; there are ${smallDetectorNames.join(', ')}`);
  }
  return builders[name](options);
}
