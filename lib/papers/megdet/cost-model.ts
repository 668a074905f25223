/**
 * How long training takes on many devices: a model, whose assumptions are its parameters. Nothing in it was measured on a cluster; it is
 * calibrated by one published time, and what it then says of another number of devices is a prediction to compare, not a result.
 */
import { batchNormLayers } from '../../nn/freeze-batch-norm';
import type { Module } from '../../nn/module';
import { megDetImagesPerDevice } from './published';
import { stragglerFactor } from './straggling';

/** What devices tell one another in a step. */
export interface ClusterExchange {
  /** Of all gradients together. */
  readonly gradientBytes: number;
  /** Batch normalisations whose statistics are synchronised. */
  readonly batchNormLayers: number;
  /** Of all of those together. */
  readonly batchNormChannels: number;
}

/** All that the model assumes. */
export interface ClusterAssumptions extends ClusterExchange {
  /** Images that a device has in a step. */
  readonly imagesPerDevice: number;
  /** Images that one device computes in a second on average: forward pass, gradient and update, without waiting for others. */
  readonly imagesPerSecond: number;
  readonly trainingImages: number;
  readonly epochs: number;
  /** Devices that `within` joins. */
  readonly devicesPerMachine: number;
  /** Bytes a second that a device sends to its neighbour, in its machine and in another. */
  readonly bandwidthWithin: number;
  readonly bandwidthBetween: number;
  /** Seconds that a message takes however short it is, in a machine and between two. */
  readonly latencyWithin: number;
  readonly latencyBetween: number;
  /** Share of the gradients' exchange that happens while gradients are still computed. */
  readonly overlap: number;
  /** Devices whose statistics are pooled: BN size over `imagesPerDevice`; 1 synchronises nothing. */
  readonly batchNormDevices: number;
  /** All-reduces a layer, one after another: mean, then variance, or both sums at once; and in either case one for the gradient. */
  readonly synchronisation: 'two-pass' | 'one-pass';
  /** Standard deviation over mean of a device's time for a step (see `stragglerFactor`). */
  readonly variation: number;
  /** Seconds a step that are not explained otherwise, when there is more than one machine. */
  readonly otherSeconds: number;
}

/** The name of an assumption that is a number. */
export type ClusterAssumption = {
  [Name in keyof ClusterAssumptions]: ClusterAssumptions[Name] extends number ? Name : never;
}[keyof ClusterAssumptions];

/** A time that is known. */
export interface KnownTime {
  readonly devices: number;
  readonly hours: number;
}

/** Where a step's seconds go. */
export interface ClusterStepParts {
  /** A device's own computation, on average. */
  readonly compute: number;
  /** Waiting for the slowest device. */
  readonly straggling: number;
  /** Exchanging gradients, as far as nothing is computed meanwhile. */
  readonly gradients: number;
  /** Synchronising batch normalisation. */
  readonly batchNorm: number;
  readonly other: number;
}

/** What the model says of a number of devices. */
export interface ClusterTime {
  readonly devices: number;
  readonly batchSize: number;
  /** Updates of the whole training. */
  readonly updates: number;
  readonly parts: ClusterStepParts;
  readonly stepSeconds: number;
  /** Of all devices together. */
  readonly imagesPerSecond: number;
  readonly hours: number;
}

/** What a network's devices tell one another: every gradient, and the statistics of every batch normalisation that isn't frozen. */
export function exchangeOf(model: Module): ClusterExchange {
  const layers = batchNormLayers(model).filter(({ frozen }) => !frozen);
  return {
    gradientBytes: 4 * model.parameterCount(),
    batchNormLayers: layers.length,
    batchNormChannels: layers.reduce((sum, { weight }) => sum + weight.size, 0),
  };
}

/**
 * MegDet's training, as far as it is known, and assumptions where it is not (epochs, links, variation): machines of eight devices, ten and
 * five thousand million bytes a second. What is exchanged is that of Faster R-CNN with FPN on ResNet-50 for 80 classes; statistics of 32
 * images are pooled. `imagesPerSecond` is left to `calibrated`.
 */
