/** What a training step of a detector costs: parameters, multiply-adds forward and backward, memory; of all and by part. */
import { batchNormLayers } from '../nn/freeze-batch-norm';
import { type ForwardContext, type Module } from '../nn/module';
import { moduleNames } from '../nn/summary';
import { nextTensorId } from '../tensor/gradient-tape';
import { watchGradients } from '../tensor/kernels/watch-gradients';
import { liveBytes } from '../tensor/live-bytes';
import { drawnAgain, RandomStream } from '../tensor/random-stream';
import { tf } from '../tensor/tf';
import { gradientPass, releasePass } from '../train/gradient-pass';
import type { Detector } from './detector';
import { detectorMemory, type DetectorMemoryOptions, detectorPart } from './detector-memory';

/** Multiply-adds of one step, for the whole batch: convolutions and fully connected layers, as `summarize` counts them. */
export interface StepMultiplyAdds {
  readonly forward: number;
  /** Run again on the way back, by recomputed segments (`recompute`). */
  readonly recomputed: number;
  /** For the gradients of the weights: of those that are trained. */
  readonly backwardWeights: number;
  /** For the gradients of the layers' inputs: of those behind which something is trained. */
  readonly backwardInputs: number;
  readonly total: number;
}

/** Numbers of a network that training could update; frozen ones included, running statistics not. */
export interface TrainedNumbers {
  readonly parameters: number;
  /** Those that it does update. */
  readonly trainable: number;
}

/** One part of a detector. */
export interface PartCost extends StepMultiplyAdds, TrainedNumbers {
  /** See `PartMemory`. */
  readonly part: string;
  /** What its forward pass keeps for the gradient, bytes. */
  readonly keptBytes: number;
}

/** What a training step costs. */
export interface TrainingCost extends StepMultiplyAdds, TrainedNumbers {
  /** Share of the parameters that is trained, 0 to 1. */
  readonly trainableShare: number;
  /** In the order in which they run; `input` first. */
  readonly parts: readonly PartCost[];
  /** What the forward pass keeps for the gradient (see `detectorMemory`), the batch itself included. */
  readonly keptBytes: number;
  /** Of all parameters. */
  readonly parameterBytes: number;
  /** Of the gradients, one number a trained parameter. */
  readonly gradientBytes: number;
  /** Of the optimiser's slots, for the trained parameters alone. */
  readonly slotBytes: number;
  /**
   * What the forward and the backward pass add to what was there before, at the worst moment: the batch, what is kept, gradients.
   * Measured in an eager pass, which frees as it goes as training does. Parameters, running statistics and slots come on top.
   */
  readonly peakBytes: number;
}

/** Options of `trainingCost`. */
export interface TrainingCostOptions extends DetectorMemoryOptions {
  /** Numbers that the optimiser keeps for each parameter: 1 with momentum, 2 for Adam. Default 1. */
  readonly slots?: number;
}

/**
 * Runs a detector's loss and its gradient once, on images of zeros, and counts. Nothing is updated, and random numbers that are drawn are
 * drawn again in training. Each gradient is counted where it is computed, so that frozen weights, trunks that are run apart or whose
 * maps are given (`context.trunkMaps`), and recomputed segments count as what they are. Second stages count the regions that training
 * samples, not those of inference.
 *
 * The bytes are those of TensorFlow.js's tensors on the backend in use; multiply-adds are the same on all.
 * @throws RangeError for a batch or a number of slots that is none, for objects of another number of images, and where nothing is trained.
 */
export function trainingCost(
  detector: Pick<Detector, 'model' | 'inputSize' | 'loss' | 'targets'>,
  options: TrainingCostOptions = {},
): TrainingCost {
  const { batch = 1, slots = 1 } = options;
  if (!(Number.isInteger(batch) && batch > 0)) {
    throw new RangeError(`trainingCost: a batch has a whole number of images, 1 or more, not ${batch}`);
  }
  if (!(Number.isInteger(slots) && slots >= 0)) {
    throw new RangeError(
      `trainingCost: an optimiser has a whole number of slots a parameter, 0 or more, not ${slots}`,
    );
  }
  const parts = new Parts();
  countParameters(detector.model, parts);
  if (parts.sum('trainable') === 0) throw new RangeError('trainingCost: the detector trains no parameter');
  const memory = detectorMemory(detector, options);
  const order = ['input'];
  const peakBytes = countPass(detector, options, (layer, kind, multiplyAdds) => {
    order.push(detectorPart(layer));
    parts.add(detectorPart(layer), kind, multiplyAdds);
  });
  for (const { part, bytes } of memory.parts) parts.add(part, 'keptBytes', bytes);
  const { keptBytes, ...sums } = Object.fromEntries(counts.map((kind) => [kind, parts.sum(kind)])) as Counts;
  const { parameters, trainable } = sums;
  return {
    ...withTotal(sums),
    trainableShare: trainable / parameters,
    parts: parts.rows(order),
    keptBytes,
    parameterBytes: 4 * parameters,
    gradientBytes: 4 * trainable,
    slotBytes: 4 * slots * trainable,
    peakBytes,
  };
}

