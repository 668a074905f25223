/** The recipes, their arms, their learning rates, and the study that is made of them. */
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  batchNormLayers,
  buildMegDet,
  type MegDetArm,
  megDetArms,
  megDetArmSchedule,
  megDetRates,
  megDetRecipes,
  megDetSchedule,
  megDetSteps,
  megDetStudies,
  megDetStudy,
  type Profile,
  readSafetensors,
  shippedTrunkFile,
  useBackend,
} from 'detlab';
import { checkStudy } from '../../../lib/evidence/check-study';
import type { Study } from '../../../lib/evidence/study';
import { temporaryFolder } from '../../data/temporary';

beforeAll(async () => {
  await useBackend();
});

const profiles: Profile[] = ['quick', 'default', 'paper'];

describe('the networks', () => {
  test.each(['quick', 'default'] as const)('%s: four levels, the largest anchor fits', async (profile) => {
    const recipe = megDetRecipes[profile];
    const { model, anchors } = await buildMegDet(recipe, { batchNorm: 'batch' }, 3, 1);
    expect(anchors.levels).toHaveLength(4);
    expect(Math.max(...recipe.plan.anchorSizes!.flat())).toBeLessThan(recipe.plan.inputSize);
    model.dispose();
  });

  test('arms of a seed begin equal; frozen ones train no batch norm, and have none in the pyramid', async () => {
    const recipe = megDetRecipes.default;
    const [trained, frozen, other] = [
      await buildMegDet(recipe, { batchNorm: 'batch' }, 3, 7),
      await buildMegDet(recipe, { batchNorm: 'frozen' }, 3, 7),
      await buildMegDet(recipe, { batchNorm: 'batch' }, 3, 8),
    ].map(({ model }) => model);
    const values = (model: typeof trained): Map<string, number[]> =>
      new Map(model.namedVariables().map(({ name, variable }) => [name, [...variable.dataSync()]]));
    const [a, b, c] = [trained, frozen, other].map(values);
    const shared = [...a.keys()].filter((name) => b.has(name));
    expect(shared.length).toBeGreaterThan(60);
    for (const name of shared) expect(a.get(name), name).toEqual(b.get(name));
    const drawn = 'roi_heads.box_predictor.cls_score.weight';
    expect(a.get(drawn)).toBeDefined();
    expect(a.get(drawn)).not.toEqual(c.get(drawn));

    expect(batchNormLayers(trained.backbone.fpn).length).toBeGreaterThan(0);
    expect(batchNormLayers(trained).some((layer) => layer.frozen)).toBe(false);
    expect(batchNormLayers(frozen.backbone.fpn)).toHaveLength(0);
    expect(batchNormLayers(frozen).every((layer) => layer.frozen)).toBe(true);
    const norms = batchNormLayers(frozen).flatMap(({ weight, bias }) => [weight, bias]);
    expect(norms.length).toBeGreaterThan(10);
    for (const { variable } of frozen.parameters()) expect(norms).not.toContain(variable);
    for (const model of [trained, frozen, other]) model.dispose();
  });

  test('the trunk begins with the shipped one’s statistics, which frozen batch norm needs', async () => {
    const { model } = await buildMegDet(megDetRecipes.default, { batchNorm: 'frozen' }, 3, 1);
    const { tensors } = await readSafetensors(shippedTrunkFile('resnet'));
    const means = model.backbone.body.buffers().filter(({ name }) => name.endsWith('running_mean'));
    expect(means.length).toBeGreaterThan(5);
    for (const { name, variable } of means) {
      expect([...variable.dataSync()]).toEqual([...tensors.get(name)!.values]);
    }
    model.dispose();
  });

  test(
    'the published size is torchvision’s Faster R-CNN on ResNet-50, without trained batch norm',
    { timeout: 120_000 },
    async () => {
      const { model } = await buildMegDet(megDetRecipes.paper, { batchNorm: 'frozen' }, 90, 1);
      expect(model.parameterCount()).toBe(41_755_286);
      model.dispose();
    },
  );
});

