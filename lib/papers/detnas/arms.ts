/** The runs of DetNAS's study: searches and their networks, hand-made networks, and paths of supernets. */
import type { DetNasDetectorKind } from './networks';

/** How a network is come by. */
export type DetNasOrigin =
  /** Evolution, and random search of as many evaluations, on a supernet that was trained to detect. */
  | 'evolution'
  | 'random'
  /** Evolution on the supernet of the first step: ClsNASNet. */
  | 'classification'
  /** Every unit a plain 3x3 one: no search. */
  | 'all-3x3';

/** One run of the study, as plain values. */
export type DetNasArm = {
  /** Unique, and the name of its files. */
  readonly name: string;
  readonly detector: DetNasDetectorKind;
  /** Whether the supernet was a classifier first; of hand-made networks it says nothing. */
  readonly pretrained: boolean;
} & (
  | { readonly task: 'network'; readonly origin: DetNasOrigin }
  /** Some paths of a supernet, evaluated with statistics of their own, or with those of the training. */
  | { readonly task: 'paths'; readonly recalibrated: boolean }
);

type Settings = Partial<Pick<DetNasArm, 'detector' | 'pretrained'>>;

/** The arm of a network that is searched, or made by hand, and then trained on its own. */
export function detNasNetworkArm(
  origin: DetNasOrigin,
  { detector = 'fpn', pretrained = true }: Settings = {},
): DetNasArm {
  const name = [origin, detector === 'fpn' ? '' : detector, pretrained ? '' : 'scratch'];
  return {
    name: name.filter((part) => part !== '').join('-'),
    task: 'network',
    origin,
    detector,
    pretrained,
  };
}

/** The arm of paths of a supernet. */
export function detNasPathsArm(
  recalibrated: boolean,
  { detector = 'fpn', pretrained = true }: Settings = {},
): DetNasArm {
  const name = [
    'paths',
    recalibrated ? '' : 'stale',
    detector === 'fpn' ? '' : detector,
    pretrained ? '' : 'scratch',
  ];
  return {
    name: name.filter((part) => part !== '').join('-'),
    task: 'paths',
    recalibrated,
    detector,
    pretrained,
  };
}

/** All of them, those first that others wait for in the notebook. */
export const detNasArms: readonly DetNasArm[] = [
  detNasPathsArm(true),
  detNasPathsArm(false),
  detNasNetworkArm('evolution'),
  detNasNetworkArm('random'),
  detNasNetworkArm('classification'),
  detNasNetworkArm('all-3x3'),
  detNasPathsArm(true, { pretrained: false }),
  detNasNetworkArm('evolution', { pretrained: false }),
  detNasNetworkArm('evolution', { detector: 'retinanet' }),
  detNasNetworkArm('all-3x3', { detector: 'retinanet' }),
];
