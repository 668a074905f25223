/** The data pipeline: images decoded, augmented and batched, and what training loses by waiting for them. */
import { createLoader, type LoaderOptions } from '../data/loader';
import { loadScenes } from '../data/scenes/prepare';
import { expand, iouCrop } from '../data/transforms/crop';
import { flipHorizontal } from '../data/transforms/geometric';
import { photometricDistortion } from '../data/transforms/photometric';
import { compose, type Sample, type Transform } from '../data/transforms/transform';
import type { DetectionDataset } from '../data/types';
import { encodeTargets, targetTensors } from '../losses/multibox-targets';
import { createRandom } from '../tensor/random';
import { tf } from '../tensor/tf';
import { batchTensor } from '../train/batch-tensor';
import { type Comparison, takeTurns, time } from './measure';
import { buildNet, netAnchors, planNet } from './nets';
import { createTrainingStep } from './workloads';

/** Images of a round. */
const count = 96;
const batchSize = 8;
const networkSize = 96;
const normalisation = { mean: [123, 117, 104], std: [58, 58, 58] } as const;

/** SSD's augmentation (Liu et al., ECCV 2016, section 3.6). */
const augment: Transform = compose(photometricDistortion(), expand(), iouCrop(), flipHorizontal());

/** Measures the pipeline on shipped scenes, which are rendered at first use. */
export async function compareData(rounds: number): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const size of [128, 300]) {
    const dataset = await loadScenes({ split: 'train', difficulty: 'headline', count, size });
    comparisons.push(...(await stages(dataset, size, rounds)));
    if (size === 300) comparisons.push(...(await workersAlone(dataset, size, rounds)));
    comparisons.push(...(await besideTraining(dataset, size, rounds)));
  }
  return comparisons;
}

/** Each stage by itself, then all of them as the loader does them. */
async function stages(dataset: DetectionDataset, size: number, rounds: number): Promise<Comparison[]> {
  const decode = (): Promise<Sample[]> =>
    Promise.all(dataset.examples.map(async (one) => ({ image: await one.image(), objects: one.objects })));
  const samples = await decode();
  const pass = async (options: Partial<LoaderOptions>): Promise<void> => {
    const loader = createLoader(dataset, { size: networkSize, batchSize, ...normalisation, ...options });
    for await (const batch of loader.epoch(0)) batchTensor(batch).dispose();
  };
  const loader = createLoader(dataset, { size: networkSize, batchSize, ...normalisation, augment });
  const parts: [part: string, work: () => unknown][] = [
    ['decode', decode],
    [
      'augment as SSD',
      () => samples.forEach((sample, i) => augment(sample, createRandom(`bench/augment/${i}`))),
    ],
    ['batches, decoded each time', () => pass({ cacheImages: false })],
    ['batches, decoded and augmented', () => pass({ cacheImages: false, augment })],
    [
      'batches, augmented from memory',
      async () => {
        for await (const batch of loader.epoch(0)) batchTensor(batch).dispose();
      },
    ],
  ];
  const comparisons: Comparison[] = [];
  for (const [part, work] of parts) {
    const contestants = [{ name: 'detlab', rounds: await time(rounds, work) }];
    comparisons.push({ part, size: `${count} images of ${size} px`, images: count, contestants });
  }
  return comparisons;
}

/** Batches at the images' own size, made by 0, 1 and 2 threads in turns: the first epoch decodes, later ones have the images. */
async function workersAlone(dataset: DetectionDataset, size: number, rounds: number): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const cacheImages of [false, true]) {
    const loaders = workerCounts.map((workers) =>
      createLoader(dataset, { size, batchSize, ...normalisation, augment, workers, cacheImages }),
    );
    const contestants = await takeTurns(
      rounds,
      loaders.map((loader, i) => ({
        name: workersName(workerCounts[i]),
        run: async () => {
          for await (const batch of loader.epoch(0)) batchTensor(batch).dispose();
        },
      })),
    );
    await Promise.all(loaders.map((loader) => loader.close()));
    comparisons.push({
      part: cacheImages ? 'batches augmented by threads' : 'batches decoded and augmented by threads',
      size: `${count} images of ${size} px, as large in the network`,
      images: count,
      contestants,
    });
  }
  return comparisons;
}

const workerCounts = [0, 1, 2] as const;

function workersName(workers: number): string {
  return workers === 0 ? 'no thread' : workers === 1 ? '1 thread' : `${workers} threads`;
}

/** Training steps on one batch that is there already, on a loader's batches, and the loader alone, in turns. */
async function besideTraining(
  dataset: DetectionDataset,
  size: number,
  rounds: number,
): Promise<Comparison[]> {
  const plan = { ...planNet('resnet', networkSize), classes: dataset.classes.length };
  const model = buildNet(plan);
  const anchors = netAnchors(plan, model.mapSizes());
  const train = createTrainingStep(model, { momentum: 0.9, compiled: true });
  const loaders = workerCounts.map((workers) =>
    createLoader(dataset, { size: networkSize, batchSize, ...normalisation, augment, workers }),
  );
  const [loader] = loaders;
  await Promise.all(loaders.map((one) => one.preload()));
  type Inputs = Parameters<typeof train.step>[0];
  const prepare = (batch: Parameters<typeof batchTensor>[0]): Inputs => ({
    images: batchTensor(batch),
    ...targetTensors(encodeTargets(batch.groundTruth, anchors)),
    rate: 0.001,
  });
  const step = async (inputs: Inputs): Promise<void> => {
    const { loss } = train.step(inputs);
    await loss.data();
    loss.dispose();
  };
  const disposeInputs = ({ images, classTargets, boxTargets }: Inputs): void =>
    tf.dispose([images, classTargets, boxTargets]);

  let fixed: Inputs | undefined;
  for await (const batch of loader.epoch(0)) fixed ??= prepare(batch);
  const inputs = fixed!;
  const waited = workerCounts.map((): number[] => []);
  /** Trains for an epoch, and notes how long it waits for batches. */
  const trainOn = async (way: number): Promise<void> => {
    let wait = 0;
    const batches = loaders[way].epoch(0);
    for (;;) {
      const asked = performance.now();
      const next = await batches.next();
      wait += performance.now() - asked;
      if (next.done) break;
      const fresh = prepare(next.value);
      await step(fresh);
      disposeInputs(fresh);
    }
    waited[way].push(wait);
  };
  const ways = [
    {
      name: 'steps alone',
      run: async () => {
        for (let i = 0; i < loader.batches; i++) await step(inputs);
      },
    },
    {
      name: 'loader alone',
      run: async () => {
        for await (const batch of loader.epoch(0)) disposeInputs(prepare(batch));
      },
    },
    ...workerCounts.map((workers, way) => ({
      name: `both, ${workersName(workers)}`,
      run: () => trainOn(way),
    })),
  ];
  const contestants = await takeTurns(rounds, ways);
  await Promise.all(loaders.map((one) => one.close()));
  disposeInputs(inputs);
  train.dispose();
  model.dispose();
  const shape = `resnet, ${networkSize} px, batch ${batchSize}, ${count} images of ${size} px`;
  return [
    { part: 'training with its data', size: shape, images: count, contestants },
    {
      part: 'of that: waiting for batches',
      size: shape,
      contestants: workerCounts.map((workers, way) => ({
        name: workersName(workers),
        rounds: waited[way].slice(-rounds), // the first is the warm-up
      })),
    },
  ];
}
