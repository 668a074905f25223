/** The error of predictions that no box can be made of, which callers must be able to tell from one in the call. */

/** Thrown where a network predicts NaN: it has diverged, or its input is wrong. */
export class NanPrediction extends RangeError {
  /** @param what with its place: `regionDetections: the score of region 3, class 0`. */
  constructor(what: string) {
    super(`${what} is NaN; the network has diverged or its input is wrong`);
  }
}
