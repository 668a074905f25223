/** Memory of a detector's training step by part: trunk, pyramid, region proposals, heads. */
import type { GroundTruth } from '../boxes/types';
import { activationMemory, type LayerMemory } from '../nn/activation-memory';
import type { ForwardContext } from '../nn/module';
import { RandomStream } from '../tensor/random-stream';
import { tf } from '../tensor/tf';
import type { Detector } from './detector';

/** What one part of a detector keeps for its gradient. */
export interface PartMemory {
  /**
   * `input`, `stem`, `stage 1`, ..., `FPN`, `RPN`, `second stage`, `loss`; `trunk` where it has no stages;
   * another module by its name, e.g. `head`.
   */
  readonly part: string;
  readonly bytes: number;
}

/** What `detectorMemory` counted. */
export interface DetectorMemory {
  readonly layers: readonly LayerMemory[];
  readonly parts: readonly PartMemory[];
  /** Of all. */
  readonly bytes: number;
}

/** Options of `detectorMemory`. */
export interface DetectorMemoryOptions {
  /** Images of the batch. Default 1. */
  readonly batch?: number;
  /** Objects of each image; shapes, and so bytes, don't depend on them. Default none. */
  readonly groundTruth?: readonly (readonly GroundTruth[])[];
  /** How the training step runs the network. Default: over the whole batch, with random numbers of its own. */
  readonly context?: Omit<ForwardContext, 'training' | 'statistics'>;
}

/**
 * Runs a detector's loss on images of zeros and counts what is alive for the gradient when the forward pass has ended, by layer and by
 * part. Bytes are those of TensorFlow.js's tensors on the backend in use; a compiled step keeps the same but for what the loss can do
 * without.
 */
export function detectorMemory(
  detector: Pick<Detector, 'model' | 'inputSize' | 'loss' | 'targets'>,
  options: DetectorMemoryOptions = {},
): DetectorMemory {
  const { batch = 1, context } = options;
  const { groundTruth = Array.from({ length: batch }, () => []) } = options;
  if (groundTruth.length !== batch) {
    throw new RangeError(`detectorMemory: objects of ${groundTruth.length} images for a batch of ${batch}`);
  }
  const { width, height } = detector.inputSize;
  const images = tf.zeros<tf.Rank.R4>([batch, height, width, 3]);
  const targets = detector.targets(groundTruth);
  const own = context?.random ? undefined : new RandomStream(0);
  try {
    const layers = activationMemory(
      detector.model,
      (training) => void detector.loss(images, targets, training),
      { ...context, random: context?.random ?? own },
    );
    return {
      layers,
      parts: memoryByPart(layers),
      bytes: layers.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  } finally {
    tf.dispose([images, targets]);
    own?.dispose();
  }
}

/** Adds layers' memory up by part, in the order in which the parts begin. */
export function memoryByPart(
  layers: readonly LayerMemory[],
  partOf: (layer: string) => string = detectorPart,
): PartMemory[] {
  const sums = new Map<string, number>();
  for (const { layer, bytes } of layers) {
    const part = partOf(layer);
    sums.set(part, (sums.get(part) ?? 0) + bytes);
  }
  return [...sums].map(([part, bytes]) => ({ part, bytes }));
}

/** Beginnings of layers' names and the parts that they belong to; the first that fits counts. */
const parts: readonly (readonly [RegExp, string])[] = [
  [/^\(input\)$/, 'input'],
  [/^(\(outside\))?$/, 'loss'],
  [/(^|\.)fpn(\.|$)/, 'FPN'],
  [/^rpn(\.|$)/, 'RPN'],
  [/^roi_heads(\.|$)/, 'second stage'],
  [/^(backbone\.)?(backbone|body)(\.(conv|bn)\d)?$/, 'stem'],
  [/^(backbone|body)\./, 'trunk'],
];

/** The part of a detector that a layer belongs to, by its name: see `PartMemory`. */
export function detectorPart(layer: string): string {
  const [, torch, stages] = /^(?:backbone\.|body\.)*(?:layer(\d+)|stages\.(\d+))(?:\.|$)/.exec(layer) ?? [];
  if (torch) return `stage ${torch}`;
  if (stages) return `stage ${Number(stages) + 1}`;
  return parts.find(([name]) => name.test(layer))?.[1] ?? layer.split('.')[0];
}
