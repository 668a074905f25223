/** DetNAS's recipes, its detectors, and the study that is made of them. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  buildDetNas,
  detectionPaths,
  detectorTrunk,
  detNasAblation,
  detNasArms,
  detNasCandidates,
  detNasCosts,
  detNasCost,
  type DetNasDetectorKind,
  DetNasNet,
  detNasRecipes,
  detNasSearchLimit,
  detNasSizes,
  detNasSpace,
  detNasStudy,
  DetNasSupernet,
  formatPublished,
  pathCostRange,
  pretrainingPaths,
  type Profile,
  rankedNetworks,
  readSafetensors,
  shippedDetNasClassifier,
  spaceSize,
  trainedDetNasSupernet,
  uniformArchitecture,
  useBackend,
} from 'detlab';
import { checkStudy } from '../../../lib/evidence/check-study';
import type { Study } from '../../../lib/evidence/study';

beforeAll(async () => {
  await useBackend();
});

const profiles: Profile[] = ['quick', 'default', 'paper'];

describe('the recipes', () => {
  test('the paper’s profile is the release’s', () => {
    const { pretraining, supernet, evolution, recalibration, limit, alone, size, searchImages } =
      detNasRecipes.paper;
    expect(pretraining).toMatchObject({ steps: 300_000, batchSize: 1024, learningRate: 0.5, classes: 1000 });
    expect(pretraining.bins).toEqual({ from: 290e6, width: 10e6, count: 7 });
    expect(supernet).toMatchObject({
      steps: 90_000,
      batchSize: 16,
      learningRate: { fpn: 0.02, retinanet: 0.01 },
    });
    expect(supernet.drops.map((share) => Math.round(share * supernet.steps))).toEqual([60_000, 80_000]);
    expect(alone.training).toEqual(supernet);
    expect(evolution).toEqual({
      population: 50,
      parents: 10,
      generations: 20,
      mutants: 20,
      mutationProbability: 0.1,
      crossovers: 20,
    });
    expect(recalibration.batches * recalibration.batchSize).toBe(8000);
    expect([limit.multiplyAdds, limit.inputSize, searchImages]).toEqual([300e6, 224, 5000]);
    expect(spaceSize(detNasSpace(size))).toBe(4n ** 20n);
  });

  test('the small limit lies where the paper’s does between the cheapest and the dearest network', () => {
    const share = ({ size, limit }: Pick<typeof detNasRecipes.paper, 'size' | 'limit'>): number => {
      const { least, most } = pathCostRange(detNasCosts(size, limit.inputSize));
      return (limit.multiplyAdds - least.multiplyAdds) / (most.multiplyAdds - least.multiplyAdds);
    };
    expect(share(detNasRecipes.default)).toBeCloseTo(share(detNasRecipes.paper), 1);
    expect(detNasRecipes.paper.size).toBe(detNasSizes.small);
  });

  test('the hand-made rival is within every limit', () => {
    for (const profile of profiles) {
      const { cost, most } = detNasSearchLimit(detNasRecipes[profile]);
      expect(cost(uniformArchitecture(detNasRecipes[profile].size, 0))).toBeLessThanOrEqual(most);
    }
  });

  test('paths are drawn step by step: the same for a run that goes on', () => {
    const recipe = detNasRecipes.default;
    for (const paths of [pretrainingPaths(recipe, 1), detectionPaths(recipe, 1)]) {
      const drawn = Array.from({ length: 400 }, (_, step) => paths(step));
      expect(paths(17)).toEqual(drawn[17]);
      // Fair: 100 times each, give or take three standard deviations.
      for (const block of [0, 7])
        for (const choice of [0, 1, 2, 3]) {
          const count = drawn.filter((path) => path[block] === choice).length;
          expect(Math.abs(count - 100)).toBeLessThan(3 * Math.sqrt(400 * 0.25 * 0.75));
        }
    }
    expect(detectionPaths(recipe, 1)(3)).not.toEqual(detectionPaths(recipe, 2)(3));
  });
});

describe('the detectors', () => {
  const { quick } = detNasRecipes;
  test.each<DetNasDetectorKind>(['fpn', 'retinanet'])(
    '%s stands on a supernet as on a network, and begins alike beside them',
    (kind) => {
      const [supernet, net, again] = [undefined, [0, 1, 2, 3], [3, 3, 3, 3]].map((architecture) =>
        buildDetNas(quick, kind, architecture, 3, 1),
      );
      expect(detectorTrunk(supernet.model)).toBeInstanceOf(DetNasSupernet);
      expect(detectorTrunk(net.model)).toBeInstanceOf(DetNasNet);
      const rest = ({ model }: typeof net): Map<string, number[]> =>
        new Map(
          model
            .namedVariables()
            .filter(({ name }) => !name.startsWith('backbone.body.'))
            .map(({ name, variable }) => [name, Array.from(variable.dataSync())]),
        );
      expect(rest(net)).toEqual(rest(supernet));
      expect(rest(again)).toEqual(rest(supernet));
      expect(rest(net).size).toBeGreaterThan(10);
      for (const { model } of [supernet, net, again]) model.dispose();
    },
  );
});

test('the shipped supernet is the default profile’s: its paths classify drawings of another hand far beyond chance', async () => {
  const recipe = { ...detNasRecipes.default, compile: false };
  expect(await trainedDetNasSupernet({ recipe, task: 'classifier', seed: 7 })).toBe(shippedDetNasClassifier);
  const { metadata } = await readSafetensors(shippedDetNasClassifier);
  const { steps, classes, perClass } = recipe.pretraining;
  expect(metadata).toMatchObject({ steps: `${steps}`, classes: `${classes}`, perClass: `${perClass}` });
  const worker = await detNasCandidates(
    { recipe, task: 'classifier' },
    { files: { weights: shippedDetNasClassifier } },
  );
  const { fitness } = await worker.run(
    { architecture: [0, 1, 2, 3, 3, 2, 1, 0] },
    new AbortController().signal,
  );
  // Chance is 2 %. Of 400 pictures a path's share lies within some 6 points of the paths' average.
  expect(Math.abs(fitness - 100 * Number(metadata.accuracy))).toBeLessThan(8);
  expect(fitness).toBeGreaterThan(10);
  worker.close();
});

describe('the study', () => {
  test.each(profiles)('of the %s profile is complete', (profile) => {
    checkStudy(detNasStudy as Study, profile);
    expect(new Set(detNasArms.map(({ name }) => name)).size).toBe(detNasArms.length);
  });

  test('what is remembered of the ablation is marked', () => {
    const [byHand, , , detNas] = detNasAblation;
    expect(formatPublished(detNas.coco.fpn)).toBe('36.4');
    expect(formatPublished(byHand.coco.fpn)).toBe('34.8 (unverified)');
    expect(detNasCost.pretraining.value! + detNasCost.training.value! + detNasCost.search.value!).toBe(
      detNasCost.all.value,
    );
  });

  test('the networks that are ranked differ, and are the same for every seed', () => {
    const networks = rankedNetworks(detNasRecipes.default);
    expect(new Set(networks.map(String)).size).toBe(detNasRecipes.default.ranked);
    expect(rankedNetworks(detNasRecipes.default)).toEqual(networks);
  });
});
