/** What every way to hand out work has in common. */

/** One payload on its way. */
export interface CarriedJob {
  readonly place: number;
  /** JSON. */
  readonly payload: string;
}

/** One way to hand out work. */
export interface JobCarrier {
  readonly jobs: number;
  /** The result, JSON. Settles when the next one may go out. @throws JobFailure */
  carry(job: CarriedJob, signal: AbortSignal): Promise<string>;
  /** In bounded time; whatever was carried has been aborted before. */
  close(): Promise<void>;
}

/** @throws RangeError unless it is a whole number from 1. */
export function checkCount(value: number, name: string): void {
  if (!(Number.isInteger(value) && value >= 1))
    throw new RangeError(`openJobs: ${name} is a whole number from 1, got ${value}`);
}
