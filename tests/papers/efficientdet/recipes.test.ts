/** The recipes, their arms, the shipped trunks, and the study that is made of them. */
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  buildEfficientDet,
  createRandom,
  type EfficientDetArm,
  efficientDetArmPlan,
  efficientDetArms,
  efficientDetCosts,
  efficientDetRecipes,
  efficientDets,
  efficientDetSchedule,
  efficientDetScaling,
  efficientDetStudies,
  efficientDetStudy,
  efficientDetSwapRows,
  efficientDetTrunk,
  loadShippedTrunk,
  type Profile,
  readSafetensors,
  shippedTrunkFile,
  shippedTrunks,
  summarize,
  tf,
  useBackend,
} from 'detlab';
import { checkStudy } from '../../../lib/evidence/check-study';
import type { Study } from '../../../lib/evidence/study';
import { temporaryFolder } from '../../data/temporary';

beforeAll(async () => {
  await useBackend();
});

const profiles: Profile[] = ['quick', 'default', 'paper'];

describe('the recipes', () => {
  test.each(['quick', 'default'] as const)(
    '%s builds every arm: anchors agree, and it costs what its plan says',
    { timeout: 120_000 },
    async (profile) => {
      const recipe = efficientDetRecipes[profile];
      for (const arm of efficientDetArms(recipe)) {
        const plan = efficientDetArmPlan(recipe, arm);
        const { model, anchors } = await buildEfficientDet(recipe, arm, 3, 1);
        expect(anchors.levels).toHaveLength(5);
        const costs = efficientDetCosts(plan, 3);
        expect(anchors.boxes.length / 4).toBe(costs.anchors);
        const { parameters, multiplyAdds } = summarize(model, [plan.inputSize, plan.inputSize, 3]);
        if (arm.trunk === 'efficientnet') expect({ parameters, multiplyAdds }).toEqual(costs.total);
        model.dispose();
      }
    },
  );

  test('the small network follows the rule below zero', () => {
    const { plan } = efficientDetRecipes.default;
    expect(plan.channels).toBe(efficientDetScaling(-2).channels);
    expect(plan.cells).toBe(efficientDetScaling(-1).cells);
    expect(plan.headDepth).toBe(efficientDetScaling(-4).headDepth);
    expect(plan.inputSize).toBe(efficientDetScaling(-3.25).exact.resolution);
    expect(plan.trunk).toMatchObject(efficientDetScaling(-8).trunk);
  });

  test('scaled arms cost the same to three per cent, and four tenths more than the baseline', () => {
    const recipe = efficientDetRecipes.default;
    const [baseline, ...scaled] = efficientDetStudies(recipe).scaling.map(
      (arm) => efficientDetCosts(efficientDetArmPlan(recipe, arm), 3).total.multiplyAdds,
    );
    expect(scaled).toHaveLength(5);
    expect(Math.max(...scaled) / Math.min(...scaled)).toBeLessThan(1.03);
    for (const cost of scaled) expect(cost / baseline).toBeGreaterThan(1.4);
  });

  test('the top-down FPN, repeated twice as often, costs what FPN+PANet does', () => {
    const recipe = efficientDetRecipes.default;
    const [topDown, paNet] = efficientDetStudies(recipe).neck.map(
      (arm) => efficientDetCosts(efficientDetArmPlan(recipe, arm), 3).neck,
    );
    expect(topDown).toEqual(paNet);
  });

  test('the published size is D0, trained as published', () => {
    const { plan, steps, learningRate, warmupSteps, batchSize, averageDecay } = efficientDetRecipes.paper;
    expect(plan).toBe(efficientDets.d0);
    const stepsPerEpoch = Math.floor(118_287 / batchSize);
    expect(steps).toBe(300 * stepsPerEpoch);
    expect(warmupSteps).toBe(stepsPerEpoch);
    expect(averageDecay).toBe(0.9998);
    const published = efficientDetSchedule({ batchSize, stepsPerEpoch, epochs: 300 });
    expect(learningRate).toBeCloseTo(published(stepsPerEpoch), 4);
  });

  test('runs that two comparisons need are made once, and arms of one differ in what it is about', () => {
    const recipe = efficientDetRecipes.default;
    const { neck, fusion, swap, scaling, jitter } = efficientDetStudies(recipe);
    const [base] = scaling;
    for (const study of [neck, fusion, swap, jitter]) expect(study).toContainEqual(base);
    const names = efficientDetArms(recipe).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const differences = (arm: EfficientDetArm): string[] =>
      (Object.keys(arm) as (keyof EfficientDetArm)[]).filter(
        (key) => key !== 'name' && JSON.stringify(arm[key]) !== JSON.stringify(base[key]),
      );
    expect(differences(fusion[0])).toEqual(['fusion']);
    for (const arm of scaling.slice(1)) expect(differences(arm)).toEqual(['size']);
    expect(differences(neck[0])).toEqual(['neck', 'fusion', 'size']);
    for (const arm of neck.slice(1, -2)) expect(differences(arm)).toEqual(['neck', 'fusion']);
    expect(differences(swap[0])).toEqual(['trunk', 'neck', 'fusion']);
    expect(new Set(jitter.flatMap(differences))).toEqual(new Set(['jitter', 'length']));
  });
});

