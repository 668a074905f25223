/** Who is who among the devices: ranks, the memory that they share, and which of them normalise together. */
import { backendInfo } from '../../tensor/backend';
import type { SynchronisationMethod } from './cross-device-batch-norm';
import type { DeviceJob } from './messages';
import { createSharedMemory } from './shared-memory';

/** Batch normalisation across devices. */
export interface AcrossDevices {
  /** Devices that normalise together: the first so many, the next, and so on; must divide their number. `all`, or 1 for each by itself. */
  readonly devices: number | 'all';
  /** Default `mean-then-variance`, the paper's. */
  readonly method?: SynchronisationMethod;
}

/** What `deviceJobs` is told. */
export interface DeviceJobsOptions extends Pick<
  DeviceJob,
  'source' | 'devices' | 'average' | 'clipNorm' | 'gradientChange' | 'compile'
> {
  readonly batchNorm?: AcrossDevices;
}

/** What each device begins with. @throws RangeError where groups don't make up the devices. */
export function deviceJobs(options: DeviceJobsOptions): DeviceJob[] {
  const { devices, source, batchNorm, average, clipNorm, gradientChange, compile } = options;
  const backend = backendInfo()?.name;
  if (backend === undefined) throw new Error('trainOnDevices: call useBackend() first');
  const ranks = Array.from({ length: devices }, (_, rank) => rank);
  const everybody = createSharedMemory(ranks);
  const { devices: wanted = 1 } = batchNorm ?? {};
  const size = wanted === 'all' ? devices : wanted;
  if (!(Number.isInteger(size) && size > 0 && devices % size === 0)) {
    throw new RangeError(
      `trainOnDevices: batchNorm.devices is ${size}, which does not divide ${devices} devices into groups`,
    );
  }
  const groups = Array.from({ length: devices / size }, (_, i) =>
    createSharedMemory(ranks.slice(i * size, (i + 1) * size)),
  );
  return ranks.map((rank) => ({
    rank,
    devices,
    source,
    backend,
    everybody,
    together:
      size > 1
        ? { memory: groups[Math.floor(rank / size)], method: batchNorm?.method ?? 'mean-then-variance' }
        : undefined,
    clipNorm,
    gradientChange,
    average,
    compile,
  }));
}
