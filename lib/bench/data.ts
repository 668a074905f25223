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
    if (size === 128) comparisons.push(await besideTraining(dataset, rounds));
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

/** Training steps on one batch that is there already, on a loader's batches, and the loader alone, in turns. */
async function besideTraining(dataset: DetectionDataset, rounds: number): Promise<Comparison> {
  const plan = { ...planNet('resnet', networkSize), classes: dataset.classes.length };
  const model = buildNet(plan);
  const anchors = netAnchors(plan, model.mapSizes());
  const train = createTrainingStep(model, { momentum: 0.9, compiled: true });
  const loader = createLoader(dataset, { size: networkSize, batchSize, ...normalisation, augment });
  await loader.preload();
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
  const ways = {
    'steps alone': async () => {
      for (let i = 0; i < loader.batches; i++) await step(inputs);
    },
    'loader alone': async () => {
      for await (const batch of loader.epoch(0)) disposeInputs(prepare(batch));
    },
    both: async () => {
      for await (const batch of loader.epoch(0)) {
        const fresh = prepare(batch);
        await step(fresh);
        disposeInputs(fresh);
      }
    },
  };
  const contestants = await takeTurns(
    rounds,
    Object.entries(ways).map(([name, run]) => ({ name, run })),
  );
  disposeInputs(inputs);
  train.dispose();
  model.dispose();
  return {
    part: 'training with its data',
    size: `resnet, ${networkSize} px, batch ${batchSize}, ${count} images`,
    images: count,
    contestants,
  };
}
