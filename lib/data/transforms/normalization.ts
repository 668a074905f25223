/** What a network's input looks like: the means and standard deviations that published weights were trained with. */

/** Input is `(value - mean) / std` of values from 0 to 255. Spread it into `createLoader`'s options. */
export interface Normalization {
  /** For red, green and blue, in this order, also where `channels` is `bgr`. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** Order in which the network takes the channels. */
  readonly channels: 'rgb' | 'bgr';
}

const imagenet: Normalization = {
  mean: [0.485 * 255, 0.456 * 255, 0.406 * 255],
  std: [0.229 * 255, 0.224 * 255, 0.225 * 255],
  channels: 'rgb',
};

/**
 * Normalisations by the code that trained the weights:
 * - `torchvision`: all of torchvision's classifiers, Faster R-CNN and RetinaNet, and timm's of the same names: ImageNet's mean
 *   0.485, 0.456, 0.406 and deviation 0.229, 0.224, 0.225 of values from 0 to 1.
 * - `torchvisionSsd`: torchvision's SSD300 on VGG16 (mean 0.48235, 0.45882, 0.40784, deviation 1/255): Caffe's means in RGB.
 * - `efficientdet`: the released EfficientDet (`mean_rgb`, `stddev_rgb` of google/automl's hparams_config.py): ImageNet's.
 * - `tensorflow`: -1 to 1, as TensorFlow's MobileNets and Inceptions (`preprocess_input` in mode `tf`).
 * - `caffeVgg`: VGG16 as its authors released it for Caffe: BGR, means 103.939, 116.779, 123.68, no division.
 * - `caffeSsd`: SSD's Caffe scripts: BGR, the same means rounded to 104, 117, 123 (`mean_value`).
 * - `detectron2`: Detectron2's Caffe-style ResNets (`PIXEL_MEAN`): BGR, 103.53, 116.28, 123.675, no division.
 */
export const normalizations: Readonly<
  Record<
    'torchvision' | 'torchvisionSsd' | 'efficientdet' | 'tensorflow' | 'caffeVgg' | 'caffeSsd' | 'detectron2',
    Normalization
  >
> = {
  torchvision: imagenet,
  torchvisionSsd: { mean: [0.48235 * 255, 0.45882 * 255, 0.40784 * 255], std: [1, 1, 1], channels: 'rgb' },
  efficientdet: imagenet,
  tensorflow: { mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5], channels: 'rgb' },
  caffeVgg: { mean: [123.68, 116.779, 103.939], std: [1, 1, 1], channels: 'bgr' },
  caffeSsd: { mean: [123, 117, 104], std: [1, 1, 1], channels: 'bgr' },
  detectron2: { mean: [123.675, 116.28, 103.53], std: [1, 1, 1], channels: 'bgr' },
};
