import { beforeAll, expect, it } from 'vitest';
import { randomBatch } from '../../../lib/bench/random-batch';
import { frozenRecipes } from '../../../lib/papers/frozen-backbones/recipes';
import { frozenStepTimes } from '../../../lib/papers/frozen-backbones/step-times';
import { useBackend } from '../../../lib/tensor/backend';
import { tf } from '../../../lib/tensor/tf';

beforeAll(async () => {
  await useBackend();
});

it('times the three ways in as many rounds as asked, and releases everything', async () => {
  const recipe = frozenRecipes.quick;
  const batch = randomBatch(2, recipe.plan.inputSize);
  const options = { recipe, source: recipe.sources.base, batch, classes: 3 };
  const before = tf.memory().numTensors;
  const times = await frozenStepTimes({ ...options, rounds: 2 });
  expect(times.map(({ way }) => way)).toEqual(['fine-tuned', 'frozen', 'frozen, features kept']);
  for (const { milliseconds } of times) {
    expect(milliseconds).toHaveLength(2);
    for (const one of milliseconds) expect(one).toBeGreaterThan(0);
  }
  expect(tf.memory().numTensors).toBe(before);
});
