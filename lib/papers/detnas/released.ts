/** The architectures that DetNAS's authors released, as their code has them, and what they cost. */
import { type DetNasSize, detNasSizes, detNasSpace } from '../../models/backbones/detnas';
import { type Architecture, parseArchitecture } from '../../models/architecture';
import type { PublishedNumber } from '../published';

/** A network of the release. */
export interface DetNasRelease {
  readonly name: string;
  readonly size: keyof typeof detNasSizes;
  readonly architecture: Architecture;
  /** What it was searched for. */
  readonly searched:
    | 'FPN on COCO'
    | 'RetinaNet on COCO'
    | 'FPN on VOC'
    | 'RetinaNet on VOC'
    | 'classification of ImageNet'
    | 'nothing';
  /** Million parameters, classifier included; `undefined` where none were published. */
  readonly parameters?: PublishedNumber;
  readonly source: string;
}

const release = 'the authors’ PyTorch release';

function released(
  name: string,
  size: DetNasRelease['size'],
  searched: DetNasRelease['searched'],
  architecture: string,
  { parameters, source = release }: { parameters?: number; source?: string } = {},
): DetNasRelease {
  return {
    name,
    size,
    searched,
    architecture: parseArchitecture(architecture, detNasSpace(detNasSizes[size])),
    parameters:
      parameters === undefined
        ? undefined
        : { value: parameters, confidence: 'paper', source: 'the authors’ table of networks' },
    source,
  };
}

const large = '00312102 03123320 2113202221310333 13333333';

/** Digits are kinds of unit: 0, 1 and 2 with windows of 3, 5 and 7, 3 like Xception's. */
export const detNasReleases: readonly DetNasRelease[] = [
  released('COCO-FPN-300M', 'small', 'FPN on COCO', '2120 2112 33130031 3132', { parameters: 3.5 }),
  released('COCO-RetinaNet-300M', 'small', 'RetinaNet on COCO', '2311 3213 31113320 3333', {
    parameters: 3.7,
  }),
  released('VOC-FPN-300M', 'small', 'FPN on VOC', '2103 1303 20113333 3331', { parameters: 3.7 }),
  released('VOC-RetinaNet-300M', 'small', 'RetinaNet on VOC', '1300 2333 23333220 2311', { parameters: 3.5 }),
  released('COCO-FPN-1.3G', 'large', 'FPN on COCO', large, { parameters: 10.4 }),
  released('COCO-FPN-3.8G', 'x1.8', 'FPN on COCO', large, { parameters: 29.5 }),
  released('COCO-FPN-300M, searched again', 'small', 'FPN on COCO', '0001 2033 12223331 3232', {
    source: 'a comment in the authors’ PyTorch release',
  }),
  released('SPOS', 'small', 'classification of ImageNet', '2101 2020 20230000 3233', {
    source: 'the release of Single Path One-Shot, by some of the same authors',
  }),
];

/** The hand-made rivals: every unit of one kind. */
export function uniformArchitecture(size: Pick<DetNasSize, 'blocks'>, kind: number): Architecture {
  return detNasSpace(size).choices.map(() => kind);
}