export const megDetAssumptions: ClusterAssumptions = {
  imagesPerDevice: megDetImagesPerDevice,
  imagesPerSecond: 1,
  // COCO train2017
  trainingImages: 118_287,
  epochs: 12,
  gradientBytes: 4 * 41_757_156,
  batchNormLayers: 53,
  batchNormChannels: 26_560,
  devicesPerMachine: 8,
  bandwidthWithin: 10e9,
  bandwidthBetween: 5e9,
  latencyWithin: 10e-6,
  latencyBetween: 20e-6,
  overlap: 0,
  batchNormDevices: 16,
  synchronisation: 'two-pass',
  variation: 0.05,
  otherSeconds: 0,
};

/**
 * Seconds that a ring all-reduce takes (Patarasuk and Yuan, 2009): 2 (n - 1) messages one after another, each of an n-th of the bytes.
 * @param link bytes a second and seconds a message of the ring's slowest connection
 */
export function ringSeconds(
  devices: number,
  bytes: number,
  link: { readonly bandwidth: number; readonly latency: number },
): number {
  return 2 * (devices - 1) * (link.latency + bytes / devices / link.bandwidth);
}

/**
 * What the model says of training on `devices`.
 * @throws RangeError when an assumption makes no sense.
 */
export function clusterTime(devices: number, assumptions: ClusterAssumptions): ClusterTime {
  check(devices, assumptions);
  const { imagesPerDevice, trainingImages, epochs } = assumptions;
  const batchSize = devices * imagesPerDevice;
  const updates = (epochs * trainingImages) / batchSize;
  const compute = imagesPerDevice / assumptions.imagesPerSecond;
  const parts: ClusterStepParts = {
    compute,
    straggling: compute * (stragglerFactor(devices, assumptions.variation) - 1),
    ...waits(devices, assumptions),
  };
  const stepSeconds = Object.values(parts).reduce((sum, part: number) => sum + part, 0);
  return {
    devices,
    batchSize,
    updates,
    parts,
    stepSeconds,
    imagesPerSecond: batchSize / stepSeconds,
    hours: (updates * stepSeconds) / 3600,
  };
}

/** What a step waits for others, whatever is computed. */
function waits(
  devices: number,
  assumptions: ClusterAssumptions,
): Omit<ClusterStepParts, 'compute' | 'straggling'> {
  const { gradientBytes, overlap, synchronisation, batchNormDevices, batchNormChannels } = assumptions;
  const link = (count: number): { bandwidth: number; latency: number } =>
    count > assumptions.devicesPerMachine
      ? { bandwidth: assumptions.bandwidthBetween, latency: assumptions.latencyBetween }
      : { bandwidth: assumptions.bandwidthWithin, latency: assumptions.latencyWithin };
  const group = Math.min(devices, batchNormDevices);
  const reductions = assumptions.batchNormLayers * (synchronisation === 'two-pass' ? 3 : 2);
  // Two numbers a channel forward, and two back.
  const bytes = batchNormChannels * 4 * 4;
  return {
    gradients: (1 - overlap) * ringSeconds(devices, gradientBytes, link(devices)),
    batchNorm: reductions * ringSeconds(group, bytes / Math.max(1, reductions), link(group)),
    other: devices > assumptions.devicesPerMachine ? assumptions.otherSeconds : 0,
  };
}

/**
 * The assumptions with the `imagesPerSecond` of a device at which the model gives the known time.
 * @throws RangeError when the devices' waiting alone would take longer.
 */
export function calibrated(known: KnownTime, assumptions: ClusterAssumptions): ClusterAssumptions {
  check(known.devices, assumptions);
  const { imagesPerDevice, trainingImages, epochs, variation } = assumptions;
  const step = (known.hours * 3600 * known.devices * imagesPerDevice) / (epochs * trainingImages);
  const { gradients, batchNorm, other } = waits(known.devices, assumptions);
  const left = step - gradients - batchNorm - other;
  if (!(left > 0)) {
    throw new RangeError(
      `calibrated: ${known.hours} hours on ${known.devices} devices are ${step.toPrecision(3)} seconds a step, ` +
        `and exchanges alone take ${(step - left).toPrecision(3)}; assume faster links or fewer epochs`,
    );
  }
  return {
    ...assumptions,
    imagesPerSecond: (imagesPerDevice * stragglerFactor(known.devices, variation)) / left,
  };
}

