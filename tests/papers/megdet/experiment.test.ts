/** Training and measuring an arm, on a task of a few seconds. */
import { beforeAll, expect, test } from 'vitest';
import {
  batchNormLayers,
  buildMegDet,
  evaluateMegDet,
  type MegDetArm,
  megDetLoader,
  type MegDetRecipe,
  megDetRecipes,
  megDetStudies,
  tf,
  trainMegDet,
  useBackend,
} from 'detlab';
import { rectangles } from '../../models/rectangles';

beforeAll(async () => {
  await useBackend();
});

const recipe: MegDetRecipe = {
  ...megDetRecipes.quick,
  sceneSize: 64,
  images: 8 * 60,
  learningRate: 0.03,
  compile: true,
};
const data = rectangles(16, { size: 64, side: [16, 14] });
const [base] = megDetStudies(recipe).batch;

async function run(arm: MegDetArm, images: number, compile = true) {
  const detector = await buildMegDet(recipe, arm, 2, 3);
  const tensors = tf.memory().numTensors;
  const { logs, divergedAt } = await trainMegDet({
    recipe: { ...recipe, images, compile },
    arm,
    detector,
    batches: megDetLoader(recipe, arm, data, 3),
    seed: 3,
  });
  expect(divergedAt).toBeUndefined();
  expect(tf.memory().numTensors).toBe(tensors);
  return { detector, losses: logs.map(({ loss }) => loss) };
}

test('an arm learns, gives the same numbers again, and leaves no tensors', { timeout: 240_000 }, async () => {
  const { detector, losses } = await run(base, recipe.images);
  expect(losses).toHaveLength(60);
  expect(losses.at(-1)!).toBeLessThan(losses[0] / 2);
  const evaluation = await evaluateMegDet(recipe, detector, data);
  expect(evaluation!.voc.map).toBeGreaterThan(0.5);

  // An update that overflows leaves a network without scores.
  const { variable } = detector.model.parameters().find(({ name }) => name.includes('cls_score'))!;
  variable.assign(tf.fill(variable.shape, NaN));
  expect(await evaluateMegDet(recipe, detector, data)).toBeUndefined();
  detector.model.dispose();

  const [first, second] = [await run(base, 40, false), await run(base, 40, false)];
  expect(second.losses).toEqual(first.losses);
  for (const { detector: same } of [first, second]) same.model.dispose();
});

test('arms normalise as they say', { timeout: 240_000 }, async () => {
  const statistics = (detector: Awaited<ReturnType<typeof run>>['detector']): number[] =>
    batchNormLayers(detector.model.backbone.body).flatMap(({ running_var, weight }) => [
      ...running_var.dataSync(),
      ...weight.dataSync(),
    ]);
  const one = async (batchNorm: MegDetArm['batchNorm']) => {
    const { detector, losses } = await run({ ...base, batchNorm }, 24, false);
    const after = statistics(detector);
    detector.model.dispose();
    return { losses, after };
  };
  const fresh = await buildMegDet(recipe, { batchNorm: 'batch' }, 2, 3);
  const before = statistics(fresh);
  fresh.model.dispose();
  const [whole, all, few, frozen] = [await one('batch'), await one(8), await one(2), await one('frozen')];
  expect(all).toEqual(whole);
  expect(few.losses[0]).not.toBeCloseTo(whole.losses[0], 5);
  expect(few.after).not.toEqual(whole.after);
  expect(whole.after).not.toEqual(before);
  expect(frozen.after).toEqual(before);
});