const counts = [
  'parameters',
  'trainable',
  'forward',
  'recomputed',
  'backwardWeights',
  'backwardInputs',
  'keptBytes',
] as const;

type Count = (typeof counts)[number];
type Counts = Record<Count, number>;

function withTotal<T extends Omit<StepMultiplyAdds, 'total'>>(row: T): T & StepMultiplyAdds {
  return { ...row, total: row.forward + row.recomputed + row.backwardWeights + row.backwardInputs };
}

/** Sums by part. */
class Parts {
  private readonly sums = new Map<string, Counts>();

  add(part: string, kind: Count, amount: number): void {
    const none = Object.fromEntries(counts.map((count) => [count, 0])) as Counts;
    const row = this.sums.get(part) ?? none;
    row[kind] += amount;
    this.sums.set(part, row);
  }

  sum(kind: Count): number {
    return [...this.sums.values()].reduce((sum, row) => sum + row[kind], 0);
  }

  /** First those that `order` names. */
  rows(order: readonly string[]): PartCost[] {
    return [...new Set([...order, ...this.sums.keys()])].flatMap((part) => {
      const row = this.sums.get(part);
      return row ? [withTotal({ part, ...row })] : [];
    });
  }
}

/** The layer that holds a variable, by the variable's name. */
function layerOf(variableName: string): string {
  return variableName.slice(0, Math.max(0, variableName.lastIndexOf('.')));
}

function countParameters(model: Module, parts: Parts): void {
  const done = new Set<tf.Variable>(
    batchNormLayers(model).flatMap(({ running_mean, running_var }) => [running_mean, running_var]),
  );
  for (const { name, variable } of model.namedVariables()) {
    if (done.has(variable)) continue;
    done.add(variable);
    const part = detectorPart(layerOf(name));
    parts.add(part, 'parameters', variable.size);
    if (variable.trainable) parts.add(part, 'trainable', variable.size);
  }
}

/**
 * Runs one gradient pass, tells `note` the multiply-adds of each layer's runs, and gives the bytes that the pass adds at its worst
 * moment.
 */
function countPass(
  detector: Pick<Detector, 'model' | 'inputSize' | 'loss' | 'targets'>,
  { batch = 1, context, groundTruth = Array.from({ length: batch }, () => []) }: TrainingCostOptions,
  note: (layer: string, kind: Exclude<keyof StepMultiplyAdds, 'total'>, multiplyAdds: number) => void,
): number {
  const { model, inputSize } = detector;
  const names = moduleNames(model);
  // What the engine notes of a weight shares its data.
  const layers = new Map<object, string>();
  for (const { name, variable } of model.namedVariables()) {
    // Of a layer that stands in two places the first, as in `names`.
    if (!layers.has(variable.dataId)) layers.set(variable.dataId, layerOf(name));
  }
  const trace: ForwardContext['trace'] = ({ module, multiplyAdds }) => {
    if (multiplyAdds > 0) note(names.get(module) ?? '', 'forward', multiplyAdds);
  };
  const own = context?.random ? undefined : new RandomStream(0);
  const random = context?.random ?? own;
  let afterForward = Infinity;
  const run = (): void => {
    const images = tf.zeros<tf.Rank.R4>([batch, inputSize.height, inputSize.width, 3]);
    const targets = detector.targets(groundTruth);
    const loss = (training: ForwardContext): ReturnType<Detector['loss']> => {
      const result = detector.loss(images, targets, training);
      afterForward = nextTensorId();
      return result;
    };
    releasePass(gradientPass(detector.model.parameters(), loss, { ...context, random, trace }));
  };
  const watcher = {
    reached({ operands, sources, multiplyAdds }): void {
      const layer = sources.map((source) => layers.get(source)).find((name) => name !== undefined);
      // What the engine noted of it when the forward pass was over already, it has computed again.
      if (layer !== undefined && operands[0].id > afterForward) note(layer, 'recomputed', multiplyAdds);
    },
    taken({ sources, multiplyAdds }, operand): void {
      const [mine, other] = [operand, 1 - operand].map((i) => layers.get(sources[i]));
      if (mine !== undefined) note(mine, 'backwardWeights', multiplyAdds);
      // A product of no layer's weight counts as none, as it does forward.
      else if (other !== undefined) note(other, 'backwardInputs', multiplyAdds);
    },
  } satisfies Parameters<typeof watchGradients>[0];
  try {
    const { before, peak } = liveBytes(() =>
      watchGradients(watcher, () => drawnAgain(random, () => tf.tidy(run))),
    );
    return peak - before;
  } finally {
    own?.dispose();
  }
}
