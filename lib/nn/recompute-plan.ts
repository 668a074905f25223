/**
 * Which layers of a chain to compute again instead of keeping what their gradient needs (Chen et al., "Training deep nets with sublinear
 * memory cost", arXiv 1604.06174): plans, and what they take and cost. All arithmetic; `runSegments` runs a plan.
 */
import { segmentsOf } from './plan-segments';

/** One layer of a chain, as a plan sees it. `measureLayers` measures it. */
export interface ChainLayer {
  /**
   * Bytes that a stored layer adds to what is kept for the gradient: everything that outlives its forward pass, its output among it, its
   * input not (that is the output of the layer before).
   */
  readonly keptBytes: number;
  /** Bytes of its output: all that is kept of a recomputed segment is the output of its last layer. */
  readonly outputBytes: number;
  /** What one forward pass costs, in any unit: seconds, multiply-adds. */
  readonly cost: number;
}

/** Layers one after another that are treated alike. */
export interface PlanSegment {
  /** How many layers. */
  readonly length: number;
  /** True: only the output is kept, the rest is computed again on the way back. False: everything is kept. */
  readonly recompute: boolean;
}

/** Segments in the order of the layers; their lengths add up to the number of layers. */
export type RecomputePlan = readonly PlanSegment[];

/** What surrounds a chain. */
export interface ChainSurroundings {
  /**
   * Bytes that whatever follows the chain (a detector's heads, the loss) keeps for its own gradient. They are there when the chain's
   * forward pass has ended and gone before its backward pass begins. Default 0.
   */
  readonly afterBytes?: number;
  /**
   * Numbers of layers after which the output is kept in any case, because something else uses it: the maps that a detector takes from its
   * trunk. A segment ends there. Default none. `planForBudget` and `planPeakLimit` heed them.
   */
  readonly ends?: readonly number[];
}

/** Keeps everything: training without recomputation. */
export function storedPlan(layers: number): RecomputePlan {
  checkCount('storedPlan', layers);
  return [{ length: layers, recompute: false }];
}

/**
 * The paper's rule (section 4): ceil(sqrt(n)) segments of as equal lengths as possible, the longer ones first.
 *
 * The last segment is stored: its gradient is taken right after its forward pass, so that computing it twice would cost time and save
 * nothing. Where much follows the chain (`afterBytes`) that is not so, and `recomputeLast` recomputes it too.
 *
 * For n equal layers that keep `kept` bytes each, `output` of them in their output, the peak of m segments of n / m layers is `(m - 1)
 * output + (n / m) kept`, about 2 sqrt(n) maps where output and kept are one map; what is computed twice is all but the last segment.
 */
export function squareRootPlan(layers: number, recomputeLast: boolean = false): RecomputePlan {
  checkCount('squareRootPlan', layers);
  const segments = Math.ceil(Math.sqrt(layers));
  const [short, longer] = [Math.floor(layers / segments), layers % segments];
  return Array.from({ length: segments }, (_, i) => ({
    length: i < longer ? short + 1 : short,
    recompute: recomputeLast || i < segments - 1,
  }));
}

/** Segments of `length` layers, the last perhaps shorter; the last is stored, as in `squareRootPlan`. */
export function equalSegmentsPlan(layers: number, length: number): RecomputePlan {
  checkCount('equalSegmentsPlan', layers);
  if (!(Number.isInteger(length) && length > 0)) {
    throw new RangeError(`equalSegmentsPlan: a segment has one layer or more, got ${length}`);
  }
  const segments = Math.ceil(layers / length);
  return Array.from({ length: segments }, (_, i) => ({
    length: i < segments - 1 ? length : layers - i * length,
    recompute: i < segments - 1,
  }));
}

/**
 * Most bytes that are kept at once. When the gradient of a segment is taken, there is what the segments before it keep (of a recomputed
 * one the output, of a stored one everything), and everything of the segment itself, stored or computed again; what came after it is free
 * already. So the peak is the largest of these sums over the segments, or what the whole chain keeps with `afterBytes` on top.
 *
 * Not in it: the chain's input, parameters and their gradients, and the few maps that a layer's gradient works with.
 * @throws RangeError when the plan is not one for these layers.
 */
export function planPeakBytes(
  layers: readonly ChainLayer[],
  plan: RecomputePlan,
  { afterBytes = 0 }: ChainSurroundings = {},
): number {
  let [before, peak] = [0, 0];
  for (const { layers: own, recompute } of segmentsOf('planPeakBytes', layers, plan)) {
    const kept = own.reduce((sum, { keptBytes }) => sum + keptBytes, 0);
    peak = Math.max(peak, before + kept);
    before += recompute ? own[own.length - 1].outputBytes : kept;
  }
  return Math.max(peak, before + afterBytes);
}

/**
 * What the layers that are computed twice cost once more, in the unit of `cost`. Throws a RangeError when the plan is not one for these
 * layers.
 */
export function planExtraCost(layers: readonly ChainLayer[], plan: RecomputePlan): number {
  return segmentsOf('planExtraCost', layers, plan)
    .filter(({ recompute }) => recompute)
    .flatMap(({ layers: own }) => own)
    .reduce((sum, { cost }) => sum + cost, 0);
}

/** One point of `segmentLengthCurve`. */
export interface SegmentLengthPoint {
  readonly segmentLength: number;
  readonly segments: number;
  readonly peakBytes: number;
  /** In the unit of the layers' `cost`. */
  readonly extraCost: number;
}

/**
 * Peak and cost of `equalSegmentsPlan` for every length of a segment, from 1 to all layers (which keeps everything). Of n equal layers
 * the peak is lowest about the length sqrt(n output / kept), which is sqrt(n) where a layer keeps nothing but its output.
 */
export function segmentLengthCurve(
  layers: readonly ChainLayer[],
  surroundings: ChainSurroundings = {},
): SegmentLengthPoint[] {
  return layers.map((_, i) => {
    const plan = equalSegmentsPlan(layers.length, i + 1);
    return {
      segmentLength: i + 1,
      segments: plan.length,
      peakBytes: planPeakBytes(layers, plan, surroundings),
      extraCost: planExtraCost(layers, plan),
    };
  });
}

function checkCount(caller: string, layers: number): void {
  if (Number.isInteger(layers) && layers > 0) return;
  throw new RangeError(`${caller}: a chain has one layer or more, got ${layers}`);
}
