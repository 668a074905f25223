/** Plans of recomputation for residual networks: which blocks to compute twice, so that training fits into less memory. */
import { measureLayers, type MeasureLayersOptions, type MeasuredLayer } from '../../nn/measure-layers';
import type { ForwardContext } from '../../nn/module';
import { planForBudget } from '../../nn/recompute-budget';
import {
  planExtraCost,
  planPeakBytes,
  type PlanSegment,
  type RecomputePlan,
  squareRootPlan,
  storedPlan,
} from '../../nn/recompute-plan';
import { tf } from '../../tensor/tf';
import type { ResNet } from './resnet';

/** Options of `planResNet`. */
export interface PlanResNetOptions extends Omit<MeasureLayersOptions, 'repeats'> {
  /** What `seconds` is the median of. Default 1. */
  readonly repeats?: number;
  /** Bytes that pyramid, heads and loss keep for their gradients (`activationMemory`). Default 0. */
  readonly afterBytes?: number;
  /** How the training step will run the network: what it normalises by. */
  readonly context?: Omit<ForwardContext, 'training'>;
}

/** What `planResNet` found. Bytes are those of `planPeakBytes`. */
export interface ResNetPlan {
  /** For `ResNet.recompute`. */
  readonly stages: readonly RecomputePlan[];
  /** The layers of `ResNet.chains()`, measured. */
  readonly layers: readonly (readonly MeasuredLayer[])[];
  readonly peakBytes: number;
  /** Without recomputation. */
  readonly plainPeakBytes: number;
  /** What is computed twice as a share of the network's forward pass, by the layers' `cost`. */
  readonly extraShare: number;
}

/**
 * Measures a network's stem and blocks and plans which of them training recomputes. The maps of the stages end segments, as a detector
 * takes them and keeps them anyway. To use it:
 *
 *     resnet.recompute = planResNet(resnet, [8, 800, 800, 3], 'sqrt').stages;
 *
 * @param inputShape of the batch that will be trained on.
 * @param goal `sqrt`: in each stage the square-root rule (`squareRootPlan`); the last stage's last segment is recomputed where that
 *   lowers the peak. A number: the cheapest plan whose peak is within that many bytes (`planForBudget`).
 * @throws RangeError when no plan fits into the bytes; it names the smallest number that one fits into.
 */
export function planResNet(
  resnet: ResNet,
  inputShape: readonly [number, number, number, number],
  goal: 'sqrt' | number,
  options: PlanResNetOptions = {},
): ResNetPlan {
  const { repeats = 1, cost = 'multiplyAdds', afterBytes = 0, context } = options;
  const chains = resnet.chains();
  const lengths = chains.map(({ length }) => length);
  const x = tf.zeros<tf.Rank.R4>([...inputShape]);
  const layers = measureLayers(chains.flat(), x, context, { repeats, cost });
  x.dispose();
  let end = 0;
  const ends = lengths.map((length) => (end += length));
  const plan =
    goal === 'sqrt'
      ? squareRoots(layers, lengths, afterBytes)
      : planForBudget(layers, goal, { afterBytes, ends });
  const all = [{ length: layers.length, recompute: true }];
  return {
    stages: byStage(plan, lengths),
    layers: ends.map((last, stage) => layers.slice(last - lengths[stage], last)),
    peakBytes: planPeakBytes(layers, plan, { afterBytes }),
    plainPeakBytes: planPeakBytes(layers, storedPlan(layers.length), { afterBytes }),
    extraShare: planExtraCost(layers, plan) / planExtraCost(layers, all),
  };
}

/** The rule in every stage. The last segment of a stage is followed by other stages, that of the last one by what comes after. */
function squareRoots(
  layers: readonly MeasuredLayer[],
  lengths: readonly number[],
  afterBytes: number,
): RecomputePlan {
  const [all, allButLast] = [true, false].map((recomputeLast) =>
    lengths.flatMap((length, stage) => squareRootPlan(length, stage < lengths.length - 1 || recomputeLast)),
  );
  const peak = (plan: RecomputePlan): number => planPeakBytes(layers, plan, { afterBytes });
  return peak(all) < peak(allButLast) ? all : allButLast;
}

/** A plan of all layers as plans of the stages; no segment spans two. */
function byStage(plan: RecomputePlan, lengths: readonly number[]): RecomputePlan[] {
  const rest = [...plan];
  return lengths.map((length) => {
    const own: PlanSegment[] = [];
    for (let left = length; left > 0;) {
      const segment = rest.shift() as PlanSegment;
      own.push(segment);
      left -= segment.length;
    }
    return own;
  });
}
