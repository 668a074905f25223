/** What EfficientDet published (Tan et al., CVPR 2020, arXiv 1911.09070, last version), with how surely each number is known. */
import type { NeckGraphName } from '../../models/necks/neck-graphs';
import type { Confidence, PublishedNumber } from '../published';
import type { EfficientDetName } from './networks';

const release = 'the authors’ release, efficientdet/README.md';

function cell(value: number, source: string = release, confidence: Confidence = 'paper'): PublishedNumber {
  return { value, confidence, source };
}

/** A network's row in table 2: COCO test-dev but `validationAp`, one model and one scale. */
export interface PublishedEfficientDet {
  readonly ap: PublishedNumber;
  readonly ap50: PublishedNumber;
  readonly ap75: PublishedNumber;
  readonly apSmall: PublishedNumber;
  readonly apMedium: PublishedNumber;
  readonly apLarge: PublishedNumber;
  /** COCO val2017. */
  readonly validationAp: PublishedNumber;
  /** Millions. */
  readonly parameters: PublishedNumber;
  /** Thousand millions; the paper calls multiply-adds FLOPs. */
  readonly multiplyAdds: PublishedNumber;
  /** Milliseconds an image on a V100, batches of one. */
  readonly latency: PublishedNumber;
}

type Numbers = [number, number, number, number, number, number, number, number, number, number];

function row(
  ...[ap, ap50, ap75, small, medium, large, val, parameters, macs, latency]: Numbers
): PublishedEfficientDet {
  return {
    ap: cell(ap),
    ap50: cell(ap50),
    ap75: cell(ap75),
    apSmall: cell(small),
    apMedium: cell(medium),
    apLarge: cell(large),
    validationAp: cell(val),
    parameters: cell(parameters),
    multiplyAdds: cell(macs),
    latency: cell(latency),
  };
}

/** Table 2 as the release's README has it: the paper's but for rounding, and D5's multiply-adds, for which the paper has 135. */
export const efficientDetPublished: Readonly<Record<EfficientDetName, PublishedEfficientDet>> = {
  d0: row(34.6, 53.0, 37.1, 12.4, 39.0, 52.7, 34.3, 3.9, 2.54, 10.2),
  d1: row(40.5, 59.1, 43.7, 18.3, 45.0, 57.5, 40.2, 6.6, 6.1, 13.5),
  d2: row(43.9, 62.7, 47.6, 22.9, 48.1, 59.5, 43.5, 8.1, 11.0, 17.7),
  d3: row(47.2, 65.9, 51.2, 27.2, 51.0, 62.1, 46.8, 12.0, 24.9, 28.0),
  d4: row(49.7, 68.4, 53.9, 30.7, 53.2, 63.2, 49.3, 20.7, 55.2, 42.8),
  d5: row(51.5, 70.5, 56.1, 33.9, 54.7, 64.1, 51.2, 33.7, 130, 72.5),
  d6: row(52.6, 71.5, 57.2, 34.9, 56.0, 65.4, 52.1, 51.9, 226, 92.8),
  d7: row(53.7, 72.4, 58.4, 35.8, 57.0, 66.3, 53.4, 51.9, 325, 122),
  // effdet counts 77.1 million parameters
  d7x: row(55.1, 74.3, 59.9, 37.2, 57.9, 68.0, 54.4, 77.0, 410, 153),
};

const effdet = 'rwightman/efficientdet-pytorch, README.md';

/** COCO val2017 AP of effdet's `tf_efficientdet_d0` and so on, the authors' weights, with hard NMS. */
export const effdetPortedAp: Readonly<Record<EfficientDetName, PublishedNumber>> = {
  d0: cell(34.2, effdet, 'secondary'),
  d1: cell(40.1, effdet, 'secondary'),
  d2: cell(43.4, effdet, 'secondary'),
  d3: cell(47.1, effdet, 'secondary'),
  d4: cell(49.2, effdet, 'secondary'),
  d5: cell(51.2, effdet, 'secondary'),
  d6: cell(52.0, effdet, 'secondary'),
  d7: cell(53.1, effdet, 'secondary'),
  d7x: cell(54.3, effdet, 'secondary'),
};

/** COCO val2017 AP of the weights that effdet trained itself, `efficientdet_d0` and `efficientdet_d1` (see `effdetPlan`). */
export const effdetTrainedAp: Readonly<Record<'d0' | 'd1', PublishedNumber>> = {
  d0: cell(33.6, effdet, 'secondary'),
  d1: cell(39.4, effdet, 'secondary'),
};

