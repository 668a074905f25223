/** What every device has a copy of: the network, its loss and its optimiser, made anew in each thread from a description. */
import type { Batch } from '../../data/loader';
import type { Loss } from '../../losses/loss';
import type { Detector } from '../../models/detector';
import type { ForwardContext, Module } from '../../nn/module';
import { loadFunction } from '../../tensor/load-function';
import type { tf } from '../../tensor/tf';
import type { Optimizer } from '../optimizer';
import type { SgdOptions } from '../sgd';
import { type DetectorInputs, detectorTraining } from '../train-detector';

/** A network as devices train it. */
export interface Replica {
  readonly model: Module;
  /** See `TrainOptions`; called on the device, with its own images. */
  readonly prepare: (batch: Batch) => Record<string, tf.Tensor>;
  /** The differentiated function: a mean over the images that it is given. */
  readonly loss: (inputs: Record<string, tf.Tensor>, context: ForwardContext) => Loss;
  /** See `TrainOptions`. */
  readonly optimizer?: SgdOptions | Optimizer;
  /** Seed of what dropout and the samples of two-stage detectors draw from. Left out: they are given no random numbers. */
  readonly seed?: number;
}

/** Which device a replica is made for. */
export interface ReplicaPlace {
  readonly rank: number;
  readonly devices: number;
}

/** Where to find the function that makes a replica: threads can't be sent functions, but they can load them. */
export interface ReplicaSource {
  /** `detlab`, or the absolute path of a JavaScript file (.js, .cjs or .mjs). */
  readonly module: string;
  /** The exported function: `(settings, place) => Replica`, or a promise of one. `place` is undefined for the copy of the thread that leads. */
  readonly name: string;
  /** What it is given: plain values, as a thread can be sent. */
  readonly settings?: unknown;
}

/** A replica, and where others like it come from. */
export type SourcedReplica = Replica & { readonly source: ReplicaSource };

/** The replica of a detector: `trainDetector`'s targets and loss. */
export function detectorReplica(
  detector: Detector,
  options: Pick<Replica, 'optimizer' | 'seed'> = {},
): Replica {
  const { model, prepare, loss } = detectorTraining(detector);
  return {
    ...options,
    model,
    prepare,
    loss: (inputs, context) => loss(inputs as DetectorInputs, context),
  };
}

/**
 * Makes a replica. What it begins with need not be the same everywhere: devices are given the leading thread's state.
 * @throws an Error naming the module or the export that is not there, or what the replica lacks.
 */
export async function loadReplica(source: ReplicaSource, place?: ReplicaPlace): Promise<SourcedReplica> {
  const { module, name, settings } = source;
  const make = await loadFunction('loadReplica', module, name);
  const replica = (await make(settings, place)) as Partial<Replica> | undefined;
  const lacking = (['model', 'prepare', 'loss'] as const).filter((part) => !replica?.[part]);
  if (lacking.length > 0) {
    throw new Error(`loadReplica: what ${name} of ${module} returned has no ${lacking.join(', no ')}`);
  }
  return { ...(replica as Replica), source };
}
