/** Names of residual and shuffle networks: ours are torchvision's, but that the classifier stands apart from the trunk. */
import { byRules, type WeightNaming } from './naming';

/** torchvision's `resnet18` to `resnet101`, and timm's, which have the same names. */
export const torchvisionResNet: WeightNaming = {
  name: 'torchvision/resnet',
  recognises: (names) => names.has('conv1.weight') && names.has('layer1.0.conv1.weight'),
  namer: () =>
    byRules([
      [/^backbone\./, ''],
      [/^fc\./, 'fc.'],
    ]),
  isTrunk: (name) => !name.startsWith('fc.'),
};

/**
 * The trunk in torchvision's detectors, such as `fasterrcnn_resnet50_fpn` and `retinanet_resnet50_fpn`. Their weights called `COCO_V1` were
 * trained with an epsilon of 0 in the trunk's batch norms, ours has 1e-5.
 */
export const torchvisionDetectorResNet: WeightNaming = {
  name: 'torchvision/detection-resnet',
  recognises: (names) => names.has('backbone.body.conv1.weight'),
  // A trunk with its pyramid has these names itself.
  namer: () =>
    byRules([
      [/^backbone\.(?=body\.|fpn\.)/, 'backbone.'],
      [/^backbone\./, 'backbone.body.'],
    ]),
  isTrunk: (name) => name.startsWith('backbone.body.'),
  trunkOnly: () => true,
};

/** torchvision's `shufflenet_v2_x…`, for a `ShuffleNetV2` of the release `torchvision`. */
export const torchvisionShuffleNet: WeightNaming = {
  name: 'torchvision/shufflenet_v2',
  recognises: (names) => names.has('stage2.0.branch1.0.weight'),
  namer: () =>
    byRules([
      [/^backbone\./, ''],
      [/^conv\./, 'conv5.0.'],
      [/^bn\./, 'conv5.1.'],
      [/^fc\./, 'fc.'],
    ]),
  isTrunk: (name) => !/^(conv5|fc)\./.test(name),
};

/** The authors' ShuffleNetV2, whose units are numbered through the stages, and whose classifier has no bias: ours is 0. */
export const megviiShuffleNet: WeightNaming = {
  name: 'megvii/shufflenet_v2',
  recognises: (names) => names.has('first_conv.0.weight') && names.has('features.0.branch_main.0.weight'),
  namer(ours) {
    const units = new Set(
      [...ours].flatMap((name) => /^backbone\.stage\d+\.\d+(?=\.)/.exec(name)?.[0] ?? []),
    );
    const places = new Map([...units].map((unit, index) => [unit, `features.${index}`]));
    const others = byRules([
      [/^backbone\.conv1\./, 'first_conv.'],
      [/^conv\./, 'conv_last.0.'],
      [/^bn\./, 'conv_last.1.'],
      [/^fc\./, 'classifier.0.'],
    ]);
    return (name) => {
      const [, unit, rest] = /^(backbone\.stage\d+\.\d+)(\..+)$/.exec(name) ?? [];
      return unit === undefined ? others(name) : `${places.get(unit)}${rest}`;
    };
  },
  isTrunk: (name) => !/^(conv_last|classifier)\./.test(name),
  adapt(weights) {
    const classifier = weights.get('classifier.0.weight');
    if (!classifier || weights.has('classifier.0.bias')) return weights;
    const [classes] = classifier.shape;
    const bias = { shape: [classes], values: new Float32Array(classes) };
    return new Map([...weights, ['classifier.0.bias', bias]]);
  },
  restore(weights) {
    const bias = weights.get('classifier.0.bias');
    if (bias?.values.some((value) => value !== 0)) {
      throw new Error('their classifier has no bias, but fc.bias has other values than 0');
    }
    return new Map([...weights].filter(([name]) => name !== 'classifier.0.bias'));
  },
};
