/** What the leading thread and the devices tell each other. */
import type { Batch } from '../../data/loader';
import type { BackendName } from '../../tensor/ladder';
import type { StateDict } from '../../weights/host-tensor';
import type { WeightAverageOptions } from '../weight-average';
import type { SynchronisationMethod } from './cross-device-batch-norm';
import type { DeviceReading } from './device-reading';
import type { ReplicaSource } from './replica';
import type { SharedMemory } from './shared-memory';
import type { Shard } from './shards';

/** What a device begins with. */
export interface DeviceJob {
  readonly rank: number;
  readonly devices: number;
  readonly source: ReplicaSource;
  readonly backend: BackendName;
  /** For the gradients of all devices. */
  readonly everybody: SharedMemory;
  /** For batch normalisation across these devices; left out where each normalises its own images. */
  readonly together?: { readonly memory: SharedMemory; readonly method: SynchronisationMethod };
  readonly clipNorm: number;
  readonly gradientChange: boolean;
  readonly average?: WeightAverageOptions;
  readonly compile: boolean;
}

/** What a device is asked to do. */
export type DeviceRequest =
  /** Takes over a state. */
  | { readonly type: 'load'; readonly state: StateDict }
  /** Forward, backward, and the sum over all devices. */
  | { readonly type: 'gradient'; readonly batch: Batch; readonly shard: Shard }
  /** The update by that sum. */
  | { readonly type: 'update'; readonly rate: number }
  /** Forgets that sum: the step is not to be. */
  | { readonly type: 'forget' }
  | { readonly type: 'state' }
  | { readonly type: 'hash' }
  | { readonly type: 'end' };

/** What an update was like; the same on all devices. */
export interface UpdateReport {
  readonly finite: boolean;
  readonly loss: number;
  readonly parts: Readonly<Record<string, number>>;
  readonly gradientNorm: number;
  readonly gradientChange: number;
}

/** What a device answers. */
export type DeviceReply =
  | { readonly type: 'ready' }
  | { readonly type: 'done' }
  | { readonly type: 'gradient'; readonly reading: DeviceReading }
  | { readonly type: 'update'; readonly report: UpdateReport }
  | { readonly type: 'state'; readonly state: StateDict }
  | { readonly type: 'hash'; readonly hash: string }
  /** It gave up because others did. It can still be asked for its state. */
  | { readonly type: 'aborted' }
  | { readonly type: 'failed'; readonly message: string; readonly stack: string };
