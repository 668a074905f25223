/**
 * The logit that makes every anchor begin with a score (RetinaNet's pi; Lin et al., ICCV 2017, section 3.3): -ln((1 - prior) / prior).
 * @param owner whose prior it is, for the message
 * @throws RangeError when it is no score between 0 and 1.
 */
export function priorLogit(owner: string, prior: number): number {
  if (prior > 0 && prior < 1) return -Math.log((1 - prior) / prior);
  throw new RangeError(`${owner}: prior is ${prior}; it is a score between 0 and 1, e.g. 0.01`);
}
