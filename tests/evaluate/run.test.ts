/** An evaluation from images to files: a small network behind the code that evaluates the published ones. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  cocoCategoryIds,
  cocoClassNames,
  type Detection,
  evaluateCocoJson,
  readImage,
  stateDict,
  useBackend,
  writeSafetensors,
} from 'detlab';
import { openEvaluationData } from '../../lib/evaluate/data';
import { openDetections } from '../../lib/evaluate/detections-file';
import { efficientDetNetwork } from '../../lib/evaluate/efficientdet';
import type { EvaluatedDetector, PublishedNetwork } from '../../lib/evaluate/network';
import { publishedNetwork, publishedNetworkNames } from '../../lib/evaluate/networks';
import { evaluateNetwork, type EvaluateNetworkOptions } from '../../lib/evaluate/run';
import { temporaryFolder } from '../data/temporary';
import { writeRectangles } from '../runs/rectangles';
import { hashed } from '../weights/hashed';
import { writeCoco } from './coco-folder';

beforeAll(() => useBackend());

const plan = {
  inputSize: 128,
  trunk: { width: 0.25, depth: 0.2 },
  channels: 8,
  cells: 1,
  headDepth: 1,
};
const small = efficientDetNetwork({ name: 'small', plan });

/** Weights of the small network in a file, by its own names. */
async function weightsIn(folder: string): Promise<string> {
  const { model } = small.build();
  const weights = new Map(
    [...(await stateDict(model))].map(([name, { shape }], number) => {
      const count = shape.reduce((product, side) => product * side, 1);
      const values = hashed(count, number, (u) => (name.endsWith('running_var') ? 1 + 0.5 * u : 0.3 * u));
      // Persons and toothbrushes, which the images have, are found everywhere.
      if (name === 'class_net.predict.conv_pw.bias')
        values.forEach((value, i) => (values[i] = value + ([0, 89].includes(i % 90) ? 2 : -2)));
      return [name, { shape, values }];
    }),
  );
  model.dispose();
  const file = path.join(folder, 'small.safetensors');
  await writeSafetensors(file, weights);
  return file;
}

/** The network, and the sizes of the images that went through it. */
function watched(network: PublishedNetwork): { network: PublishedNetwork; seen: number[] } {
  const seen: number[] = [];
  const build = (): EvaluatedDetector => {
    const detector = network.build();
    return {
      ...detector,
      detections(predictions, sizes) {
        seen.push(...sizes.map(({ width }) => width));
        return detector.detections(predictions, sizes);
      },
    };
  };
  return { network: { ...network, build }, seen };
}

