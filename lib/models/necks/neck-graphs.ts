/** The feature networks that EfficientDet compares (Tan et al., CVPR 2020, table 5), by name. */
import { biFpn } from './graphs/bifpn';
import { fullyConnectedFpn } from './graphs/fully-connected';
import { nasFpn } from './graphs/nas-fpn';
import { paNet } from './graphs/panet';
import { topDownFpn } from './graphs/top-down';
import type { NeckGraphBuilder } from './neck-graph';

/** A kind of feature network. */
export type NeckGraphName = 'top-down-fpn' | 'panet' | 'nas-fpn' | 'fully-connected-fpn' | 'bifpn';

/**
 * The graphs. FPN and PANet as they were published are one cell of theirs, the repeated ones several; FPN+PANet is PANet's.
 * `neckGraphs['bifpn'](3, 7)`.
 */
export const neckGraphs: Readonly<Record<NeckGraphName, NeckGraphBuilder>> = {
  'top-down-fpn': topDownFpn,
  panet: paNet,
  'nas-fpn': nasFpn,
  'fully-connected-fpn': fullyConnectedFpn,
  bifpn: biFpn,
};