describe('the learning rates', () => {
  const recipe = megDetRecipes.paper;
  const [first, ...others] = megDetStudies(recipe).batch;
  const largest = others[others.length - 1];

  test('are the paper’s at the published size', () => {
    const schedule = megDetArmSchedule(recipe, largest);
    const steps = megDetSteps(recipe, largest);
    expect(largest.batchSize).toBe(256);
    const warmupSteps = Math.round(recipe.warmup * steps);
    const milestones = recipe.drops.map((share) => Math.round(share * steps)) as [number, number, number];
    const published = megDetSchedule({ batchSize: 256, warmupSteps, milestones });
    for (let step = 0; step < steps; step += 7) expect(schedule(step)).toBe(published(step));
    expect(schedule(0)).toBeCloseTo(megDetRates[16].value!, 12);
    expect(schedule(warmupSteps)).toBeCloseTo(megDetRates[256].value!, 12);
    expect(schedule(steps - 1)).toBeCloseTo(megDetRates[256].value! / 200, 12);
  });

  test('do not climb for the smallest batch, nor without warm-up; half is half', () => {
    const at = (arm: MegDetArm, share: number): number =>
      megDetArmSchedule(recipe, arm)(Math.round(share * megDetSteps(recipe, arm)));
    expect(at(first, 0)).toBeCloseTo(0.02, 12);
    expect(at(first, 0.5)).toBeCloseTo(0.02, 12);
    const { warmup, frozen } = megDetStudies(recipe);
    expect(at(warmup[0], 0)).toBeCloseTo(0.32, 12);
    expect(at(warmup[1], 0)).toBeCloseTo(0.02, 12);
    const half = frozen.find(({ name }) => name === 'frozen-256-half')!;
    expect(at(half, 0)).toBeCloseTo(0.02, 12);
    expect(at(half, 0.5)).toBeCloseTo(0.16, 12);
  });
});

describe('the arms', () => {
  const recipe = megDetRecipes.default;

  test('batches see as many images in fewer updates', () => {
    const { batch, schedule } = megDetStudies(recipe);
    expect(batch.map(({ batchSize }) => batchSize)).toEqual(
      [1, ...recipe.scales].map((k) => k * recipe.batchSize),
    );
    for (const arm of batch) expect(megDetSteps(recipe, arm) * arm.batchSize).toBe(recipe.images);
    const [normal, long] = schedule.map((arm) => megDetSteps(recipe, arm));
    expect(long).toBe(recipe.long * normal);
  });

  test.each(profiles)(
    '%s: what one is compared with is made once, and differs in what it is about',
    (profile) => {
      const studies = megDetStudies(megDetRecipes[profile]);
      const names = megDetArms(megDetRecipes[profile]).map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
      const differences = (arms: readonly MegDetArm[]): string[] => [
        ...new Set(
          arms.flatMap((arm) =>
            (Object.keys(arm) as (keyof MegDetArm)[]).filter(
              (key) => key !== 'name' && JSON.stringify(arm[key]) !== JSON.stringify(arms[0][key]),
            ),
          ),
        ),
      ];
      expect(differences(studies.batch)).toEqual(['batchSize']);
      for (const pair of [studies.warmup.slice(0, 2), studies.warmup.slice(2)]) {
        expect(differences(pair)).toEqual(['warmup']);
      }
      expect(new Set(differences(studies.frozen))).toEqual(new Set(['batchSize', 'rate', 'batchNorm']));
      expect(differences(studies.bnSize)).toEqual(['batchNorm']);
      expect(differences(studies.schedule)).toEqual(['length']);
      // An arm that two studies need is the same in both.
      const all = Object.values(studies).flat() as MegDetArm[];
      for (const arm of all) expect(all.find(({ name }) => name === arm.name)).toEqual(arm);
      const { bnBatch, bnSizes } = megDetRecipes[profile];
      for (const size of bnSizes) expect(bnBatch % size).toBe(0);
    },
  );
});

describe('the study', () => {
  test.each(profiles)('%s: claims compare arms and metrics that there are', (profile) => {
    expect(() => checkStudy(megDetStudy as Study, profile)).not.toThrow();
  });

  test.each(profiles)('%s: quotes nothing as the paper’s that was only remembered', (profile) => {
    for (const { paper } of megDetStudy.claims(profile))
      expect(paper).not.toMatch(/unverified|NaN|undefined/);
  });

  test('on a folder of one’s own: another name, other settings, the same arms', async () => {
    const folder = path.join(temporaryFolder(), 'my birds');
    fs.mkdirSync(folder);
    const own = await megDetStudy.onData!(folder);
    expect(own.name).toBe('megdet-on-my-birds');
    expect(own.arms('default')).toEqual(megDetStudy.arms('default'));
    expect(own.settings('default')).toEqual({ ...megDetStudy.settings('default'), data: 'my birds' });
  });
});