/** A prediction from a known time. */
export interface ClusterPrediction extends ClusterTime {
  /** How many times faster than the known training. */
  readonly speedUp: number;
  /** `speedUp` over the growth in devices: 1 where nothing is lost. */
  readonly efficiency: number;
}

/**
 * Calibrates the model by a known training without synchronised batch norm (MegDet's: 33.2 hours on 8 devices) and predicts the same epochs
 * on other numbers of devices, with it.
 */
export function predictTimes(
  known: KnownTime,
  devices: readonly number[],
  assumptions: ClusterAssumptions,
): ClusterPrediction[] {
  const { imagesPerSecond } = calibrated(known, { ...assumptions, batchNormDevices: 1 });
  return devices.map((count) => {
    const time = clusterTime(count, { ...assumptions, imagesPerSecond });
    const speedUp = known.hours / time.hours;
    return { ...time, speedUp, efficiency: (speedUp * known.devices) / count };
  });
}

/**
 * What one assumption would have to be, the others being as they are, for the prediction to be right; `undefined` where nothing in the
 * range makes it so.
 * @param range ends of the search, above 0; the hours must rise or fall throughout
 */
export function explainTime(
  known: KnownTime,
  target: KnownTime,
  name: ClusterAssumption,
  range: readonly [low: number, high: number],
  assumptions: ClusterAssumptions,
): number | undefined {
  let [low, high] = range;
  if (!(low > 0 && high > low)) {
    throw new RangeError(`explainTime: the range must be two rising numbers above 0, got ${low} and ${high}`);
  }
  const isTooLong = (value: number): boolean =>
    predictTimes(known, [target.devices], { ...assumptions, [name]: value })[0].hours > target.hours;
  const atLow = isTooLong(low);
  if (atLow === isTooLong(high)) return undefined;
  // Sixty halvings of the ratio: to the last digit.
  for (let i = 0; i < 60; i++) {
    const middle = Math.sqrt(low * high);
    if (isTooLong(middle) === atLow) low = middle;
    else high = middle;
  }
  return Math.sqrt(low * high);
}

/** What a prediction owes to one assumption. */
export interface TimeSensitivity {
  readonly name: ClusterAssumption;
  readonly range: readonly [low: number, high: number];
  /** Hours at either end of the range. */
  readonly hours: readonly [low: number, high: number];
}

/** Hours on `devices` when one assumption at a time goes to either end of its range, the most influential first. */
export function timeSensitivity(
  known: KnownTime,
  devices: number,
  ranges: Readonly<Partial<Record<ClusterAssumption, readonly [low: number, high: number]>>>,
  assumptions: ClusterAssumptions,
): TimeSensitivity[] {
  const found = Object.entries(ranges).map(([key, range]): TimeSensitivity => {
    const name = key as ClusterAssumption;
    const at = (value: number): number =>
      predictTimes(known, [devices], { ...assumptions, [name]: value })[0].hours;
    return { name, range, hours: [at(range[0]), at(range[1])] };
  });
  const spread = ({ hours: [a, b] }: TimeSensitivity): number => Math.abs(a - b);
  return found.sort((a, b) => spread(b) - spread(a));
}

function check(devices: number, assumptions: ClusterAssumptions): void {
  const positive: readonly ClusterAssumption[] = [
    'imagesPerDevice',
    'imagesPerSecond',
    'trainingImages',
    'epochs',
    'devicesPerMachine',
    'bandwidthWithin',
    'bandwidthBetween',
    'batchNormDevices',
  ];
  if (!Number.isInteger(devices) || devices < 1) {
    throw new RangeError(`Cluster: the number of devices must be a whole number from 1, got ${devices}`);
  }
  for (const [name, value] of Object.entries(assumptions)) {
    if (typeof value !== 'number') continue;
    const lowest = positive.includes(name as ClusterAssumption) ? Number.MIN_VALUE : 0;
    if (value >= lowest && value < Infinity) continue;
    throw new RangeError(`Cluster: ${name} must be ${lowest > 0 ? 'above 0' : '0 or more'}, got ${value}`);
  }
  if (assumptions.overlap > 1) {
    throw new RangeError(`Cluster: overlap is a share from 0 to 1, got ${assumptions.overlap}`);
  }
}
