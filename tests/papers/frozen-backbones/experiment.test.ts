/** Training and measuring an arm, on a task of a few seconds. */
import { beforeAll, expect, test } from 'vitest';
import {
  buildFrozen,
  detectorTrunk,
  evaluateFrozen,
  type FrozenArm,
  frozenArm,
  frozenLoader,
  type FrozenRecipe,
  frozenRecipes,
  tf,
  trainFrozen,
  useBackend,
} from 'detlab';
import { rectangles } from '../../models/rectangles';

beforeAll(async () => {
  await useBackend();
});

const recipe: FrozenRecipe = {
  ...frozenRecipes.quick,
  sceneSize: 64,
  images: 8 * 90,
  learningRate: 0.05,
  warmupSteps: 5,
  compile: true,
};
const data = rectangles(16, { size: 64, side: [16, 14] });
const base = frozenArm(recipe, { reuse: 'frozen', capacity: 'fpn' });

async function run(arm: FrozenArm, images: number) {
  const detector = await buildFrozen(recipe, arm, 2, 3);
  const trunk = detectorTrunk(detector.model).namedVariables();
  const before = trunk.map(({ variable }) => [...variable.dataSync()]);
  const tensors = tf.memory().numTensors;
  const { logs, divergedAt } = await trainFrozen({
    recipe: { ...recipe, images, compile: images > 100 },
    arm,
    detector,
    batches: frozenLoader(recipe, arm, data, 3),
    seed: 3,
  });
  expect(divergedAt).toBeUndefined();
  expect(tf.memory().numTensors).toBe(tensors);
  const moved = trunk.filter(({ variable }, i) =>
    [...variable.dataSync()].some((value, k) => value !== before[i][k]),
  );
  return { detector, losses: logs.map(({ loss }) => loss), moved: moved.length, trunk: trunk.length };
}

test('a frozen arm learns, and its trunk stays as it was', { timeout: 240_000 }, async () => {
  const { detector, losses, moved } = await run(base, recipe.images);
  expect(losses).toHaveLength(90);
  expect(losses.at(-1)!).toBeLessThan(losses[0] / 2);
  expect(moved).toBe(0);
  const evaluation = await evaluateFrozen(recipe, base, detector, data);
  expect(evaluation!.voc.map).toBeGreaterThan(0.5);

  // A network without scores has diverged.
  const { variable } = detector.model.parameters().find(({ name }) => name.includes('cls_score'))!;
  variable.assign(tf.fill(variable.shape, NaN));
  expect(await evaluateFrozen(recipe, base, detector, data)).toBeUndefined();
  detector.model.dispose();
});

test('fine-tuning moves all of the trunk, adapters and augmentations run', { timeout: 240_000 }, async () => {
  const arms: FrozenArm[] = [
    frozenArm(recipe, { reuse: 'fine-tuned', capacity: 'fpn' }),
    frozenArm(recipe, { reuse: 'frozen', capacity: 'fpn', adapters: true, augmentation: 'copy-paste' }),
    frozenArm(recipe, {
      reuse: 'frozen',
      capacity: 'nas-fpn',
      detector: 'retinanet',
      data: 'long-tail-repeated',
    }),
    frozenArm(recipe, { reuse: 'scratch', capacity: 'nas-fpn-cascade', augmentation: 'jitter' }),
  ];
  const results = [];
  for (const arm of arms) {
    const { detector, moved, trunk, losses } = await run(arm, 24);
    detector.model.dispose();
    results.push({ moved, trunk });
    expect(losses).toHaveLength(3);
  }
  const [tuned, adapted, retinaNet, scratch] = results;
  expect(tuned.moved).toBe(tuned.trunk);
  expect(adapted.moved).toBeGreaterThan(0);
  expect(adapted.moved).toBeLessThan(adapted.trunk / 3); // the adapters alone
  expect(retinaNet.moved).toBe(0);
  expect(scratch.moved).toBe(scratch.trunk);
});
