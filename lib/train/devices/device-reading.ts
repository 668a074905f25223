/** What a device tells of its part of a step. */

/** How a device's part of a step went. */
export interface DeviceReading {
  readonly rank: number;
  readonly images: number;
  /** Mean over its own images. */
  readonly loss: number;
  /** Seconds of computing, and of waiting for others in all-reduces. */
  readonly computing: number;
  readonly waiting: number;
  /** Bytes that it gave to all-reduces. */
  readonly bytes: number;
  /** How many all-reduces came before the first that it gave something not finite; undefined where all was finite. */
  readonly nonFiniteAt?: number;
  /** Where that began. */
  readonly nonFinite?: string;
}