/** A step of table 4: trunk and feature network exchanged one after the other; COCO val2017. */
export interface PublishedSwap {
  readonly name: string;
  readonly ap: PublishedNumber;
  /** Millions. */
  readonly parameters: PublishedNumber;
  /** Thousand millions. */
  readonly multiplyAdds: PublishedNumber;
}

function swap(name: string, ap: number, parameters: number, multiplyAdds: number): PublishedSwap {
  const table = (value: number): PublishedNumber => cell(value, 'table 4');
  return { name, ap: table(ap), parameters: table(parameters), multiplyAdds: table(multiplyAdds) };
}

/** Table 4. */
export const efficientDetSwaps: readonly PublishedSwap[] = [
  swap('ResNet-50 + FPN', 37.0, 34, 97),
  swap('EfficientNet-B3 + FPN', 40.3, 21, 75),
  swap('EfficientNet-B3 + BiFPN', 44.4, 12, 24),
];

/** A feature network of table 5, on one trunk, with separable convolutions; COCO val2017. */
export interface PublishedNeck {
  readonly neck: NeckGraphName;
  readonly weighted: boolean;
  readonly ap: PublishedNumber;
  /** As a multiple of repeated FPN's. */
  readonly parameters: PublishedNumber;
  readonly multiplyAdds: PublishedNumber;
}

function neck(
  name: NeckGraphName,
  weighted: boolean,
  ap: number,
  parameters: number,
  multiplyAdds: number,
): PublishedNeck {
  const table = (value: number): PublishedNumber => cell(value, 'table 5');
  return {
    neck: name,
    weighted,
    ap: table(ap),
    parameters: table(parameters),
    multiplyAdds: table(multiplyAdds),
  };
}

/** Table 5. `panet` is its repeated FPN+PANet. */
export const efficientDetNecks: readonly PublishedNeck[] = [
  neck('top-down-fpn', false, 42.29, 1, 1),
  neck('panet', false, 44.08, 1, 1),
  neck('nas-fpn', false, 43.16, 0.71, 0.72),
  neck('fully-connected-fpn', false, 43.06, 1.24, 1.21),
  neck('bifpn', false, 43.94, 0.88, 0.67),
  neck('bifpn', true, 44.39, 0.88, 0.68),
];

/** A network of table 6, whose sizes the paper does not give. */
export interface PublishedFusion {
  readonly name: string;
  readonly softmaxAp: PublishedNumber;
  readonly fastAp: PublishedNumber;
  /** Of `fast`, in the time that `softmax` takes, on a GPU. */
  readonly speedUp: PublishedNumber;
}

function fusion(name: string, softmaxAp: number, fastAp: number, speedUp: number): PublishedFusion {
  const table = (value: number): PublishedNumber => cell(value, 'table 6');
  return { name, softmaxAp: table(softmaxAp), fastAp: table(fastAp), speedUp: table(speedUp) };
}

/** Table 6. */
export const efficientDetFusions: readonly PublishedFusion[] = [
  fusion('Model1', 33.96, 33.85, 1.28),
  fusion('Model2', 43.78, 43.77, 1.26),
  fusion('Model3', 48.79, 48.74, 1.31),
];

/** AP by the length of training (figure 7), in epochs. */
export const efficientDetSchedules: Readonly<
  Record<'d1' | 'retinanet-r50', Readonly<Record<30 | 90 | 300 | 600, PublishedNumber>>>
> = {
  d1: { 30: figure7(34.6), 90: figure7(38.2), 300: figure7(40.2), 600: figure7(40.5) },
  'retinanet-r50': { 30: figure7(35.5), 90: figure7(37.9), 300: figure7(39.2), 600: figure7(39.5) },
};

function figure7(value: number): PublishedNumber {
  return cell(value, 'figure 7');
}

/** D1's AP by the range of its scale jitter (figure 8) and the epochs of training: wide jitter pays in long trainings only. */
export interface PublishedJitter {
  /** What images are scaled by; `undefined`: not at all. */
  readonly range: readonly [from: number, to: number] | undefined;
  readonly ap300: PublishedNumber;
  readonly ap30: PublishedNumber;
}

/** Figure 8. */
export const efficientDetJitters: readonly PublishedJitter[] = [
  { range: undefined, ap300: figure8(36.8), ap30: figure8(32.2) },
  { range: [0.8, 1.2], ap300: figure8(38.1), ap30: figure8(34.7) },
  { range: [0.5, 1.5], ap300: figure8(39.1), ap30: figure8(35.3) },
  { range: [0.1, 2], ap300: figure8(40.2), ap30: figure8(34.6) },
];

function figure8(value: number): PublishedNumber {
  return cell(value, 'figure 8');
}
