/** Data-parallel training: one network, N devices, each with its share of every batch. */
import type { Batch } from '../../data/loader';
import type { NamedVariable } from '../../nn/module';
import { RandomStream } from '../../tensor/random-stream';
import { checkLimit } from '../checks';
import { GradientProbe } from '../gradient-probe';
import { loadState, saveState } from '../run-state';
import type { Stepper } from '../stepper';
import { chooseAverage, chooseOptimizer, updateSettings } from '../train-parts';
import type { LoopOptions, TrainResult, UpdateOptions } from '../train-options';
import { runTraining } from '../training-loop';
import type { WeightAverageOptions } from '../weight-average';
import { type AcrossDevices, deviceJobs } from './device-jobs';
import { DeviceGroup } from './device-group';
import type { DeviceReading } from './device-reading';
import type { SourcedReplica } from './replica';
import { type Shard, shareOut } from './shards';

/** Options of `trainOnDevices`. */
export interface TrainOnDevicesOptions
  extends Omit<LoopOptions<Batch>, 'accumulate'>, Omit<UpdateOptions, 'average'> {
  /** `loadReplica`'s: its model is trained in place, and its source is where the devices get theirs from. */
  readonly replica: SourcedReplica;
  /** How many devices. */
  readonly devices: number;
  /** How many images each gets in proportion, one number a device. Default: as many as the others. */
  readonly shares?: readonly number[];
  /** How batch normalisation normalises. Default: each device its own images. */
  readonly batchNorm?: AcrossDevices;
  readonly average?: WeightAverageOptions;
  /** A device that does nothing for so long is taken for dead. A step's first time includes compiling. Default 300. */
  readonly timeoutSeconds?: number;
  /** Called after each step with what each device did in it, by rank. */
  readonly onDevices?: (readings: readonly DeviceReading[]) => void;
}

/** What `trainOnDevices` returns. */
export interface DevicesResult extends TrainResult {
  /** SHA-256 over all tensors of the state that each device ended with, by rank: equal, or `trainOnDevices` would have thrown. */
  readonly hashes: readonly string[];
}

/**
 * Trains as `train` does, with the same log, checkpoints, evaluations and resumption, on several devices at once (Goyal et al., arXiv 1706.02677;
 * MegDet, arXiv 1711.07240). A device is a thread with a TensorFlow and a copy of the network of its own. At each step it takes its shard of the
 * batch, the gradients of all are added up, each weighted by its images, and every device makes the same update: parameters stay the same to the
 * bit, which is checked whenever they are brought here.
 *
 * The gradient is that of the whole batch where the loss is a mean over images. It is not where something depends on the batch as a whole: normalisation,
 * unless `batchNorm` makes it one across devices; a loss divided by the batch's positives. Running statistics are means over the devices.
 *
 * A step is compiled unless batch normalisation goes across devices, which meets the others in the middle of it.
 * @throws DeviceFailure naming the device that died, hangs, failed or differs. With `checkpoint`, the state before that step is saved first, and
 *   the same call goes on from there. RangeError where devices, shares or groups make no sense.
 */
export async function trainOnDevices(options: TrainOnDevicesOptions): Promise<DevicesResult> {
  const { replica, devices, shares, batchNorm, clipNorm = Infinity, gradientChange = false } = options;
  const { compile = true, timeoutSeconds = 300 } = options;
  if (!Number.isInteger(devices) || devices < 1 || devices > 256) {
    throw new RangeError(`trainOnDevices: devices must be a whole number from 1 to 256, got ${devices}`);
  }
  if (shares && shares.length !== devices) {
    throw new RangeError(
      `trainOnDevices: ${shares.length} shares for ${devices} devices; give one number each`,
    );
  }
  checkLimit('trainOnDevices', 'clipNorm', clipNorm);
  checkLimit('trainOnDevices', 'timeoutSeconds', timeoutSeconds);
  const { model } = replica;
  const own: { dispose(): unknown }[] = [];
  try {
    const optimizer = chooseOptimizer(model, replica.optimizer, own);
    const average = chooseAverage(model, options.average, own);
    const random = replica.seed === undefined ? undefined : new RandomStream(replica.seed);
    if (random) own.push(random);
    const probe = gradientChange
      ? new GradientProbe(optimizer.parameters.map(({ variable }) => variable))
      : undefined;
    if (probe) own.push(probe);
    const slots = (): NamedVariable[] => probe?.slots(optimizer.parameters) ?? [];
    const parts = { model, optimizer, random, average, step: { slots } };
    const jobs = deviceJobs({ ...options, source: replica.source, compile, clipNorm, gradientChange });
    let group: DeviceGroup | undefined;
    const stepper: Stepper<Batch> = {
      async start() {
        group = await DeviceGroup.start({ jobs, timeoutSeconds });
        await group.load(await saveState(parts));
      },
      async run(batch, { learningRate }) {
        const shards = shareOut(batch.ids.length, shares ?? devices);
        const { readings, report } = await group!.step(batch, shards, learningRate);
        options.onDevices?.(readings);
        if (report.finite) return report;
        return { ...report, problem: problemOf(batch, shards, readings) };
      },
      async gather() {
        loadState(parts, { file: 'the devices’ state', tensors: await group!.state() });
      },
      slots,
      dispose: () => group?.close(),
    };
    own.push(stepper);
    const settings = {
      ...updateSettings({ ...options, optimizer, average }),
      seed: replica.seed ?? null,
      devices: { shares: shares ? [...shares] : devices, batchNorm: batchNorm ? { ...batchNorm } : null },
    };
    const applyAverage = average !== undefined;
    const result = await runTraining({ ...parts, applyAverage, stepper, settings }, options);
    return { ...result, hashes: group ? await group.hashes() : [] };
  } finally {
    for (const thing of own.reverse()) await thing.dispose();
  }
}

/** Names the devices that brought in what is not finite: those that did first, since others may only have it from them. */
function problemOf(batch: Batch, shards: readonly Shard[], readings: readonly DeviceReading[]): string {
  const first = Math.min(...readings.map(({ nonFiniteAt = Infinity }) => nonFiniteAt));
  const guilty = readings.filter(({ nonFiniteAt }) => nonFiniteAt === first);
  // Each was finite, and their sum was too large.
  if (guilty.length === 0) return 'the sum of all devices’ gradients is not finite, though each of them is';
  return guilty
    .map(({ rank, nonFinite }) => {
      const { from, count } = shards[rank];
      const ids = batch.ids.slice(from, from + Math.min(count, 4)).join(', ');
      return `device ${rank} (images ${ids}${count > 4 ? ', …' : ''}): ${nonFinite}`;
    })
    .join('; ');
}