describe('a COCO folder', () => {
  test('is measured, written in COCO’s terms, and gone on with', { timeout: 60_000 }, async () => {
    const folder = temporaryFolder();
    const weights = await weightsIn(folder);
    const coco = path.join(folder, 'coco');
    const annotations = await writeCoco(coco, [
      { id: 9, width: 60, height: 40, boxes: [{ box: [5, 5, 20, 20], category: 90 }] },
      { id: 3, width: 50, height: 70, boxes: [{ box: [0, 10, 30, 30], category: 1 }] },
      { id: 7, width: 80, height: 80, boxes: [] },
    ]);
    const out = path.join(folder, 'out');
    const all = await openEvaluationData({ folder: coco, network: small });
    expect([all.split, all.imageIds, all.unknown]).toEqual(['val2017', [9, 3, 7], []]);
    expect(all.classes).toEqual(['person', 'toothbrush']);
    expect(all.categoryIds).toEqual([1, 90]);

    // Two images, then the third: as if it had been broken off.
    const first = await openEvaluationData({ folder: coco, network: small, limit: 2 });
    const begun = watched(small);
    const options: EvaluateNetworkOptions = {
      network: begun.network,
      weights,
      data: first,
      folder: out,
      batchSize: 2,
    };
    await evaluateNetwork(options);
    expect(begun.seen).toEqual([60, 50]);
    await fs.appendFile(path.join(out, 'detections.jsonl'), '{"image":"7","detec');
    const resumed = watched(small);
    const progress: unknown[] = [];
    const { summary, result } = await evaluateNetwork({
      ...options,
      network: resumed.network,
      data: all,
      onProgress: (one) => progress.push(one),
    });
    expect(resumed.seen).toEqual([80]);
    expect(progress).toEqual([{ done: 3, before: 2, images: 3 }]);

    const whole = await evaluateNetwork({ ...options, data: all, folder: path.join(folder, 'whole') });
    expect(whole.summary.figures).toEqual(summary.figures);
    const written = await fs.readFile(path.join(out, 'detections.json'), 'utf8');
    const detections = JSON.parse(written) as Parameters<typeof evaluateCocoJson>[0]['detections'];
    expect(detections.length).toBeGreaterThan(0);
    const again = evaluateCocoJson({ groundTruth: annotations, detections, invalid: 'official' });
    expect(result.stats).toEqual(again.stats);
    for (const { category_id } of detections) expect([1, 90]).toContain(category_id);
    expect(new Set(detections.map((one) => one.image_id))).toEqual(new Set([3, 7, 9]));
    for (const { bbox, image_id } of detections) {
      const [width, height] = { 3: [50, 70], 7: [80, 80], 9: [60, 40] }[Number(image_id)]!;
      const [x, y, w, h] = bbox;
      expect(x >= 0 && y >= 0 && x + w <= width + 1e-3 && y + h <= height + 1e-3).toBe(true);
    }
    expect(summary).toMatchObject({
      network: 'small',
      images: 3,
      objects: 2,
      data: 'coco',
      split: 'val2017',
    });
    expect(JSON.parse(await fs.readFile(path.join(out, 'result.json'), 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(summary)),
    );

    await expect(evaluateNetwork({ ...options, network: { ...small, name: 'another' } })).rejects.toThrow(
      'has the detections of another evaluation: network small, now another. Give --out another folder',
    );
  });

  test('weights that do not fit are named, and what they are by their name', async () => {
    const folder = temporaryFolder();
    const weights = path.join(folder, 'tf_efficientdet_d7x-1234.safetensors');
    await fs.rename(await weightsIn(folder), weights);
    const coco = path.join(folder, 'coco');
    await writeCoco(coco, [{ id: 1, width: 60, height: 40, boxes: [{ box: [5, 5, 20, 20], category: 1 }] }]);
    const wider = efficientDetNetwork({ name: 'tf_efficientdet_d0', plan: { ...plan, channels: 16 } });
    const data = await openEvaluationData({ folder: coco, network: wider });
    const options = { network: wider, weights, data, folder: path.join(folder, 'out'), batchSize: 1 };
    const error = await evaluateNetwork(options).catch((one: unknown) => one as Error);
    expect(String(error)).toContain(
      `${weights} into tf_efficientdet_d0: by its name, the file is tf_efficientdet_d7x's. `,
    );
    expect(String(error)).toContain("don't fit this EfficientDet");
    // The folder is free for what fits.
    const { summary } = await evaluateNetwork({ ...options, network: small });
    expect(summary).toMatchObject({ network: 'small', images: 1 });
  });
});

describe('other data sets', () => {
  test('give their classes by name, also by Pascal VOC’s', async () => {
    const folder = temporaryFolder();
    const names = ['Dining_Table', 'aeroplane', 'goblin', 'tvmonitor'];
    await writeCoco(
      folder,
      [{ id: 1, width: 60, height: 40, boxes: [{ box: [1, 2, 9, 9], category: 4 }] }],
      names,
    );
    const data = await openEvaluationData({ folder, network: small });
    expect(data.classes).toEqual(['Dining_Table', 'aeroplane', 'tvmonitor']);
    expect(data.unknown).toEqual(['goblin']);
    // The file's own ids, and the network's label of each class.
    expect(data.categoryIds).toEqual([1, 2, 4]);
    const label = (name: string): number => cocoCategoryIds[cocoClassNames.indexOf(name)] - 1;
    expect(['dining table', 'airplane', 'tv'].map((name) => data.labels[label(name)])).toEqual([0, 1, 2]);
    expect(data.dataset.examples[0].objects.map((object) => object.label)).toEqual([2]);
    expect((await readImage(data.dataset.examples[0].file!.path)).width).toBe(60);
  });

  test('without a class in common are an error', async () => {
    const folder = temporaryFolder();
    await writeRectangles(folder, { val: 2 });
    await expect(openEvaluationData({ folder, network: small })).rejects.toThrow(
      'small knows none of its classes (blue, red); it predicts person, bicycle, car',
    );
  });
});

describe('the file of detections', () => {
  const detection: Detection = { box: [1.00004, 2, 3.5, 4], label: 3, score: Math.fround(0.1) };

  test('says which line is broken, and what differs', async () => {
    const file = path.join(temporaryFolder(), 'detections.jsonl');
    const opened = await openDetections(file, { network: 'a', softNms: false });
    await opened.add([{ id: 'x', detections: [detection] }]);
    expect(opened.found.get('x')).toEqual([{ ...detection, box: [1, 2, 3.5, 4], score: 0.100000001 }]);
    await opened.close();
    const again = await openDetections(file, { network: 'a', softNms: false });
    expect([...again.found]).toEqual([...opened.found]);
    await again.close();
    await expect(openDetections(file, { network: 'a', softNms: true })).rejects.toThrow(
      'softNms false, now true',
    );
    await fs.appendFile(file, 'nonsense\n');
    await expect(openDetections(file, { network: 'a', softNms: false })).rejects.toThrow(
      `${file}, line 3 is not JSON`,
    );
  });
});

describe('the published networks', () => {
  test('are effdet’s, with what was published of them', () => {
    expect(publishedNetworkNames).toContain('tf_efficientdet_d7x');
    const { input, published, classes } = publishedNetwork('tf_efficientdet_d0');
    expect([input.size, published.map(({ ap }) => ap.value)]).toEqual([512, [34.2, 34.3]]);
    expect([classes.length, classes[0], classes[11], classes[89]]).toEqual([
      90,
      'person',
      undefined,
      'toothbrush',
    ]);
    // COCO's ids of some categories, less 1
    const ids = { giraffe: 25, 'dining table': 67, tv: 72, refrigerator: 82, book: 84 };
    for (const [name, id] of Object.entries(ids)) expect(classes[id - 1]).toBe(name);
    expect(classes.filter((one) => one !== undefined)).toEqual(cocoClassNames);
    expect(publishedNetwork('efficientdet_d2').published).toEqual([]);
    expect(() => publishedNetwork('tf_efficientdet_d9')).toThrow(
      "There is no network 'tf_efficientdet_d9'. Did you mean 'tf_efficientdet_d0'?",
    );
  });
});
