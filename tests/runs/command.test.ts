import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { trainCommand } from '../../lib/runs/command';
import type { RunResult } from '../../lib/runs/run';
import { writeRectangles } from './rectangles';

let folder: string;
let printed: string[];
beforeEach(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'detlab-train-'));
  printed = [];
  vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await fs.rm(folder, { recursive: true, force: true });
});

const coco = {
  ap: 0.4,
  ap50: 0.8,
  ap75: 0.3,
  apSmall: 0.1,
  apMedium: 0.2,
  apLarge: 0.3,
  ar1: 0.1,
  ar10: 0.2,
  ar100: 0.3,
  arSmall: 0.1,
  arMedium: 0.2,
  arLarge: 0.3,
};

function result(detector: 'ssd' | 'retinanet', voc07Ap50: number): RunResult {
  return {
    detector,
    data: 'cells: its lists train, val and test',
    classes: ['red', 'white'],
    images: { train: 10, val: 5, test: 5 },
    recipe: {
      detector,
      width: 96,
      height: 64,
      batchSize: 8,
      steps: 300,
      rate: 0.01,
      warmupSteps: 30,
      momentum: 0.9,
      weightDecay: 5e-4,
      clipNorm: 10,
      averageDecay: 0.998,
      seed: 0,
    },
    parameters: 3_060_000,
    multiplyAdds: 670_000_000,
    backend: 'backend: cpu',
    seconds: 90,
    msPerStep: 250.4,
    curve: [
      { step: 150, loss: 2, rate: 0.01 },
      { step: 300, loss: 1, rate: 0 },
    ],
    validation: [
      { step: 150, ap50: 0.4 },
      { step: 300, ap50: 0.7 },
    ],
    test: {
      images: 5,
      objects: 20,
      voc07Ap50,
      vocAp50: 0.8,
      perClass: { red: 0.75, white: 0.875 },
      coco,
      msPerImage: 12.3,
    },
    others: {},
  };
}

describe('npm run train', () => {
  test('explains itself', async () => {
    expect(await trainCommand(['--help'])).toBe(0);
    expect(printed.join('\n')).toContain('ssd, retinanet, faster-rcnn, cascade-rcnn');
    expect(await trainCommand([])).toBe(2);
  });

  test.each([
    [['retinant'], "There is no detector 'retinant'. Did you mean 'retinanet'?"],
    [['ssd', '--steps', 'many'], '--steps is a whole number, got many'],
    [['ssd', '--batch', '0'], '--batch is 1 or more, got 0'],
    [['ssd', '--rate', 'fast'], '--rate is 0 or more, got fast'],
    [['ssd', '--size', '320x240'], "SSD's input is a square, got 320x240"],
    [['retinanet', '--size', '320by240'], '--size is a number of pixels from 32, or WxH, got 320by240'],
    [['ssd', 'a', 'b', 'c'], 'One detector and one folder, not also b c.'],
    [['ssd', '--step', '3'], "Did you mean '--steps'?"],
    [['report'], 'name the folders of one finished run or more'],
    [['report', 'nowhere'], `there is no ${path.join('nowhere', 'result.json')}`],
  ])('%j is a mistake that is named', async (words, message) => {
    await expect(trainCommand(words)).rejects.toThrow(message);
  });

  test('sets finished runs side by side', async () => {
    for (const [name, ap] of [
      ['ssd', 0.8125],
      ['retinanet', 0.75],
    ] as const) {
      await fs.mkdir(path.join(folder, name));
      await fs.writeFile(path.join(folder, name, 'result.json'), JSON.stringify(result(name, ap)));
    }
    const out = path.join(folder, 'cells.md');
    expect(
      await trainCommand([
        'report',
        path.join(folder, 'ssd'),
        path.join(folder, 'retinanet', 'result.json'),
        '--out',
        out,
      ]),
    ).toBe(0);
    const lines = (await fs.readFile(out, 'utf8')).split('\n');
    expect(lines[0]).toContain('AP50 (VOC 2007) | red | white | AP (COCO)');
    expect(lines[2]).toBe(
      '| ssd | 96 x 64 | 3.06 M | 0.67 G | 300 | 1.5 | 250 | **0.813** | 0.750 | 0.875 | 0.400 | 12 |',
    );
    expect(lines[3]).toContain('| retinanet |');
    expect(lines.join('\n')).toContain('![Training loss and validation AP](cells.svg)');
    const svg = await fs.readFile(path.join(folder, 'cells.svg'), 'utf8');
    expect(svg).toContain('retinanet');
    expect(svg).toContain('Training loss');
  });

  test('trains on a folder, and repeated, says what it found', { timeout: 120_000 }, async () => {
    const images = path.join(folder, 'images');
    await writeRectangles(images, { train: 6, val: 2, test: 2 });
    const words = [
      'ssd',
      images,
      '--size',
      '64',
      '--steps',
      '2',
      '--batch',
      '3',
      '--out',
      path.join(folder, 'run'),
    ];
    expect(await trainCommand(words)).toBe(0);
    const text = printed.join('\n');
    expect(text).toContain('6 images to train on, 2 to choose by, 2 to measure on; classes: blue, red');
    expect(text).toContain('step 2 of 2');
    expect((await fs.readdir(path.join(folder, 'run'))).sort()).toEqual([
      'curves.svg',
      'detections.png',
      'log.jsonl',
      'result.json',
      'step-00000000.safetensors',
      'step-00000002.safetensors',
    ]);
    printed.length = 0;
    expect(await trainCommand(words)).toBe(0);
    expect(printed.join('\n')).toContain('| ssd | 64 x 64 |');
  });
});
