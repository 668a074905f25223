/** How devices that train together talk: one operation, behind which there may be shared memory, sockets or NCCL. */

/** One device's end of the line to the others. */
export interface Transport {
  /** Of this device, from 0. */
  readonly rank: number;
  /** How many devices there are. */
  readonly devices: number;
  /**
   * All-reduce: replaces `values`, on every device, by the sum over all devices. Blocks until every one of them has called it with as many values:
   * a layer in the middle of a forward pass can't wait in any other way.
   *
   * All devices get the same bits, and the same ones again whenever the same values are added: ranks are added in their order.
   * @throws TransportAborted when the devices were told to give up, or lengths differ.
   */
  allReduce(values: Float32Array): void;
}

/** Why an all-reduce did not come to its end: another device is gone, or somebody stopped the run. */
export class TransportAborted extends Error {}
