/** How the shipped supernet was made: DetNAS's first step, at the default profile. */
import type { Classifier } from '../../models/classifier';
import { createRandom } from '../../tensor/random';
import { DetNasSupernet } from '../../search/supernet';
import { uniformPath } from '../../search/sample-paths';
import type { PretrainOptions } from '../pretraining';
import { ClassifierPaths } from './classifier-paths';
import { openDetNasUpstream, pretrainDetNas } from './experiment';
import type { DetNasRecipe } from './recipes';

/** The seed of the shipped supernet. */
const seed = 1;
/** Paths whose accuracies are averaged. */
const paths = 16;

/**
 * Trains the supernet as a classifier of drawings. `npm run pretrain` writes it to its file.
 * @returns the classifier, which the caller disposes, and how well its paths classify drawings of a hand that it has not seen, on average.
 */
export async function pretrainDetNasClassifier(
  recipe: DetNasRecipe,
  options: Pick<PretrainOptions, 'onStep' | 'checkpoint' | 'onNotice'> = {},
): Promise<{ readonly model: Classifier; readonly accuracy: number }> {
  const trunk = new DetNasSupernet(recipe.size, createRandom(`detnas/trunk/${seed}`));
  const { train: images, validation } = await openDetNasUpstream(recipe);
  const model = await pretrainDetNas({ ...options, recipe, trunk, images, seed });
  const evaluated = new ClassifierPaths({ recipe, model, space: trunk.space, images, validation });
  const random = createRandom('detnas/classified');
  let sum = 0;
  for (let i = 0; i < paths; i++) sum += await evaluated.accuracy(uniformPath(trunk.space, random));
  evaluated.dispose();
  return { model, accuracy: sum / paths };
}
