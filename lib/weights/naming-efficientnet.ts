/**
 * Names of EfficientNets. Names don't tell which padding and epsilon a network was trained with: timm's `tf_efficientnet_*` and effdet's
 * `tf_efficientdet_*` have ours, `same` and 1e-3; the others differ (see `buildTorchClassifier`).
 */
import { byRules, type WeightNaming } from './naming';

const timmStem = (names: ReadonlySet<string>, prefix: string): boolean =>
  names.has(`${prefix}conv_stem.weight`) && names.has(`${prefix}blocks.0.0.conv_dw.weight`);

/** Our names of a block's layers, and theirs in blocks that expand and in those that don't. */
interface BlockNames {
  readonly expanding: Readonly<Record<string, string>>;
  readonly plain: Readonly<Record<string, string>>;
}

const timmBlocks: BlockNames = {
  expanding: {
    expand_conv: 'conv_pw',
    bn0: 'bn1',
    depthwise_conv: 'conv_dw',
    bn1: 'bn2',
    se_reduce: 'se.conv_reduce',
    se_expand: 'se.conv_expand',
    project_conv: 'conv_pwl',
    bn2: 'bn3',
  },
  plain: {
    depthwise_conv: 'conv_dw',
    bn1: 'bn1',
    se_reduce: 'se.conv_reduce',
    se_expand: 'se.conv_expand',
    project_conv: 'conv_pw',
    bn2: 'bn2',
  },
};

const torchvisionBlocks: BlockNames = {
  expanding: {
    expand_conv: '0.0',
    bn0: '0.1',
    depthwise_conv: '1.0',
    bn1: '1.1',
    se_reduce: '2.fc1',
    se_expand: '2.fc2',
    project_conv: '3.0',
    bn2: '3.1',
  },
  plain: {
    depthwise_conv: '0.0',
    bn1: '0.1',
    se_reduce: '1.fc1',
    se_expand: '1.fc2',
    project_conv: '2.0',
    bn2: '2.1',
  },
};

/** Splits a name in one of our blocks and gives their name of its layer; `undefined` for what is in no block. */
function inBlock(
  name: string,
  ours: ReadonlySet<string>,
  { expanding, plain }: BlockNames,
): { stage: number; block: number; layer: string; field: string } | undefined {
  const [, path, stage, block, own, field] =
    /^(backbone\.blocks\.(\d+)\.(\d+))\.(\w+)\.(\w+)$/.exec(name) ?? [];
  if (path === undefined) return undefined;
  const layer = (ours.has(`${path}.expand_conv.weight`) ? expanding : plain)[own] ?? own;
  return { stage: Number(stage), block: Number(block), layer, field };
}

/** timm's `efficientnet_b0` and so on, with and without `tf_`. */
export const timmEfficientNet: WeightNaming = {
  name: 'timm/efficientnet',
  recognises: (names) => timmStem(names, ''),
  namer(ours) {
    const others = byRules([
      [/^backbone\./, ''],
      [/^conv\./, 'conv_head.'],
      [/^bn\./, 'bn2.'],
      [/^fc\./, 'classifier.'],
    ]);
    return (name) => {
      const found = inBlock(name, ours, timmBlocks);
      return found ? `blocks.${found.stage}.${found.block}.${found.layer}.${found.field}` : others(name);
    };
  },
  isTrunk: (name) => !/^(conv_head|bn2|classifier)\./.test(name),
};

/** Of an EfficientDet's feature network and heads, which have effdet's names here, too. */
const detectorPart = /^(fpn|class_net|box_net)\./;

const isEfficientDet = (ours: ReadonlySet<string>): boolean => ours.has('class_net.predict.conv_pw.weight');

/** effdet's `tf_efficientdet_d0` and so on. Its trunk is timm's; in a network that is no EfficientDet, nothing else is taken. */
export const effdetEfficientNet: WeightNaming = {
  name: 'effdet/efficientdet',
  recognises: (names) => timmStem(names, 'backbone.'),
  namer(ours) {
    const timm = timmEfficientNet.namer(ours);
    return (name) => {
      if (name.startsWith('backbone.')) return `backbone.${timm(name)}`;
      return detectorPart.test(name) && isEfficientDet(ours) ? name : undefined;
    };
  },
  isTrunk: (name) => name.startsWith('backbone.'),
  trunkOnly: (ours) => !isEfficientDet(ours),
};

/** torchvision's `efficientnet_b0` to `efficientnet_b7`. */
export const torchvisionEfficientNet: WeightNaming = {
  name: 'torchvision/efficientnet',
  recognises: (names) => names.has('features.0.0.weight') && names.has('features.1.0.block.0.0.weight'),
  namer(ours) {
    let stages = 0;
    while (ours.has(`backbone.blocks.${stages}.0.bn1.weight`)) stages++;
    const others = byRules([
      [/^backbone\.conv_stem\./, 'features.0.0.'],
      [/^backbone\.bn1\./, 'features.0.1.'],
      [/^conv\./, `features.${stages + 1}.0.`],
      [/^bn\./, `features.${stages + 1}.1.`],
      [/^fc\./, 'classifier.1.'],
    ]);
    return (name) => {
      const found = inBlock(name, ours, torchvisionBlocks);
      if (!found) return others(name);
      return `features.${found.stage + 1}.${found.block}.block.${found.layer}.${found.field}`;
    };
  },
  isTrunk: (name) => name.startsWith('features.0.') || name.includes('.block.'),
};

/** `efficientnet_pytorch`'s `efficientnet-b0` and so on, and those of its offshoot `efficientnet_lite_pytorch`; blocks are numbered through. */
export const numberedEfficientNet: WeightNaming = {
  name: 'efficientnet_pytorch/efficientnet',
  recognises: (names) => names.has('_conv_stem.weight') && names.has('_blocks.0._depthwise_conv.weight'),
  namer(ours) {
    const paths = [...ours].flatMap((name) => {
      const found = /^backbone\.blocks\.(\d+)\.(\d+)\.depthwise_conv\.weight$/.exec(name);
      return found ? [{ stage: Number(found[1]), block: Number(found[2]) }] : [];
    });
    paths.sort((a, b) => a.stage - b.stage || a.block - b.block);
    const numbers = new Map(paths.map(({ stage, block }, number) => [`${stage}.${block}`, number]));
    const others = byRules([
      [/^backbone\.conv_stem\./, '_conv_stem.'],
      [/^backbone\.bn1\./, '_bn0.'],
      [/^conv\./, '_conv_head.'],
      [/^bn\./, '_bn1.'],
      [/^fc\./, '_fc.'],
    ]);
    return (name) => {
      // Within a block their names are ours with an underscore before them.
      const found = inBlock(name, ours, { expanding: {}, plain: {} });
      if (!found) return others(name);
      return `_blocks.${numbers.get(`${found.stage}.${found.block}`)}._${found.layer}.${found.field}`;
    };
  },
  isTrunk: (name) => !/^_(conv_head|bn1|fc)\./.test(name),
};
