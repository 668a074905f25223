/** Training, pretraining and measuring, on a task of a few seconds. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  buildScratchDet,
  type ClassificationDataset,
  createRandom,
  type DetectionDataset,
  evaluateDetector,
  gradientFigures,
  openScratchDetData,
  pretrainTrunk,
  type RgbImage,
  scratchDetLoader,
  type ScratchDetRecipe,
  scratchDetRecipeFor,
  scratchDetRecipes,
  scratchDetStudies,
  tf,
  trainScratchDet,
  useBackend,
} from 'detlab';
import { writeVoc } from '../../../lib/data/voc-write';
import { temporaryFolder } from '../../data/temporary';

beforeAll(async () => {
  await useBackend();
});

const recipe: ScratchDetRecipe = {
  ...scratchDetRecipes.quick,
  inputSize: 48,
  sceneSize: 48,
  widths: [8, 12, 16, 24],
  batchSize: 8,
  steps: 60,
  warmupSteps: 5,
  pretraining: { classes: 2, perClass: 32, steps: 40, batchSize: 16, learningRate: 0.05 },
};
const [, arm] = scratchDetStudies(recipe).norm.filter(({ batchNorm }) => batchNorm === 'backbone');

/** A grey picture with a rectangle in red or blue. */
function rectangle(size: number, label: number, random: ReturnType<typeof createRandom>) {
  const data = new Uint8Array(size * size * 3).fill(110);
  const [w, h] = [size / 4 + random.integer(size / 4), size / 4 + random.integer(size / 4)];
  const [x, y] = [random.integer(size - w + 1), random.integer(size - h + 1)];
  for (let row = y; row < y + h; row++) {
    for (let column = x; column < x + w; column++) data[(row * size + column) * 3 + 2 * label] = 250;
  }
  return {
    image: { width: size, height: size, data } satisfies RgbImage,
    box: [x, y, x + w, y + h] as const,
  };
}

function rectangles(count: number): DetectionDataset {
  const random = createRandom('rectangles');
  const examples = Array.from({ length: count }, (_, i) => {
    const { image, box } = rectangle(48, i % 2, random);
    return {
      id: `r${i}`,
      width: 48,
      height: 48,
      objects: [{ box, label: i % 2 }],
      image: () => Promise.resolve(image),
    };
  });
  return { name: 'rectangles', classes: ['red', 'blue'], examples };
}

function pictures(count: number, seed: string): ClassificationDataset {
  const random = createRandom(seed);
  const size = 32;
  const images = new Uint8Array(count * size * size * 3);
  const labels = Int32Array.from({ length: count }, (_, i) => i % 2);
  labels.forEach((label, i) => {
    images.set(rectangle(size, label, random).image.data, i * size * size * 3);
  });
  return { name: seed, classes: ['red', 'blue'], size, images, labels };
}

test(
  'an arm learns, is measured by size, and gives the same numbers again',
  { timeout: 120_000 },
  async () => {
    const data = rectangles(16);
    const run = async () => {
      const detector = buildScratchDet(recipe, arm, 2, 3);
      const tensors = tf.memory().numTensors;
      const { logs, evaluations } = await trainScratchDet({
        recipe,
        arm: { ...arm, length: 1.5 },
        detector,
        batches: scratchDetLoader(recipe, data, 3),
        evaluate: {
          everySteps: 45,
          run: async () => ({ map: (await evaluateDetector(recipe, detector, data)).voc.map }),
        },
      });
      expect(tf.memory().numTensors).toBe(tensors);
      const { voc, coco } = await evaluateDetector(recipe, detector, data);
      detector.model.dispose();
      return { losses: logs.map(({ loss }) => loss), evaluations, map: voc.map, bySize: coco.bySize };
    };
    const first = await run();
    expect(first.losses).toHaveLength(90);
    expect(first.losses.at(-1)!).toBeLessThan(first.losses[0] / 2);
    expect(first.map).toBeGreaterThan(0.5);
    expect(first.evaluations.map(({ step }) => step)).toEqual([45, 90]);
    // All sizes, then up to 6 pixels, to 12 and beyond: the sides are 12 to 23.
    expect(first.bySize.map(({ name, objects }) => `${name} ${objects}`)).toEqual([
      'all 16',
      'small 0',
      expect.stringMatching(/^medium [01]$/),
      expect.stringMatching(/^large 1[56]$/),
    ]);
    expect((await run()).losses).toEqual(first.losses);
  },
);

