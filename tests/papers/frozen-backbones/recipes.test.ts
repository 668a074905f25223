/** The recipes, their arms, their networks, and the study that is made of them. */
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  buildFrozen,
  detectorTrunk,
  drawingsFile,
  drawingSources,
  drawingsUpstream,
  type FrozenArm,
  frozenArm,
  frozenArms,
  frozenBatch,
  frozenCapacities,
  type FrozenDetectorArm,
  frozenRecipes,
  frozenReleasedRecipes,
  frozenSteps,
  frozenStudies,
  frozenStudy,
  isFrozen,
  type Profile,
  readSafetensors,
  trainingCost,
  useBackend,
} from 'detlab';
import { checkStudy } from '../../../lib/evidence/check-study';
import type { Study } from '../../../lib/evidence/study';
import { temporaryFolder } from '../../data/temporary';

beforeAll(async () => {
  await useBackend();
});

const profiles: Profile[] = ['quick', 'default', 'paper'];
const small = frozenRecipes.default;
const build = (settings: Partial<FrozenDetectorArm>, seed = 1) =>
  buildFrozen(small, frozenArm(small, { reuse: 'frozen', ...settings }), 3, seed);

describe('the networks', () => {
  test(
    'the trained share grows with the capacity, and levels and anchors stay',
    { timeout: 120_000 },
    async () => {
      const shares: number[] = [];
      for (const capacity of frozenCapacities) {
        const detector = await build({ capacity });
        shares.push(trainingCost(detector).trainableShare);
        expect(detector.anchors.levels.map(({ rows }) => rows)).toEqual([12, 6, 3, 2, 1]);
        detector.model.dispose();
      }
      expect(shares).toEqual([...shares].sort((a, b) => a - b));
      // From about the paper's 26 % on, to its 54 %.
      expect(shares[0]).toBeLessThan(0.35);
      expect(shares[shares.length - 1]).toBeGreaterThan(0.5);
    },
  );

  test('arms of a seed begin alike: whatever is trained, the same heads and the same trunk', async () => {
    const values = (detector: Awaited<ReturnType<typeof build>>): Map<string, number[]> =>
      new Map(detector.model.namedVariables().map(({ name, variable }) => [name, [...variable.dataSync()]]));
    const [frozen, tuned, scratch, other, adapted] = [
      await build({}),
      await build({ reuse: 'fine-tuned' }),
      await build({ reuse: 'scratch' }),
      await build({}, 2),
      await build({ adapters: true }),
    ];
    const [a, b, c, d, e] = [frozen, tuned, scratch, other, adapted].map(values);
    expect(a).toEqual(b);
    const inTrunk = (name: string): boolean => name.startsWith('backbone.body.');
    const rest = [...a.keys()].filter((name) => !inTrunk(name));
    for (const name of rest) expect(a.get(name), name).toEqual(c.get(name));
    const drawn = 'rpn.head.cls_logits.weight';
    expect(a.get(drawn)).toEqual(e.get(drawn));
    expect(a.get('backbone.body.conv1.weight')).toEqual(e.get('backbone.body.trunk.conv1.weight'));
    expect(a.get(drawn)).not.toEqual(d.get(drawn));
    expect(a.get('backbone.body.conv1.weight')).toEqual(d.get('backbone.body.conv1.weight'));
    expect(a.get('backbone.body.conv1.weight')).not.toEqual(c.get('backbone.body.conv1.weight'));

    const { tensors } = await readSafetensors(drawingsFile('drawings-200x64'));
    for (const name of ['bn1.running_mean', 'layer4.0.bn2.weight']) {
      expect(a.get(`backbone.body.${name}`)).toEqual([...tensors.get(name)!.values]);
    }
    expect([frozen, tuned, scratch].map(({ model }) => isFrozen(detectorTrunk(model)))).toEqual([
      true,
      false,
      false,
    ]);
    for (const { model } of [frozen, tuned, scratch, other, adapted]) model.dispose();
  });

  test('the control has the trunk’s numbers in other places', async () => {
    const [own, shuffled] = [await build({}), await build({ shuffled: true })];
    const weight = ({ model }: typeof own): number[] => [
      ...detectorTrunk(model)
        .namedVariables()
        .find(({ name }) => name === 'layer1.0.conv1.weight')!
        .variable.dataSync(),
    ];
    const sorted = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b);
    expect(weight(shuffled)).not.toEqual(weight(own));
    expect(sorted(weight(shuffled))).toEqual(sorted(weight(own)));
    for (const { model } of [own, shuffled]) model.dispose();
  });

  test('what cannot be built says why', async () => {
    await expect(build({ source: 'open-images', adapters: true })).rejects.toThrow(
      /open-images takes no adapters/,
    );
    await expect(build({ source: 'file' })).rejects.toThrow(/none is given; set the recipe’s weights/);
    await expect(build({ detector: 'retinanet', capacity: 'nas-fpn-cascade' })).rejects.toThrow(
      /no second stage/,
    );
  });

  test.each(drawingSources)('%s ships, and says what it was shown', async (source) => {
    const { metadata } = await readSafetensors(drawingsFile(source));
    const { classes, perClass } = drawingsUpstream(source);
    expect(metadata).toMatchObject({ steps: '3000', classes: `${classes}` });
    if (metadata.perClass !== undefined) expect(metadata.perClass).toBe(`${perClass}`);
    expect(Number(metadata.accuracy)).toBeGreaterThan(3 / classes);
  });
});

