/** A transport that keeps count: of time, of bytes, and of the first thing given to it that was not finite. */
import type { Transport } from './transport';

/** Notes in a meter what goes through. */
export class MeteredTransport implements Transport {
  readonly rank: number;
  readonly devices: number;

  constructor(
    private readonly transport: Transport,
    /** What several transports of a device share. */
    private readonly meter: Meter,
  ) {
    this.rank = transport.rank;
    this.devices = transport.devices;
  }

  allReduce(values: Float32Array): void {
    const { meter } = this;
    if (meter.nonFiniteAt === undefined && !values.every(Number.isFinite)) meter.nonFiniteAt = meter.calls;
    meter.calls++;
    meter.bytes += values.byteLength;
    const started = performance.now();
    try {
      this.transport.allReduce(values);
    } finally {
      meter.waiting += (performance.now() - started) / 1000;
    }
  }
}

/** Counts of one step of one device. */
export class Meter {
  calls: number = 0;
  /** Seconds in all-reduces, most of them waiting for others. */
  waiting: number = 0;
  /** Given to all-reduces. */
  bytes: number = 0;
  /** The call, from 0, that was given the first values of its own that were not finite. */
  nonFiniteAt: number | undefined;

  /** Begins anew. */
  reset(): void {
    this.calls = 0;
    this.waiting = 0;
    this.bytes = 0;
    this.nonFiniteAt = undefined;
  }
}
