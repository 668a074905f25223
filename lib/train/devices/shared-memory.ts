/** A transport between threads of one process: buffers that all of them see, and counters to wait at. */
import { type Transport, TransportAborted } from './transport';

/** What threads share; plain data that `workerData` can carry. */
export interface SharedMemory {
  /** Ranks within the whole group of devices, ascending. */
  readonly ranks: readonly number[];
  /** Places of `words`. */
  readonly control: Int32Array;
  /** One buffer a device. */
  readonly parts: readonly Float32Array[];
  readonly sum: Float32Array;
}

/** Counters in `control`; one `arrivals` and one `length` a device follow. */
const words = {
  /** Not 0: everybody gives up. */
  aborted: 0,
  /** Devices that have come to the present meeting. */
  present: 1,
  /** Meetings that were held; what devices sleep at. */
  meetings: 2,
  devices: 3,
} as const;

/** Values that are added at a time: longer vectors go in pieces, so that memory does not grow with them. */
export const pieceLength: number = 1 << 16;

/** Memory for the devices of these ranks. @throws RangeError without any. */
export function createSharedMemory(ranks: readonly number[], length: number = pieceLength): SharedMemory {
  if (ranks.length === 0)
    throw new RangeError('createSharedMemory: there must be one rank or more, got none');
  const floats = (): Float32Array => new Float32Array(new SharedArrayBuffer(4 * length));
  return {
    ranks: [...ranks],
    control: new Int32Array(new SharedArrayBuffer(4 * (words.devices + 2 * ranks.length))),
    parts: ranks.map(floats),
    sum: floats(),
  };
}

/** Wakes everybody who waits in this memory and lets nobody wait again. */
export function abortSharedMemory({ control }: SharedMemory): void {
  Atomics.store(control, words.aborted, 1);
  Atomics.notify(control, words.meetings);
}

/** How often a device has come to a meeting. Who hangs has come less often than those that wait for it. */
export function arrivals({ control, ranks }: SharedMemory, rank: number): number {
  return Atomics.load(control, words.devices + ranks.indexOf(rank));
}

/**
 * The end of the line for a thread. The sum is worked out by all of them, each a stretch of it, in double precision.
 * @param rank in the whole group; must be among the memory's.
 */
export function sharedMemoryTransport(memory: SharedMemory, rank: number): Transport {
  const { control, parts, sum, ranks } = memory;
  const own = ranks.indexOf(rank);
  if (own < 0) {
    throw new RangeError(`sharedMemoryTransport: rank ${rank} is not among ${ranks.join(', ')}`);
  }
  const devices = ranks.length;
  const giveUp = (): never => {
    throw new TransportAborted(`device ${rank}: the others gave up, or were told to`);
  };
  /** Returns when all are here. */
  const meet = (): void => {
    const meeting = Atomics.load(control, words.meetings);
    if (Atomics.load(control, words.aborted)) giveUp();
    Atomics.add(control, words.devices + own, 1);
    if (Atomics.add(control, words.present, 1) + 1 === devices) {
      Atomics.store(control, words.present, 0);
      Atomics.add(control, words.meetings, 1);
      Atomics.notify(control, words.meetings);
      return;
    }
    while (Atomics.load(control, words.meetings) === meeting) {
      if (Atomics.load(control, words.aborted)) giveUp();
      // Woken by the last to come, or by an abort; one that came between the two lines above is seen a moment later.
      Atomics.wait(control, words.meetings, meeting, 50);
    }
  };
  const lengths = words.devices + devices;
  const checkLengths = (length: number): void => {
    const all = ranks.map((_, i) => Atomics.load(control, lengths + i));
    if (all.every((other) => other === length)) return;
    const said = ranks.map((other, i) => `device ${other} has ${all[i]}`).join(', ');
    throw new TransportAborted(`allReduce: devices must bring as many values each: ${said}`);
  };
  return {
    rank: own,
    devices,
    allReduce(values) {
      if (devices === 1) return;
      Atomics.store(control, lengths + own, values.length);
      let from = 0;
      do {
        const piece = values.subarray(from, from + sum.length);
        parts[own].set(piece);
        meet();
        checkLengths(values.length);
        const share = Math.ceil(piece.length / devices);
        const end = Math.min(piece.length, (own + 1) * share);
        for (let i = own * share; i < end; i++) {
          let total = 0;
          for (let device = 0; device < devices; device++) total += parts[device][i];
          sum[i] = total;
        }
        meet();
        piece.set(sum.subarray(0, piece.length));
        // The next sums are written after the next meeting only: who is still reading these has not come to it.
        from += sum.length;
      } while (from < values.length);
    },
  };
}
