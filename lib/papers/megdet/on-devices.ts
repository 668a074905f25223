/** The experiment on several devices: what a device is sent, training, and how many images a second they do together. */
import type { FasterRcnnDetector } from '../../models/two-stage/faster-rcnn-detector';
import { median } from '../../tensor/median';
import { detectorReplica, type Replica, type ReplicaSource } from '../../train/devices/replica';
import {
  type DevicesResult,
  trainOnDevices,
  type TrainOnDevicesOptions,
} from '../../train/devices/train-on-devices';
import { buildMegDet, megDetArmSchedule, megDetSteps } from './experiment';
import type { MegDetArm, MegDetRecipe } from './recipes';

/** What fixes a device's copy of the detector; plain values. */
export interface MegDetReplicaSettings {
  readonly recipe: MegDetRecipe;
  readonly arm: Pick<MegDetArm, 'batchNorm'>;
  /** Without the background. */
  readonly classes: number;
  /** Of the first weights and of the samples that the losses are taken of. */
  readonly seed: number;
}

/** A device's copy of an arm's detector: `trainMegDet`'s network, loss and optimiser. */
export async function megDetReplica(settings: MegDetReplicaSettings): Promise<Replica> {
  const { recipe, arm, classes, seed } = settings;
  return replicaOf(await buildMegDet(recipe, arm, classes, seed), recipe, seed);
}

function replicaOf(
  detector: FasterRcnnDetector,
  { momentum, weightDecay }: MegDetRecipe,
  seed: number,
): Replica {
  return detectorReplica(detector, { optimizer: { momentum, weightDecay }, seed });
}

/** Options of `trainMegDetOnDevices`. */
export interface TrainMegDetOnDevicesOptions extends Pick<
  TrainOnDevicesOptions,
  'devices' | 'shares' | 'batchNorm' | 'batches' | 'onDevices' | 'onStep' | 'onNotice' | 'checkpoint'
> {
  readonly recipe: MegDetRecipe;
  readonly arm: MegDetArm;
  /** Trained in place: `buildMegDet`'s. */
  readonly detector: FasterRcnnDetector;
  readonly seed: number;
  /** Default: those of the arm. */
  readonly steps?: number;
}

/**
 * `trainMegDet` on several devices. The arm's batch norm says what is frozen; how many devices normalise together is `batchNorm`'s, so that an
 * arm of `n` images' statistics is one of devices of n images that do not.
 */
export function trainMegDetOnDevices(options: TrainMegDetOnDevicesOptions): Promise<DevicesResult> {
  const { recipe, arm, detector, seed, steps = megDetSteps(recipe, arm), ...rest } = options;
  const settings: MegDetReplicaSettings = { recipe, arm, classes: detector.classes, seed };
  const source: ReplicaSource = { module: 'detlab', name: 'megDetReplica', settings };
  return trainOnDevices({
    ...rest,
    replica: { ...replicaOf(detector, recipe, seed), source },
    steps,
    schedule: megDetArmSchedule(recipe, arm),
    compile: recipe.compile,
    settings: { recipe, arm },
  });
}

/** How fast so many devices were. */
export interface DeviceThroughput {
  readonly workers: number;
  /** Of a step, all devices together. */
  readonly images: number;
  /** Of all devices together, by the median step. */
  readonly imagesPerSecond: number;
  /** Seconds of a step on average: computing, and waiting in all-reduces. */
  readonly computing: number;
  readonly waiting: number;
  /** Megabytes that a device gave to all-reduces in a step. */
  readonly megabytes: number;
}

/**
 * Trains for a few steps and takes the time, from the second step on: the first builds graphs.
 * @param steps three or more. @throws RangeError for fewer.
 */
export async function measureThroughput(
  options: Omit<TrainMegDetOnDevicesOptions, 'onDevices' | 'onStep' | 'checkpoint'> & {
    readonly steps: number;
  },
): Promise<DeviceThroughput> {
  if (!(options.steps >= 3)) {
    throw new RangeError(`measureThroughput: steps must be 3 or more, got ${options.steps}`);
  }
  let [computing, waiting, bytes, readings, steps] = [0, 0, 0, 0, 0];
  const result = await trainMegDetOnDevices({
    ...options,
    onDevices: (all) => {
      if (steps++ === 0) return;
      for (const reading of all) {
        readings++;
        computing += reading.computing;
        waiting += reading.waiting;
        bytes += reading.bytes;
      }
    },
  });
  const logs = result.logs.slice(1);
  const { images } = logs[0];
  return {
    workers: options.devices,
    images,
    imagesPerSecond: images / median(logs.map(({ seconds }) => seconds)),
    computing: computing / readings,
    waiting: waiting / readings,
    megabytes: bytes / readings / 1e6,
  };
}
