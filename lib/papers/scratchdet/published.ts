/** What ScratchDet published (Zhu et al., CVPR 2019, arXiv 1810.08425), with how surely each number is known. */
import type { Confidence, PublishedNumber } from '../published';
import type { BatchNormPlacement, ScratchDetTrunk } from './networks';

const account = 'account of the paper by its first author';
const normTable = 'table of batch norm and learning rate';

function cell(value: number | null, confidence: Confidence, source: string = account): PublishedNumber {
  return { value, confidence, source };
}

/** A cell of the table of batch norm and learning rate. */
export interface PublishedRate {
  readonly learningRate: number;
  readonly map: PublishedNumber;
}

/**
 * VOC 2007 test mAP of SSD300 on VGG16, trained from scratch on VOC 2007 and 2012, by placement of batch norm and learning rate
 * (section 3.2 and its table). `null` is a run that diverged.
 */
export const scratchDetPublished: Readonly<Record<BatchNormPlacement, readonly PublishedRate[]>> = {
  none: [
    { learningRate: 0.001, map: cell(67.6, 'paper') },
    { learningRate: 0.01, map: cell(null, 'unverified', normTable) },
    { learningRate: 0.05, map: cell(null, 'unverified', normTable) },
  ],
  backbone: [
    // A note on the paper has 72.5.
    { learningRate: 0.001, map: cell(72.8, 'paper') },
    { learningRate: 0.01, map: cell(77.8, 'paper') },
    { learningRate: 0.05, map: cell(78.0, 'secondary', 'a reader’s note on the paper') },
  ],
  head: [
    { learningRate: 0.001, map: cell(71.0, 'unverified', normTable) },
    { learningRate: 0.01, map: cell(75.6, 'unverified', normTable) },
    { learningRate: 0.05, map: cell(null, 'unverified', normTable) },
  ],
  both: [
    { learningRate: 0.001, map: cell(71.8, 'unverified', normTable) },
    { learningRate: 0.01, map: cell(77.3, 'unverified', normTable) },
    { learningRate: 0.05, map: cell(78.7, 'paper') },
  ],
};

/** The same SSD300 fine-tuned from ImageNet classifiers: VGG16, and VGG16 with batch norm at the best of its learning rates. */
export const scratchDetPretrained: Readonly<Record<'vgg16' | 'vgg16-bn', PublishedNumber>> = {
  vgg16: cell(77.2, 'paper'),
  'vgg16-bn': cell(78.2, 'paper'),
};

/** VOC 2007 test mAP by stem (section 3.3): how much the first layers shrink the image before anything was learnt from it. */
export const scratchDetStems: Readonly<Record<Exclude<ScratchDetTrunk, 'vgg16'>, PublishedNumber>> = {
  resnet18: cell(73.1, 'paper'),
  'resnet18-a': cell(75.3, 'paper'),
  'resnet18-b': cell(77.6, 'paper'),
  'root-resnet18': cell(78.5, 'paper'),
  'root-resnet34': cell(80.4, 'paper'),
};

/** Images a second on a Tesla P40 with SSD's convolutional extra layers and with the residual ones: the same mAP, 80.4. */
export const scratchDetExtras: Readonly<Record<'convolutional' | 'residual', PublishedNumber>> = {
  convolutional: cell(20, 'paper'),
  residual: cell(25, 'paper'),
};

/** Root-ResNet-34's results: mAP on VOC, AP on COCO test-dev. */
export const scratchDetFinal: Readonly<Record<'voc07' | 'voc12' | 'coco' | 'cocoSmall', PublishedNumber>> = {
  voc07: cell(80.4, 'paper'),
  voc12: cell(78.5, 'paper'),
  coco: cell(32.7, 'paper'),
  cocoSmall: cell(13.0, 'paper'),
};
