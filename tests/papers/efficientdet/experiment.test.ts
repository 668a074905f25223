/** Training and measuring an arm, on a task of a few seconds. */
import { beforeAll, expect, test } from 'vitest';
import {
  buildEfficientDet,
  efficientDetLoader,
  type EfficientDetRecipe,
  efficientDetRecipes,
  efficientDetStudies,
  evaluateEfficientDet,
  tf,
  timeFusion,
  trainEfficientDet,
  useBackend,
} from 'detlab';
import { rectangles } from '../../models/rectangles';

beforeAll(async () => {
  await useBackend();
});

const recipe: EfficientDetRecipe = {
  ...efficientDetRecipes.quick,
  plan: { ...efficientDetRecipes.quick.plan, cells: 1, maxLevel: 5 },
  sceneSize: 64,
  batchSize: 8,
  steps: 60,
  compile: true,
  warmupSteps: 5,
};

test('an arm learns, gives the same numbers again, and leaves no tensors', { timeout: 240_000 }, async () => {
  const arm = efficientDetStudies(recipe).fusion[1];
  const data = rectangles(16, { size: 64, side: [14, 12] });
  const run = async (steps: number, compile: boolean) => {
    const detector = await buildEfficientDet(recipe, arm, 2, 3);
    const tensors = tf.memory().numTensors;
    const { logs, divergedAt } = await trainEfficientDet({
      recipe: { ...recipe, steps, compile },
      arm,
      detector,
      batches: efficientDetLoader(recipe, arm, data, 3),
    });
    expect(divergedAt).toBeUndefined();
    expect(tf.memory().numTensors).toBe(tensors);
    const { voc, coco } = await evaluateEfficientDet(recipe, arm, detector, data);
    detector.model.dispose();
    return { losses: logs.map(({ loss }) => loss), map: voc.map, ap: coco.ap };
  };
  const { losses, map } = await run(60, true);
  expect(losses).toHaveLength(60);
  expect(losses.at(-1)!).toBeLessThan(losses[0] / 2);
  expect(map).toBeGreaterThan(0.5);
  const [first, second] = [await run(6, false), await run(6, false)];
  expect(second).toEqual(first);
});

test('the loader jitters where the arm says so, to the arm’s resolution', async () => {
  const { jitter, scaling } = efficientDetStudies(recipe);
  const data = rectangles(16, { size: 64, side: [14, 12] });
  const boxes = async (arm: (typeof jitter)[number]) => {
    const loader = efficientDetLoader(recipe, arm, data, 1);
    const { value } = await loader.epoch(0).next();
    await loader.close();
    return value!;
  };
  const sides = ({ groundTruth }: Awaited<ReturnType<typeof boxes>>): number[] =>
    groundTruth.flat().map(({ box: [x1, , x2] }) => x2 - x1);
  const plain = await boxes(jitter[0]);
  const wide = await boxes(jitter.find(({ name }) => name === 'jitter-wide')!);
  expect(plain.shape).toEqual([8, 64, 64, 3]);
  expect(Math.min(...sides(plain))).toBeGreaterThanOrEqual(14);
  expect(Math.min(...sides(wide))).toBeLessThan(14);
  expect(Math.max(...sides(wide))).toBeGreaterThan(Math.max(...sides(plain)));
  const larger = await boxes(scaling.find(({ name }) => name === 'scale-resolution')!);
  expect(larger.shape).toEqual([8, 80, 80, 3]);
});

test(
  'a weighted fusion takes longer than a sum, and timing it leaves no tensors',
  { timeout: 60_000 },
  async () => {
    const before = tf.memory().numTensors;
    const options = { shape: [1, 64, 64, 32], rounds: 9 } as const;
    const times = [await timeFusion('fast', options), await timeFusion('softmax', options)];
    expect(tf.memory().numTensors).toBe(before);
    // The gradient of a weight alone reads every map once more.
    for (const time of times) expect(time).toBeGreaterThan(1);
  },
);