describe('the shipped trunks', () => {
  test.each(shippedTrunks)('%s: the detector begins with what is in the file', async (trunk) => {
    const recipe = efficientDetRecipes.default;
    const arm = { ...efficientDetStudies(recipe).fusion[1], trunk };
    const { model } = await buildEfficientDet(recipe, arm, 3, 7);
    const { tensors, metadata } = await readSafetensors(shippedTrunkFile(trunk));
    const variables = model.backbone.namedVariables();
    expect(variables).toHaveLength(tensors.size);
    for (const { name, variable } of variables) {
      // Sums do not depend on the layout.
      const sum = (values: ArrayLike<number>): number =>
        Array.from(values).reduce((total, value) => total + value, 0);
      expect(sum(variable.dataSync())).toBeCloseTo(sum(tensors.get(name)!.values), 3);
    }
    // Chance is 0.5 %.
    expect(Number(metadata.accuracy)).toBeGreaterThan(0.3);
    model.dispose();
  });

  test('a trunk of another size is refused, naming what does not fit', async () => {
    const backbone = efficientDetTrunk(efficientDetRecipes.paper, 'efficientnet')(createRandom(1));
    await expect(loadShippedTrunk('efficientnet', backbone)).rejects.toThrow(/conv_stem/);
    backbone.dispose();
  });
});

describe('the study', () => {
  test.each(profiles)('%s: claims compare arms and metrics that there are', (profile) => {
    expect(() => checkStudy(efficientDetStudy as Study, profile)).not.toThrow();
  });

  test('on a folder of one’s own: another name, other settings, the same arms', async () => {
    const folder = path.join(temporaryFolder(), 'my birds');
    fs.mkdirSync(folder);
    const own = await efficientDetStudy.onData!(folder);
    expect(own.name).toBe('efficientdet-on-my-birds');
    expect(own.arms('default')).toEqual(efficientDetStudy.arms('default'));
    expect(own.settings('default')).toEqual({ ...efficientDetStudy.settings('default'), data: 'my birds' });
  });
});

test(
  'table 4, counted: the first row is the paper’s to its rounding, the last is D3',
  { timeout: 120_000 },
  () => {
    const before = tf.memory().numTensors;
    const [resNet, efficientNet, d3] = efficientDetSwapRows();
    expect(tf.memory().numTensors).toBe(before);
    expect(Math.round(resNet.parameters / 1e6)).toBe(resNet.published.parameters.value);
    expect(Math.round(resNet.multiplyAdds / 1e9)).toBe(resNet.published.multiplyAdds.value);
    expect(d3).toMatchObject(efficientDetCosts(efficientDets.d3).total);
    // The paper does not give the resolution.
    expect(efficientNet.multiplyAdds).toBeLessThan(resNet.multiplyAdds);
    expect(efficientNet.multiplyAdds).toBeGreaterThan(d3.multiplyAdds);
  },
);
