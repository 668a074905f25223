/**
 * EfficientDet's compound scaling (Tan et al., CVPR 2020, section 4.2, equations 1 to 3): one number, phi, sets the resolution, the feature
 * network, the heads and the trunk.
 *
 *     channels = 64 * 1.35^phi     cells = 3 + phi     head depth = 3 + floor(phi / 3)     resolution = 512 + 128 phi
 *
 * The published networks follow it with exceptions: table 1 rounds channels to what suits the hardware (112 for 116.6, 224 for 212.6), has 7
 * cells for D5 and 8 from D6 on, 1280 pixels for D5, and D7 is a D6 for 1536 pixels.
 */
import { efficientNets } from '../../models/backbones/efficientnet';
import type { EfficientDetPlan } from './networks';

/** The rule's numbers before rounding, and their roundings. */
export interface EfficientDetScaling {
  readonly phi: number;
  readonly exact: { readonly channels: number; readonly cells: number; readonly resolution: number };
  /** To the nearest multiple of 8, at least 8. */
  readonly channels: number;
  /** To the nearest whole number, at least 1. */
  readonly cells: number;
  /** At least 1. */
  readonly headDepth: number;
  /** To the nearest multiple of 128, which every level to P7 divides, at least 128. */
  readonly resolution: number;
  /** The trunk's multipliers: see `trunkScaling`. */
  readonly trunk: { readonly width: number; readonly depth: number };
}

/**
 * The equations, for any phi: below 0 they give networks smaller than D0. Cells are as few as can be from -2 on, the resolution as low from
 * -3 on. There P7 has one cell, which batch norm leaves nothing of in small batches: take more pixels, or fewer levels, for training.
 */
export function efficientDetScaling(phi: number): EfficientDetScaling {
  if (!Number.isFinite(phi)) throw new RangeError(`efficientDetScaling: phi is ${phi}, not a number`);
  const exact = { channels: 64 * 1.35 ** phi, cells: 3 + phi, resolution: 512 + 128 * phi };
  return {
    phi,
    exact,
    channels: Math.max(8, 8 * Math.round(exact.channels / 8)),
    cells: Math.max(1, Math.round(exact.cells)),
    headDepth: Math.max(1, 3 + Math.floor(phi / 3)),
    resolution: Math.max(128, 128 * Math.round(exact.resolution / 128)),
    trunk: trunkScaling(phi),
  };
}

/**
 * Width and depth of the trunk. At whole numbers from 0 to 7 EfficientNet-B0 to B7; between them straight lines, above 7 B7. Below 0 they
 * go on by EfficientNet's own rule (Tan and Le, ICML 2019, section 3.3), 1.1^phi and 1.2^phi; neither paper has networks there.
 */
export function trunkScaling(phi: number): { width: number; depth: number } {
  if (phi < 0) return { width: 1.1 ** phi, depth: 1.2 ** phi };
  const published = Object.values(efficientNets);
  const from = Math.min(Math.floor(phi), published.length - 1);
  const [a, b] = [published[from], published[Math.min(from + 1, published.length - 1)]];
  const share = Math.min(phi, published.length - 1) - from;
  return {
    width: a.width + share * (b.width - a.width),
    depth: a.depth + share * (b.depth - a.depth),
  };
}

/** The dimensions that are scaled together. */
export type EfficientDetAxis = 'resolution' | 'trunk' | 'channels' | 'cells' | 'headDepth';

/**
 * A network by the rule: `efficientDetPlan(-1)` is smaller than D0, `efficientDetPlan(0, { resolution: 3 })` is D0 with the images of
 * phi = 3, one dimension scaled alone.
 * @param phi of every dimension.
 * @param alone another phi for some of them.
 */
export function efficientDetPlan(
  phi: number,
  alone: Readonly<Partial<Record<EfficientDetAxis, number>>> = {},
): EfficientDetPlan {
  const of = (axis: EfficientDetAxis): EfficientDetScaling => efficientDetScaling(alone[axis] ?? phi);
  return {
    inputSize: of('resolution').resolution,
    trunk: of('trunk').trunk,
    channels: of('channels').channels,
    cells: of('cells').cells,
    headDepth: of('headDepth').headDepth,
  };
}