describe('the paper profile is what was released', () => {
  const recipe = frozenRecipes.paper;
  const { schedule, retinaNet } = frozenStudies(recipe);

  test.each([
    ['Faster R-CNN', 72, schedule[0]],
    ['Faster R-CNN', 600, schedule[3]],
    ['RetinaNet', 72, retinaNet[0]],
    ['RetinaNet', 600, { ...retinaNet[0], length: recipe.long }],
  ] as const)('%s, %d epochs', (detector, epochs, arm) => {
    const released = frozenReleasedRecipes.find((one) => one.detector === detector && one.epochs === epochs)!;
    expect(frozenBatch(recipe, arm)).toEqual({
      batchSize: released.batchSize,
      learningRate: released.rates[0],
    });
    // To a step, as the release rounds both ways.
    expect(Math.abs(frozenSteps(recipe, arm) - released.steps)).toBeLessThanOrEqual(1);
    const drops = arm.length > 1 ? recipe.drops.long : recipe.drops.short;
    drops.forEach((share, i) => {
      expect(Math.abs(share * released.steps - released.drops[i].step)).toBeLessThan(3);
    });
  });
});

test('the paper’s runs: jitter in every one but the mirrored rival, and the released climb', () => {
  const { paper } = frozenRecipes;
  const others = frozenArms(paper).filter(({ augmentation }) => augmentation !== 'jitter');
  expect(others.map(({ name }) => name)).toEqual(['frozen-nas-fpn-flip', 'frozen-nas-fpn-copy-paste']);
  expect(frozenArm(paper, { reuse: 'frozen' })).toMatchObject({
    name: 'frozen-nas-fpn',
    augmentation: 'jitter',
  });
  expect(paper).toMatchObject({ jitter: [0.1, 2], warmupSteps: 500, warmupFrom: 0.0067 });
});

describe('the arms', () => {
  test.each(profiles)(
    '%s: what one is compared with is made once, and differs in what it is about',
    (profile) => {
      const studies = frozenStudies(frozenRecipes[profile]);
      const names = frozenArms(frozenRecipes[profile]).map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
      const differences = (arms: readonly FrozenArm[]): string[] =>
        (Object.keys(arms[0] ?? {}) as (keyof FrozenArm)[])
          .filter((key) => key !== 'name' && arms.some((arm) => arm[key] !== arms[0][key]))
          .sort();
      expect(differences(studies.capacity)).toEqual(['capacity', 'reuse']);
      expect(differences(studies.imageNet)).toEqual(['capacity', 'reuse']);
      expect(differences(studies.schedule)).toEqual(['length', 'reuse']);
      expect(differences(studies.adapters)).toEqual(['adapters', 'capacity']);
      expect(differences(studies.augmentation)).toEqual(['augmentation']);
      expect(differences(studies.longTail)).toEqual(['data', 'reuse']);
      expect(differences(studies.control)).toEqual(['shuffled']);
      expect(differences(studies.retinaNet)).toEqual(['reuse']);
      if (profile !== 'paper') {
        expect(differences(studies.classes)).toEqual(['reuse', 'source']);
        expect(differences(studies.pictures)).toEqual(['reuse', 'source']);
      }
      const all = Object.values(studies).flat() as FrozenArm[];
      for (const arm of all) expect(all.find(({ name }) => name === arm.name)).toEqual(arm);
    },
  );
});

describe('the study', () => {
  test.each(profiles)('%s: claims compare arms and metrics that there are', (profile) => {
    expect(() => checkStudy(frozenStudy as Study, profile)).not.toThrow();
  });

  test('claims compare what they say', () => {
    const claims = new Map(frozenStudy.claims('default').map((claim) => [claim.name, claim.comparisons]));
    expect(claims.get('closes')).toMatchObject([
      {
        kind: 'interaction',
        arm: 'frozen-nas-fpn-cascade',
        than: 'fine-tuned-nas-fpn-cascade',
        base: { arm: 'frozen-fpn', than: 'fine-tuned-fpn' },
      },
    ]);
    expect(claims.get('erodes')).toMatchObject([
      {
        arm: 'fine-tuned-nas-fpn',
        than: 'scratch-nas-fpn',
        base: { arm: 'fine-tuned-nas-fpn-long', than: 'scratch-nas-fpn-long' },
      },
    ]);
    expect(claims.get('classes')).toMatchObject([
      { arm: 'frozen-nas-fpn', than: 'frozen-nas-fpn-drawings-12x64' },
    ]);
    expect(claims.get('pictures')).toMatchObject([
      { arm: 'frozen-nas-fpn', than: 'frozen-nas-fpn-drawings-200x4' },
    ]);
    expect(claims.get('control')).toMatchObject([
      { arm: 'frozen-nas-fpn-open-images', than: 'frozen-nas-fpn-open-images-shuffled' },
    ]);
  });

  test.each(profiles)('%s: quotes nothing as the paper’s that was only remembered', (profile) => {
    for (const { paper } of frozenStudy.claims(profile))
      expect(paper).not.toMatch(/unverified|NaN|undefined/);
  });

  test('on a folder of one’s own: another name, other settings, the same arms', async () => {
    const folder = path.join(temporaryFolder(), 'my birds');
    fs.mkdirSync(folder);
    const own = await frozenStudy.onData!(folder);
    expect(own.name).toBe('frozen-backbones-on-my-birds');
    expect(own.arms('default')).toEqual(frozenStudy.arms('default'));
    expect(own.settings('default')).toEqual({ ...frozenStudy.settings('default'), data: 'my birds' });
  });
});
