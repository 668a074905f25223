/** DetNAS's steps at their smallest: supernets are trained once, candidates are the same whoever evaluates them, the search keeps to its limit. */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  aloneFigures,
  type DetNasCandidate,
  detNasCandidates,
  detNasCandidateSource,
  detNasCosts,
  type DetNasFigures,
  detNasRecipes,
  type DetNasRecipe,
  detNasSpace,
  type EvaluatedCandidate,
  openDetNasData,
  openJobs,
  pathCost,
  searchDetNas,
  trainedDetNasSupernet,
  useBackend,
} from 'detlab';

import { temporaryFolder } from '../../data/temporary';
import { buildLibrary } from '../../notebook/helpers';

const recipe: DetNasRecipe = {
  ...detNasRecipes.quick,
  trainImages: 48,
  testImages: 8,
  searchImages: 16,
  evolution: { ...detNasRecipes.quick.evolution, population: 4, generations: 2, mutants: 1, crossovers: 1 },
  pretraining: { ...detNasRecipes.quick.pretraining, classes: 4, perClass: 8, steps: 2, batchSize: 8 },
  supernet: { ...detNasRecipes.quick.supernet, steps: 2, batchSize: 8 },
  alone: { pretrainingSteps: 1, training: { ...detNasRecipes.quick.supernet, steps: 2, batchSize: 8 } },
  recalibration: { batches: 1, batchSize: 8 },
};
let cache: string;
const seed = 1;

beforeAll(async () => {
  await useBackend();
  cache = await fs.mkdtemp(path.join(os.tmpdir(), 'detlab-detnas-'));
});

afterAll(() => fs.rm(cache, { recursive: true, force: true }));

describe('a supernet', { timeout: 240_000 }, () => {
  test('is pretrained and trained once, and kept by what it hangs on', async () => {
    const phases: string[] = [];
    const options = {
      recipe,
      seed,
      cache,
      onStep: (phase: string, { step }: { step: number }) => phases.push(`${phase} ${step}`),
    };
    const file = await trainedDetNasSupernet({ ...options, task: 'retinanet' });
    expect(phases).toEqual(['classifier 0', 'classifier 1', 'detector 0', 'detector 1']);
    const classifier = await trainedDetNasSupernet({ ...options, task: 'classifier' });
    expect(await trainedDetNasSupernet({ ...options, task: 'retinanet' })).toBe(file);
    expect(phases).toHaveLength(4);
    // Nor does it hang on what comes after it.
    const later = { ...recipe, ranked: 7, testImages: 4, alone: { ...recipe.alone, pretrainingSteps: 0 } };
    expect(await trainedDetNasSupernet({ ...options, recipe: later, task: 'retinanet' })).toBe(file);
    expect(phases).toHaveLength(4);
    const scratch = await trainedDetNasSupernet({ ...options, task: 'retinanet', pretrained: false });
    expect(phases.slice(4)).toEqual(['detector 0', 'detector 1']);
    expect(new Set([file, classifier, scratch]).size).toBe(3);
    expect((await fs.readdir(cache)).sort()).toEqual(
      [file, classifier, scratch].map((one) => path.basename(one)).sort(),
    );
  });

  test('is the same when it is trained again', async () => {
    const kept = await trainedDetNasSupernet({ recipe, seed, cache, task: 'retinanet' });
    const again = await trainedDetNasSupernet({ recipe, seed, cache: temporaryFolder(), task: 'retinanet' });
    expect((await fs.readFile(again)).equals(await fs.readFile(kept))).toBe(true);
  });
});

describe('a search', { timeout: 240_000 }, () => {
  const run = async (
    evaluate: (candidate: DetNasCandidate) => Promise<DetNasFigures> | DetNasFigures,
    jobs: number,
    log?: string,
  ): Promise<readonly EvaluatedCandidate[]> =>
    (await searchDetNas({ recipe, seed, jobs, log, run: (candidate) => evaluate(candidate) })).history;

  test('of a detector is the same on this thread and on two others, and keeps to the limit', async () => {
    buildLibrary();
    const weights = await trainedDetNasSupernet({ recipe, seed, cache, task: 'retinanet' });
    const settings = { recipe, task: 'retinanet' } as const;
    const worker = await detNasCandidates(settings, { files: { weights } });
    const log = path.join(temporaryFolder(), 'search.jsonl');
    const here = await run((candidate) => worker.run(candidate), 1, log);
    worker.close();
    const pool = await openJobs<DetNasCandidate, DetNasFigures>(detNasCandidateSource(settings, weights), {
      threads: 2,
    });
    try {
      expect(await run((candidate) => pool.run(candidate), pool.jobs)).toEqual(here);
    } finally {
      await pool.close();
    }
    const { population, generations } = recipe.evolution;
    expect(here).toHaveLength(population * generations);
    const costs = detNasCosts(recipe.size, recipe.limit.inputSize);
    for (const { architecture } of here)
      expect(pathCost(costs, architecture).multiplyAdds).toBeLessThanOrEqual(recipe.limit.multiplyAdds);
    // The limit leaves something out.
    expect(
      pathCost(
        costs,
        detNasSpace(recipe.size).choices.map(() => 2),
      ).multiplyAdds,
    ).toBeGreaterThan(recipe.limit.multiplyAdds);
    // What is written down is not evaluated again.
    expect(await run(() => Promise.reject(new Error('evaluated again')), 1, log)).toEqual(here);
  });

  test('of a classifier goes by the accuracy of its paths', async () => {
    const weights = await trainedDetNasSupernet({ recipe, seed, cache, task: 'classifier' });
    const worker = await detNasCandidates({ recipe, task: 'classifier' }, { files: { weights } });
    const architecture = [0, 1, 2, 3];
    const first = await worker.run({ architecture });
    await worker.run({ architecture: [3, 3, 0, 0] });
    expect(await worker.run({ architecture })).toEqual(first);
    // Of 4 classes with 8 pictures each.
    expect(first.fitness % (100 / 32)).toBe(0);
    expect(first.fitness).toBeLessThanOrEqual(100);
    worker.close();
  });
});

test(
  'a network on its own is trained once, from nothing of the supernet’s',
  { timeout: 240_000 },
  async () => {
    const data = await openDetNasData(recipe);
    expect(data.train.examples.map(({ id }) => id)).not.toEqual(
      expect.arrayContaining([data.search.examples[0].id]),
    );
    expect(data.search.examples).toHaveLength(recipe.searchImages);
    const phases: string[] = [];
    const options = {
      recipe,
      seed,
      data,
      cache,
      kind: 'retinanet',
      architecture: [0, 1, 2, 3],
      onStep: (phase: string) => phases.push(phase),
    } as const;
    const figures = await aloneFigures(options);
    expect(phases).toEqual(['classifier', 'detector', 'detector']);
    expect(await aloneFigures(options)).toEqual(figures);
    expect(phases).toHaveLength(3);
  },
);

test('too few images for a search are an error that says so', async () => {
  await expect(openDetNasData({ ...recipe, searchImages: 45 })).rejects.toThrow(
    /48 training images less 45 to search on leave fewer than a batch of 8/,
  );
});
