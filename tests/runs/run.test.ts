/** A whole run on a task that is learnt by heart: folder in, figures out; broken off and gone on with. */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tf, useBackend } from 'detlab';
import { openRunData, type RunData } from '../../lib/runs/data';
import { augmentation, defaultRecipe, type Recipe } from '../../lib/runs/recipe';
import { detectionSheet, runChart, runTable } from '../../lib/runs/report';
import { type RunResult, trainingRun } from '../../lib/runs/run';
import { createRandom } from '../../lib/tensor/random';
import { chartSvg } from '../../lib/plot/render';
import { writeRectangles } from './rectangles';

let folder: string;
let data: RunData;
let recipe: Recipe;

beforeAll(async () => {
  await useBackend();
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'detlab-run-'));
  await writeRectangles(path.join(folder, 'images'), { train: 24, val: 6, test: 10 });
  data = await openRunData({ folder: path.join(folder, 'images'), sceneSize: 64 });
  recipe = defaultRecipe('ssd', data.train, {
    steps: 100,
    warmupSteps: 20,
    rate: 0.03,
    averageDecay: 0.9,
    width: 64,
    height: 64,
  });
});
afterAll(() => fs.rm(folder, { recursive: true, force: true }));

describe('trainingRun', () => {
  test('learns, measures, and is the same run after it was broken off', { timeout: 300_000 }, async () => {
    const place = (name: string) => path.join(folder, name);
    const steps: number[] = [];
    const whole = await trainingRun({
      data,
      recipe,
      folder: place('whole'),
      onProgress: ({ step }) => steps.push(step),
    });
    const { result } = whole;
    expect(result.test.images).toBe(10);
    expect(result.test.objects).toBe(16);
    expect(result.test.voc07Ap50).toBeGreaterThan(0.8);
    expect(Object.keys(result.test.perClass).sort()).toEqual(['blue', 'red']);
    expect(result.curve.at(-1)!.loss).toBeLessThan(result.curve[0].loss / 2);
    expect(result.validation.at(-1)).toMatchObject({ step: 100 });
    expect(steps.at(-1)).toBe(100);
    expect(whole.found.ids).toHaveLength(10);
    const written = JSON.parse(
      await fs.readFile(path.join(place('whole'), 'result.json'), 'utf8'),
    ) as RunResult;
    expect(written).toEqual(JSON.parse(JSON.stringify(result)));
    expect(JSON.stringify(written)).not.toContain(folder);

    const broken = trainingRun({
      data,
      recipe,
      folder: place('broken'),
      onProgress({ step }) {
        if (step === 50) throw new Error('broken off');
      },
    });
    await expect(broken).rejects.toThrow('broken off');
    const again = await trainingRun({ data, recipe, folder: place('broken'), onNotice: () => undefined });
    expect(again.result.curve).toEqual(result.curve);
    expect(again.result.test.coco).toEqual(result.test.coco);

    const svg = await chartSvg(runChart([result], 'A run'));
    expect(svg).toContain('Validation AP50');
    const table = runTable([result]);
    expect(table.split('\n')).toHaveLength(3);
    expect(table).toContain(`**${result.test.voc07Ap50.toFixed(3)}**`);
    const sheet = await detectionSheet(whole.found, data.test, 2);
    expect(sheet.width).toBeGreaterThan(640);
    whole.detector.model.dispose();
    again.detector.model.dispose();
  });

  test('says that it diverged, and what to do', { timeout: 120_000 }, async () => {
    const before = tf.memory().numTensors;
    const run = trainingRun({
      data,
      recipe: { ...recipe, rate: 1e30, warmupSteps: 1, clipNorm: Infinity },
      folder: path.join(folder, 'diverged'),
    });
    await expect(run).rejects.toThrow(/diverged \(step \d+.*lower --rate than 1e\+30/s);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('defaultRecipe', () => {
  const images = (width: number, height: number) => ({
    ...data.train,
    examples: data.train.examples.map((example) => ({ ...example, width, height })),
  });

  test('takes the images’ proportions in multiples of 32, and no more pixels than they have', () => {
    const input = (...[detector, width, height]: [Recipe['detector'], number, number]) => {
      const { width: w, height: h } = defaultRecipe(detector, images(width, height));
      return [w, h];
    };
    expect(input('retinanet', 640, 480)).toEqual([288, 224]);
    expect(input('ssd', 640, 480)).toEqual([256, 256]);
    expect(input('retinanet', 128, 128)).toEqual([128, 128]);
    expect(input('retinanet', 1000, 250)).toEqual([512, 128]);
    expect(input('retinanet', 20, 10)).toEqual([32, 32]);
  });

  test('its augmentation gives pictures of the input’s size and keeps an object', async () => {
    const example = data.train.examples[0];
    const sample = { image: await example.image(), objects: example.objects };
    const transform = augmentation({ width: 64, height: 32 });
    for (let seed = 0; seed < 40; seed++) {
      const { image, objects } = transform(sample, createRandom(seed));
      expect([image.width, image.height]).toEqual([64, 32]);
      expect(objects.length).toBeGreaterThan(0);
    }
  });
});