describe('pretraining', () => {
  test('teaches the trunk, which stays a part of its detector', { timeout: 120_000 }, async () => {
    const detector = buildScratchDet(recipe, arm, 2, 1);
    const { backbone } = detector.model;
    const before = backbone.parameters().map(({ variable }) => variable.dataSync().slice());
    const tensors = tf.memory().numTensors;
    const { training, accuracy } = await pretrainTrunk({
      recipe,
      experiment: 'scratchdet',
      trunk: backbone,
      images: pictures(64, 'train'),
      validation: pictures(70, 'val'),
      seed: 1,
    });
    expect(tf.memory().numTensors).toBe(tensors);
    expect(training.logs).toHaveLength(40);
    expect(accuracy).toBeGreaterThan(0.9);
    const changed = backbone
      .parameters()
      .filter(({ variable }, i) => variable.dataSync().some((value, k) => value !== before[i][k]));
    expect(changed.length).toBe(before.length);
    detector.model.dispose();
  });

  test('says that there are too few pictures', async () => {
    const detector = buildScratchDet(recipe, arm, 2, 1);
    const few = pictures(8, 'few');
    await expect(
      pretrainTrunk({
        recipe,
        experiment: 'scratchdet',
        trunk: detector.model.backbone,
        images: few,
        validation: few,
        seed: 1,
      }),
    ).rejects.toThrow('8 pictures are fewer than a batch of 16');
    detector.model.dispose();
  });
});

test('the gradient’s figures, by hand', () => {
  const log = (gradientNorm: number, gradientChange: number) => ({ gradientNorm, gradientChange });
  const logs = [log(100, NaN), log(1, 50), log(2, 1.5), log(1, 3), log(4, 2)];
  const { norm, fluctuation, relativeChange } = gradientFigures(logs, 1);
  expect(norm).toBe(2);
  // ln 2, ln 2, ln 4
  expect(fluctuation).toBeCloseTo(2 ** (4 / 3), 12);
  expect(relativeChange).toBeCloseTo((1.5 / 1 + 3 / 2 + 2 / 1) / 3, 12);
  expect(gradientFigures([log(NaN, NaN), log(1, 1)], 0).fluctuation).toBeNaN();
});

test('a VOCdevkit is taken as 07+12: both years’ trainval, 2007’s test', async () => {
  const folder = temporaryFolder();
  const random = createRandom('voc');
  const year = async (name: string, splits: Record<string, number>): Promise<void> => {
    for (const [split, count] of Object.entries(splits)) {
      const set = rectangles(count);
      const examples = set.examples.map((example, i) => ({
        ...example,
        id: `${name}-${split}-${i}`,
        image: () => Promise.resolve(rectangle(48, 0, random).image),
      }));
      await writeVoc(path.join(folder, name), { ...set, examples }, { split });
    }
  };
  await year('VOC2007', { trainval: 3, test: 2 });
  const before = await openScratchDetData(recipe, 'headline', { folder: path.join(folder, 'VOC2007') });
  expect([before.train.examples.length, before.test.examples.length]).toEqual([3, 2]);
  await year('VOC2012', { trainval: 4 });
  const { train, test: held, unseen, source } = await openScratchDetData(recipe, 'small', { folder });
  expect(train.examples).toHaveLength(7);
  expect(held.examples).toHaveLength(2);
  expect(unseen).toBeUndefined();
  expect(source).toMatch(/trained on trainval of 2007, trainval of 2012/);
  expect(await scratchDetRecipeFor('paper', folder)).toBe(scratchDetRecipes.paper);
  await fs.rm(folder, { recursive: true });
});
