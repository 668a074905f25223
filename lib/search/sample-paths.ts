/** Paths to train a supernet on: drawn uniformly, or spread over what they cost. */
import type { Architecture, SearchSpace } from '../models/architecture';
import type { Random } from '../tensor/random';
import { type PathCosts, pathCost } from './path-costs';

/** A path of the space, each choice of a block as likely as another (Single Path One-Shot; DetNAS's second step). */
export function uniformPath({ choices }: SearchSpace, random: Random): Architecture {
  return choices.map((count) => random.integer(count));
}

/** Ranges of multiply-adds that paths are drawn from. */
export interface CostBins {
  /** Where the first begins. */
  readonly from: number;
  /** Of each. */
  readonly width: number;
  readonly count: number;
}

/** The released supernet's on ImageNet: 290 to 360 million multiply-adds at 224 pixels, classifier included. */
export const detNasBins: CostBins = { from: 290e6, width: 10e6, count: 7 };

/** Draws that the release allows itself. */
const draws = 500;

/**
 * A path from a range of costs, each range as likely as another: cheap and dear networks, which are rare among uniform paths, are trained as
 * often as the usual ones (the released training of DetNAS's supernet on ImageNet). Where 500 uniform paths have not met the range, any
 * path is taken, as the release does.
 * @param extra multiply-adds that every path has beside the costs', such as a classifier's.
 */
export function binnedPath(
  costs: PathCosts,
  { from, width, count }: CostBins,
  random: Random,
  extra: number = 0,
): Architecture {
  const low = from + width * random.integer(count);
  for (let i = 0; i < draws; i++) {
    const path = uniformPath(costs.space, random);
    const { multiplyAdds } = pathCost(costs, path);
    if (multiplyAdds + extra >= low && multiplyAdds + extra < low + width) return path;
  }
  return uniformPath(costs.space, random);
}
