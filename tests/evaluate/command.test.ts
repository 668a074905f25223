import fs from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  type CocoDetectionJson,
  exportWeights,
  publishedNetwork,
  useBackend,
  writeSafetensors,
} from 'detlab';
import { evaluateCommand } from '../../lib/evaluate/command';
import type { EvaluationSummary } from '../../lib/evaluate/run';
import { temporaryFolder } from '../data/temporary';
import { writeCoco } from './coco-folder';

let printed: string[];
beforeEach(() => {
  printed = [];
  vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line));
});
afterEach(() => void vi.restoreAllMocks());

describe('npm run evaluate', () => {
  test('explains itself', async () => {
    expect(await evaluateCommand(['--help'])).toBe(0);
    expect(printed.join('\n')).toContain('tf_efficientdet_d7x');
    expect(await evaluateCommand([])).toBe(2);
  });

  test.each([
    [
      ['tf_efficientdet_d10', 'w', 'f'],
      "There is no network 'tf_efficientdet_d10'. Did you mean 'tf_efficientdet_d1'?",
    ],
    [['efficientdet_d0'], 'efficientdet_d0 needs its weights: a .pth or .safetensors file.'],
    [['efficientdet_d0', 'd0.pth'], 'name the folder of the images'],
    [['efficientdet_d0', 'd0.pth', 'coco', 'more'], 'one folder, not also more'],
    [['efficientdet_d0', 'nowhere.pth', 'coco'], 'There is no file of weights nowhere.pth'],
    [['efficientdet_d0', 'd0.pth', 'coco', '--batch', '0'], '--batch is a whole number from 1, got 0'],
    [['efficientdet_d0', 'd0.pth', 'coco', '--limit', 'few'], '--limit is a whole number from 1, got few'],
    [['efficientdet_d0', 'd0.pth', 'coco', '--splits', 'val'], "Did you mean '--split'?"],
  ])('%j is a mistake that is named', async (words, message) => {
    await expect(evaluateCommand(words)).rejects.toThrow(message);
  });

  test('measures D0 with weights by effdet’s names', { timeout: 120_000 }, async () => {
    await useBackend();
    const folder = temporaryFolder();
    const { model } = publishedNetwork('tf_efficientdet_d0').build();
    const weights = path.join(folder, 'd0.safetensors');
    await writeSafetensors(weights, await exportWeights(model, 'effdet/efficientdet'));
    model.dispose();
    const coco = path.join(folder, 'coco');
    await writeCoco(coco, [
      { id: 139, width: 64, height: 48, boxes: [{ box: [4, 4, 32, 32], category: 1 }] },
      { id: 285, width: 48, height: 64, boxes: [] },
    ]);
    const out = path.join(folder, 'out');
    const words = ['tf_efficientdet_d0', weights, coco, '--limit', '1', '--out', out];
    expect(await evaluateCommand(words)).toBe(0);
    const text = printed.join('\n');
    expect(text).toContain('coco/val2017: 1 image, 2 classes');
    expect(text).toContain("78 of the network's 80 classes are not in these images.");
    expect(text).toContain('input 512 x 512, batches of 8');
    expect(text).toContain('image 1 of 1,');
    expect(text).toContain('Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = ');
    expect(text).toContain('Published, not measured here: AP on all 5000 images of COCO val2017');
    expect(text).toContain('34.2 %  effdet, hard NMS');
    expect(text).toContain('the figures are not to be compared');
    expect((await fs.readdir(out)).sort()).toEqual(['detections.json', 'detections.jsonl', 'result.json']);
    const summary = JSON.parse(await fs.readFile(path.join(out, 'result.json'), 'utf8')) as EvaluationSummary;
    expect(summary).toMatchObject({ network: 'tf_efficientdet_d0', images: 1, objects: 1, split: 'val2017' });
    // Without training all anchors and classes have the same score, and only the first 5000 pairs are looked at.
    const found = JSON.parse(
      await fs.readFile(path.join(out, 'detections.json'), 'utf8'),
    ) as CocoDetectionJson[];
    expect(new Set(found.map(({ image_id }) => image_id))).toEqual(new Set([139]));
    for (const { score } of found) expect(score).toBeCloseTo(0.01, 6);

    await expect(evaluateCommand([...words, '--soft-nms'])).rejects.toThrow('softNms false, now true');
    await expect(evaluateCommand([...words, '--split', 'val2071'])).rejects.toThrow();
    words[2] = path.join(folder, 'nowhere');
    await expect(evaluateCommand(words)).rejects.toThrow(`${words[2]} is neither a file nor a folder`);
  });
});
