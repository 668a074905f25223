/** `npm run bench -- reuse`: a training step with the trunk fine-tuned, frozen, and not run at all. */
import { trainingCost } from '../models/training-cost';
import { buildFrozen } from '../papers/frozen-backbones/experiment';
import { frozenArm, frozenRecipes } from '../papers/frozen-backbones/recipes';
import { frozenStepTimes } from '../papers/frozen-backbones/step-times';
import type { Comparison } from './measure';
import { randomBatch } from './random-batch';

const images = 8;
const classes = 3;
const recipe = frozenRecipes.default;

/** Steps of the notebook's small Faster R-CNN on its small trunk and on ImageNet's. What each costs is told to `note`. */
export async function compareReuse(rounds: number, note: (line: string) => void): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  const { inputSize } = recipe.plan;
  for (const source of [recipe.sources.base, 'imagenet'] as const) {
    for (const reuse of ['fine-tuned', 'frozen'] as const) {
      const detector = await buildFrozen(recipe, frozenArm(recipe, { reuse, source }), classes, 1);
      const { total, keptBytes, trainableShare } = trainingCost(detector, { batch: images });
      detector.model.dispose();
      note(
        `${source}, ${reuse}: ${(total / 1e9).toFixed(2)} thousand million multiply-adds a step, ${(keptBytes / 1e6).toFixed(1)} MB kept, ` +
          `${(100 * trainableShare).toFixed(0)} % trained`,
      );
    }
    const batch = randomBatch(images, inputSize);
    const times = await frozenStepTimes({ recipe, source, batch, classes, rounds });
    const contestants = times.map(({ way, milliseconds }) => ({ name: way, rounds: milliseconds }));
    comparisons.push({
      part: 'step on a trunk',
      size: `trunk ${source}, ${inputSize} px`,
      images,
      contestants,
    });
  }
  return comparisons;
}
