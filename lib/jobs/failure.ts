/** What happened to a piece of work that gave no result. */

/**
 * `threw`: the worker's function threw. `lost`: its thread or machine died, as often as it was tried. `refused`: a worker would not
 * take it, since it has other code than who asked.
 */
export type JobFailureReason = 'threw' | 'lost' | 'refused';

/** A piece of work gave no result. */
export class JobFailure extends Error {
  override readonly name: string = 'JobFailure';

  /**
   * @param place which payload it was: the how-manieth call of `run`, from 0
   * @param why without the place
   * @param cause what the worker's function threw, with its stack
   */
  constructor(
    readonly place: number,
    readonly reason: JobFailureReason,
    readonly why: string,
    cause?: unknown,
  ) {
    super(`openJobs: payload ${place} ${why}`, cause === undefined ? undefined : { cause });
  }
}

/**
 * What a worker's function throws where it failed for a reason that lies not in the payload (memory ran out here): it is tried again, as if
 * the thread had died.
 */
export class JobLost extends Error {
  override readonly name: string = 'JobLost';
}
