/** `npm run bench -- reuse`: a training step with the trunk fine-tuned, frozen, and not run at all. */
import { trainingCost } from '../models/training-cost';
import type { TrunkReuse } from '../models/trunk-reuse';
import { buildFrozen, type FrozenDetector } from '../papers/frozen-backbones/experiment';
import { frozenArm, frozenRecipes } from '../papers/frozen-backbones/recipes';
import type { FrozenSource } from '../papers/frozen-backbones/sources';
import { batchFeatures } from '../train/feature-cache';
import { detectorTraining } from '../train/train-detector';
import { featureTraining } from '../train/train-on-features';
import { type Comparison, takeTurns } from './measure';
import { randomBatch } from './random-batch';
import { type StepWay, stepWay } from './step-way';

const images = 8;
const recipe = frozenRecipes.default;

/** Steps of the notebook's small Faster R-CNN on its small trunk and on ImageNet's. What each costs is told to `note`. */
export async function compareReuse(rounds: number, note: (line: string) => void): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const source of [recipe.sources.base, 'imagenet'] as const) {
    const ways = await waysOf(source, note);
    // A step is recorded before its graph is built, and compared with it afterwards.
    for (const way of ways) for (let i = 0; i < 8; i++) await way.run();
    const contestants = await takeTurns(rounds, ways);
    ways.forEach((way) => way.dispose());
    const size = `trunk ${source}, ${recipe.plan.inputSize} px`;
    comparisons.push({ part: 'step on a trunk', size, images, contestants });
  }
  return comparisons;
}

async function waysOf(source: FrozenSource, note: (line: string) => void): Promise<StepWay[]> {
  const batch = randomBatch(images, recipe.plan.inputSize);
  const build = (reuse: TrunkReuse): Promise<FrozenDetector> =>
    buildFrozen(recipe, frozenArm(recipe, { reuse, source }), 3, 1);
  const ways: StepWay[] = [];
  for (const reuse of ['fine-tuned', 'frozen'] as const) {
    const detector = await build(reuse);
    const { total, keptBytes, trainableShare } = trainingCost(detector, { batch: images });
    note(
      `${source}, ${reuse}: ${(total / 1e9).toFixed(2)} thousand million multiply-adds a step, ${(keptBytes / 1e6).toFixed(1)} MB kept, ` +
        `${(100 * trainableShare).toFixed(0)} % trained`,
    );
    ways.push(stepWay(reuse, detectorTraining(detector), batch));
  }
  const frozen = await build('frozen');
  const features = await batchFeatures(frozen, batch);
  return [...ways, stepWay('frozen, features kept', featureTraining(frozen), features)];
}
