/**
 * Classifiers as torchvision and timm build them, for their weights. The names of parameters don't tell the versions of a network apart, but
 * the results do: EfficientNets pad and normalise in three ways.
 */
import { efficientNetNorm } from '../nn/mbconv';
import { nearest } from '../tensor/nearest';
import type { Random } from '../tensor/random';
import { EfficientNet, efficientNets, scaledChannels } from './backbones/efficientnet';
import { ShuffleNetV2, shuffleNetsV2 } from './backbones/shufflenet';
import { buildClassifier, Classifier, type ClassifierName } from './classifier';

type EfficientNetName = keyof typeof efficientNets;
type ShuffleNetWidth = '0_5' | '1_0' | '1_5' | '2_0';
type Plain = 'vgg16' | 'vgg16_bn' | 'resnet18' | 'resnet34' | 'resnet50' | 'resnet101';

/** A project and what it calls the network. */
export type TorchClassifierName =
  | `torchvision/${Plain}`
  | `torchvision/shufflenet_v2_x${ShuffleNetWidth}`
  | `torchvision/efficientnet_${EfficientNetName}`
  | `timm/efficientnet_${EfficientNetName}`
  | `timm/tf_efficientnet_${EfficientNetName}`;

const plain: readonly Plain[] = ['vgg16', 'vgg16_bn', 'resnet18', 'resnet34', 'resnet50', 'resnet101'];
const widths: readonly ShuffleNetWidth[] = ['0_5', '1_0', '1_5', '2_0'];
const scales = Object.keys(efficientNets) as EfficientNetName[];

/** All that `buildTorchClassifier` builds. */
export const torchClassifierNames: readonly TorchClassifierName[] = [
  ...plain.map((name) => `torchvision/${name}` as const),
  ...widths.map((width) => `torchvision/shufflenet_v2_x${width}` as const),
  ...scales.map((scale) => `torchvision/efficientnet_${scale}` as const),
  ...scales.map((scale) => `timm/efficientnet_${scale}` as const),
  ...scales.map((scale) => `timm/tf_efficientnet_${scale}` as const),
];

/**
 * Builds a classifier whose results with imported weights (`importWeights`) are PyTorch's:
 *
 * - timm's `tf_efficientnet_*`: TensorFlow's padding `same`, epsilon 1e-3, as `buildClassifier` has them;
 * - timm's `efficientnet_*` and torchvision's up to B4: equal padding on all sides, epsilon 1e-5;
 * - torchvision's from B5 on: equal padding, epsilon 1e-3;
 * - torchvision's ShuffleNetV2: its own units, not the authors'.
 * @param classes default ImageNet's 1000.
 * @throws RangeError for an unknown name, with the nearest known one.
 */
export function buildTorchClassifier(
  name: TorchClassifierName,
  random: Random,
  classes: number = 1000,
): Classifier {
  if (!torchClassifierNames.includes(name)) {
    const near = nearest(name, torchClassifierNames);
    throw new RangeError(
      `buildTorchClassifier: there is no "${name}"` +
        (near ? `; did you mean "${near}"?` : `; there are ${torchClassifierNames.join(', ')}`),
    );
  }
  const [project, network] = name.split('/');
  const scale = /efficientnet_(b\d)$/.exec(network)?.[1] as EfficientNetName | undefined;
  if (scale) {
    if (network.startsWith('tf_')) return buildClassifier(`efficientnet-${scale}`, random, classes);
    const released = project === 'torchvision' && scale >= 'b5';
    return efficientNet(
      scale,
      released ? efficientNetNorm : { epsilon: 1e-5, momentum: 0.9 },
      random,
      classes,
    );
  }
  const width = /^shufflenet_v2_x(\d)_(\d)$/.exec(network);
  if (width) {
    const config = shuffleNetsV2[`x${width[1]}.${width[2]}` as keyof typeof shuffleNetsV2];
    const trunk = new ShuffleNetV2({ ...config, release: 'torchvision' }, random);
    return new Classifier(trunk, { classes, conv: { channels: config.last, activation: 'relu' } }, random);
  }
  return buildClassifier(network.replace('_', '-') as ClassifierName, random, classes);
}

function efficientNet(
  scale: EfficientNetName,
  norm: { epsilon: number; momentum: number },
  random: Random,
  classes: number,
): Classifier {
  const { dropout, ...config } = efficientNets[scale];
  const trunk = new EfficientNet({ ...config, padding: 'symmetric', norm, stochasticDepth: 0.2 }, random);
  const channels = scaledChannels(1280, config.width);
  return new Classifier(trunk, { classes, conv: { channels, activation: 'swish', norm }, dropout }, random);
}
