/**
 * What DetNAS published (Chen, Yang, Zhang, Meng, Xiao and Sun, NeurIPS 2019, arXiv 1903.10979), with how surely each number is known. Of the
 * ablation the rivals' rows are remembered and were not found again.
 */
import type { Confidence, PublishedNumber } from '../published';

const repositories = 'the authors’ repositories';

function cell(value: number, confidence: Confidence = 'unverified', source: string = ''): PublishedNumber {
  return { value, confidence, source: source || (confidence === 'paper' ? repositories : 'from memory') };
}

/** A row of the ablation: the small space of 300 million multiply-adds. */
export interface DetNasAblationRow {
  readonly network: 'ShuffleNetv2-20' | 'ClsNASNet-20' | 'DetNAS-scratch' | 'DetNAS';
  /** How the network came about. */
  readonly searched: string;
  /** COCO mAP. */
  readonly coco: Readonly<Record<'fpn' | 'retinanet', PublishedNumber>>;
  /** VOC 2007 mAP at IoU 0.5. */
  readonly voc: Readonly<Record<'fpn' | 'retinanet', PublishedNumber>>;
}

/** The ablation. DetNAS-scratch is a search whose supernet was not pretrained on ImageNet. */
export const detNasAblation: readonly DetNasAblationRow[] = [
  {
    network: 'ShuffleNetv2-20',
    searched: 'by hand',
    coco: { fpn: cell(34.8), retinanet: cell(32.1) },
    voc: { fpn: cell(80.6), retinanet: cell(79.4) },
  },
  {
    network: 'ClsNASNet-20',
    searched: 'for classification',
    coco: { fpn: cell(35.1), retinanet: cell(31.2) },
    voc: { fpn: cell(78.5), retinanet: cell(76.5) },
  },
  {
    network: 'DetNAS-scratch',
    searched: 'for detection, without pretraining',
    coco: { fpn: cell(35.9), retinanet: cell(32.8) },
    voc: { fpn: cell(81.1), retinanet: cell(79.9) },
  },
  {
    network: 'DetNAS',
    searched: 'for detection',
    coco: { fpn: cell(36.4, 'paper'), retinanet: cell(33.3, 'paper') },
    voc: { fpn: cell(81.5, 'paper'), retinanet: cell(80.1, 'paper') },
  },
];

/** What the whole procedure took, GPU-days; the parts are from memory. */
export const detNasCost: Readonly<Record<'all' | 'pretraining' | 'training' | 'search', PublishedNumber>> = {
  all: cell(44, 'secondary', 'a survey of architecture search for detection'),
  pretraining: cell(12),
  training: cell(12),
  search: cell(20),
};
