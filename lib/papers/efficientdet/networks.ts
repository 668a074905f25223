/** EfficientDet's networks (Tan et al., CVPR 2020, table 1; the authors' release), as plain data, and what builds them. */
import type { EfficientDetDetectorOptions, EfficientDetConfig } from '../../models/efficientdet';
import { EfficientNet, type EfficientNetConfig, efficientNets } from '../../models/backbones/efficientnet';
import type { FusionMethod } from '../../models/necks/fusion';
import { type NeckGraphName, neckGraphs } from '../../models/necks/neck-graphs';

/** A network, less its classes. */
export interface EfficientDetPlan {
  /** Side of the square input, pixels. */
  readonly inputSize: number;
  readonly trunk: EfficientNetConfig;
  /** Channels of the feature network and the heads. */
  readonly channels: number;
  /** Repetitions of the feature network's graph. */
  readonly cells: number;
  /** Convolutions of each head before the one that predicts. */
  readonly headDepth: number;
  /** Default `fast`. */
  readonly fusion?: FusionMethod;
  /** Default `bifpn`. */
  readonly neck?: NeckGraphName;
  /** Coarsest level; the finest is 3. Default 7. */
  readonly maxLevel?: number;
  /** Side of the smallest anchor in steps of its level. Default 4. */
  readonly anchorScale?: number;
  /** Biases before batch norms. Default true, as released. */
  readonly redundantBias?: boolean;
  /** Of feature network and heads. Default as released, epsilon 1e-3 and momentum 0.99. */
  readonly norm?: EfficientDetConfig['norm'];
  /** Of all windows. Default `same`, as released. */
  readonly padding?: 'same' | 'symmetric';
}

/** A published network's name. */
export type EfficientDetName = 'd0' | 'd1' | 'd2' | 'd3' | 'd4' | 'd5' | 'd6' | 'd7' | 'd7x';

type Scale = keyof typeof efficientNets;

/** The trunk drops branches in training with probability 0.2 at its last block, but D0's none. */
function plan(
  scale: Scale,
  [inputSize, channels, cells, headDepth]: readonly [number, number, number, number],
  others: Partial<EfficientDetPlan> = {},
): EfficientDetPlan {
  const { width, depth } = efficientNets[scale];
  const trunk = { width, depth, stochasticDepth: scale === 'b0' ? 0 : 0.2 };
  return { inputSize, trunk, channels, cells, headDepth, ...others };
}

/**
 * The published networks. From D6 on the fusions have no weights, which trains more stably, and D7x has a level more. `efficientDetScaling`
 * is the rule that they follow, and tells where they don't.
 */
export const efficientDets: Readonly<Record<EfficientDetName, EfficientDetPlan>> = {
  d0: plan('b0', [512, 64, 3, 3]),
  d1: plan('b1', [640, 88, 4, 3]),
  d2: plan('b2', [768, 112, 5, 3]),
  d3: plan('b3', [896, 160, 6, 4]),
  d4: plan('b4', [1024, 224, 7, 4]),
  d5: plan('b5', [1280, 288, 7, 4]),
  d6: plan('b6', [1280, 384, 8, 5], { fusion: 'sum' }),
  d7: plan('b6', [1536, 384, 8, 5], { fusion: 'sum', anchorScale: 5 }),
  d7x: plan('b7', [1536, 384, 8, 5], { fusion: 'sum', maxLevel: 8 }),
};

/**
 * The networks that effdet trains anew, as `efficientdet_d0` and so on (weights of the first two are published): padded alike on all sides,
 * without redundant biases, and with an epsilon of 1e-5 in the trunk. Its `tf_efficientdet_d0` and so on are the authors', `efficientDets`.
 */
export function effdetPlan(name: 'd0' | 'd1' | 'd2' | 'd3'): EfficientDetPlan {
  const { trunk, ...others } = efficientDets[name];
  const stochasticDepth = name === 'd0' ? 0.1 : 0.2;
  return {
    ...others,
    trunk: { ...trunk, norm: { epsilon: 1e-5, momentum: 0.9 }, stochasticDepth },
    redundantBias: false,
    padding: 'symmetric',
  };
}

/**
 * The configuration of a network: `new EfficientDet(efficientDetConfig(efficientDets.d0, 90), random)`. The published weights have 90
 * classes: COCO's 80 under their original numbers, less 1.
 */
export function efficientDetConfig(plan: EfficientDetPlan, classes: number): EfficientDetConfig {
  const { trunk, neck = 'bifpn', maxLevel = 7, padding } = plan;
  const { channels, cells, headDepth, fusion, redundantBias, norm } = plan;
  return {
    backbone: (random) => new EfficientNet({ ...trunk, padding: padding ?? trunk.padding }, random),
    graph: neckGraphs[neck](3, maxLevel),
    channels,
    cells,
    headDepth,
    classes,
    fusion,
    redundantBias,
    norm,
    padding,
  };
}

/** What `createEfficientDetDetector` takes besides the network. */
export function efficientDetDetectorOptions({
  inputSize,
  anchorScale,
}: EfficientDetPlan): EfficientDetDetectorOptions {
  return { inputSize: { width: inputSize, height: inputSize }, anchorScale };
}
