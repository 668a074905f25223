/** The recipes, their arms, and the study that is made of them. */
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  buildScratchDet,
  type Profile,
  scratchDetAnchors,
  scratchDetArms,
  scratchDetPublished,
  scratchDetRecipeFor,
  scratchDetRecipes,
  scratchDetStems,
  scratchDetStudies,
  scratchDetStudy,
  tf,
  type Vgg,
} from 'detlab';
import { checkStudy } from '../../../lib/evidence/check-study';
import type { Study } from '../../../lib/evidence/study';
import { temporaryFolder } from '../../data/temporary';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const profiles: Profile[] = ['quick', 'default', 'paper'];

describe('the recipes', () => {
  test.each(['quick', 'default'] as const)('%s builds every arm: networks and anchors agree', (profile) => {
    const recipe = scratchDetRecipes[profile];
    for (const arm of scratchDetArms(recipe)) {
      const { model, anchors } = buildScratchDet(recipe, arm, 6, 1);
      const { anchorsPerCell } = model.config;
      const cells = model.mapSizes();
      expect(cells[0]).toBe(recipe.inputSize / recipe.finestStride);
      expect(anchors.boxes.length / 4).toBe(
        cells.reduce((sum, side, map) => sum + side * side * anchorsPerCell[map], 0),
      );
      model.dispose();
    }
  });

  test('the published size has SSD300’s anchors', { timeout: 120_000 }, () => {
    const recipe = scratchDetRecipes.paper;
    const { model, anchors } = buildScratchDet(recipe, scratchDetStudies(recipe).norm[0], 20, 1);
    expect(model.mapSizes()).toEqual([38, 19, 10, 5, 3, 1]);
    expect(anchors.boxes.length / 4).toBe(8732);
    model.dispose();
  });

  test('COCO has anchors and a schedule of its own at the published size, and only there', async () => {
    const folder = temporaryFolder();
    fs.mkdirSync(path.join(folder, 'annotations'));
    for (const split of ['train2017', 'val2017'])
      fs.writeFileSync(
        path.join(folder, 'annotations', `instances_${split}.json`),
        JSON.stringify({ images: [], annotations: [], categories: [{ id: 1, name: 'person' }] }),
      );
    const recipe = await scratchDetRecipeFor('paper', folder);
    const { steps, drops } = recipe;
    expect(drops.map((share) => share * steps)).toEqual([150_000, 250_000, 310_000, 320_000]);
    expect(steps).toBe(325_000);
    expect(await scratchDetRecipeFor('default', folder)).toBe(scratchDetRecipes.default);
    expect(await scratchDetRecipeFor('paper')).toBe(scratchDetRecipes.paper);
    const sides = (anchors: 'voc' | 'coco' | undefined): number => {
      const { boxes } = scratchDetAnchors(300, [38, 19, 10, 5, 3, 1], [4, 6, 6, 6, 4, 4], anchors);
      return boxes[2] - boxes[0];
    };
    expect([sides(undefined), sides('voc'), sides(recipe.anchors)]).toEqual([30, 30, 21]);
  });

  test.each(profiles)('%s: rates in the paper’s ratios, drops within the run', (profile) => {
    const { learningRates, drops, warmupSteps, steps } = scratchDetRecipes[profile];
    const [low, middle, high] = learningRates;
    expect([middle / low, high / low].map((ratio) => Math.round(ratio))).toEqual([10, 50]);
    for (const drop of drops) expect(drop * steps).toBeGreaterThan(warmupSteps);
    expect(Math.max(...drops)).toBeLessThan(1);
  });

  test('arms of the same seed start from the same convolutions, with batch norm or without', () => {
    const recipe = scratchDetRecipes.quick;
    const [arm] = scratchDetStudies(recipe).norm;
    const weights = (batchNorm: 'none' | 'backbone', seed: number) => {
      const { model } = buildScratchDet(recipe, { ...arm, batchNorm }, 3, seed);
      const values = (model.backbone as Vgg).stages
        .flat()
        .map(({ conv }) => Array.from(conv.weight.dataSync().slice(0, 8)));
      model.dispose();
      return values;
    };
    expect(weights('none', 1)).toEqual(weights('backbone', 1));
    expect(weights('none', 1)).not.toEqual(weights('none', 2));
  });
});

describe('the study', () => {
  test.each(profiles)('%s: claims compare arms and metrics that there are', (profile) => {
    expect(() => checkStudy(scratchDetStudy as Study, profile)).not.toThrow();
  });

  test('on a folder of one’s own: another name, other settings, the same arms', async () => {
    const folder = path.join(temporaryFolder(), 'my VOC');
    fs.mkdirSync(folder);
    fs.writeFileSync(
      path.join(folder, 'boxes.csv'),
      'filename,class,xmin,ymin,xmax,ymax\na.jpg,dog,1,2,3,4\n',
    );
    const own = await scratchDetStudy.onData!(folder);
    expect(own.name).toBe('scratchdet-on-my-VOC');
    expect(() => checkStudy(own as Study, 'default')).not.toThrow();
    expect(own.arms('default')).toEqual(scratchDetStudy.arms('default'));
    expect(own.settings('default')).toEqual({ ...scratchDetStudy.settings('default'), data: 'my VOC' });
  });

  test('runs that two comparisons need are made once', () => {
    const { norm, stem, extras, pretraining } = scratchDetStudies(scratchDetRecipes.default);
    expect(norm).toHaveLength(12);
    expect(norm).toContainEqual(pretraining[0]);
    expect(stem).toContainEqual(extras[0]);
    const names = scratchDetArms(scratchDetRecipes.default).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toHaveLength(12 + 4 + 1 + 2);
  });

  test('arms of one comparison differ in what it is about alone', () => {
    const { stem, extras, pretraining } = scratchDetStudies(scratchDetRecipes.default);
    const differences = (a: object, b: object): string[] =>
      Object.keys(a).filter((key) => key !== 'name' && a[key as keyof typeof a] !== b[key as keyof typeof b]);
    for (const arm of stem.slice(1)) expect(differences(stem[0], arm)).toEqual(['trunk']);
    expect(differences(extras[0], extras[1])).toEqual(['extras']);
    expect(differences(pretraining[0], pretraining[1])).toEqual(['length']);
    expect(differences(pretraining[0], pretraining[2])).toEqual(['pretrained']);
  });
});

describe('published numbers', () => {
  const marks = (norm: keyof typeof scratchDetPublished) =>
    scratchDetPublished[norm].map(({ learningRate, map }) => [learningRate, map.value, map.confidence]);

  test('only grounded cells are called the paper’s', () => {
    expect(marks('none')).toEqual([
      [0.001, 67.6, 'paper'],
      [0.01, null, 'unverified'],
      [0.05, null, 'unverified'],
    ]);
    expect(marks('backbone')).toEqual([
      [0.001, 72.8, 'paper'],
      [0.01, 77.8, 'paper'],
      [0.05, 78, 'secondary'],
    ]);
    expect(marks('head').every(([, , confidence]) => confidence === 'unverified')).toBe(true);
    expect(marks('both')).toEqual([
      [0.001, 71.8, 'unverified'],
      [0.01, 77.3, 'unverified'],
      [0.05, 78.7, 'paper'],
    ]);
  });

  test('each stem is better than the one before', () => {
    const order = ['resnet18', 'resnet18-a', 'resnet18-b', 'root-resnet18', 'root-resnet34'] as const;
    expect(order.map((name) => scratchDetStems[name].value)).toEqual([73.1, 75.3, 77.6, 78.5, 80.4]);
  });
});
