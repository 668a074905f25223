/** `npm run train`: trains a small detector on a folder of images, and says what it reached. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { formatProblems } from '../data/describe';
import { smallDetectorNames, type SmallDetectorName } from '../models/small-detectors';
import { parseArguments } from '../notebook/runner/arguments';
import { UsageError } from '../notebook/runner/select';
import { useBackend } from '../tensor/backend';
import { nearest } from '../tensor/nearest';
import { openRunData } from './data';
import { defaultRecipe, type Recipe } from './recipe';
import { detectionSheet, runChart, runTable } from './report';
import { trainingRun, type RunResult } from './run';

const help: string = `npm run train -- DETECTOR [FOLDER] [options]

Trains a small detector from random weights and measures it on images that it has not seen.

  DETECTOR             ${smallDetectorNames.join(', ')}
  FOLDER               annotated images, in any layout that "npm run data -- FOLDER" knows; its own lists
                       train, val and test are used where it has them (default: the shipped scenes)

  --out FOLDER         the run's own folder: checkpoints, log.jsonl, result.json, curves.svg, detections.png
                       (default: runs/DETECTOR-FOLDER)
  --steps N            updates of the weights (default: 1500)
  --batch N            images to a step (default: 8)
  --rate X             highest learning rate
  --size N | WxH       of the network's input, pixels (default: by the images, 256 x 256 pixels at most)
  --seed N             of first weights, order and augmentation (default: 0)
  --limit N            only so many images of each list
  --backend NAME       tensorflow, wasm or cpu (default: the fastest there is)
  --help               this text

npm run train -- report FOLDER... [--out FILE.md]
                       a table and a chart of finished runs, side by side

A run that was broken off, even by a crash, goes on when the same command is given again.
`;

/** Runs the command. Returns the exit code. */
export async function trainCommand(words: string[]): Promise<number> {
  const { flags, values, names } = parseArguments(words, {
    help: 'flag',
    out: { value: 'runs/mine' },
    steps: { value: '3000' },
    batch: { value: '8' },
    rate: { value: '0.01' },
    size: { value: '320x240' },
    seed: { value: '0' },
    limit: { value: '100' },
    backend: { value: 'wasm' },
  });
  if (flags.has('help') || names.length === 0) {
    console.log(help);
    return flags.has('help') ? 0 : 2;
  }
  if (names[0] === 'report') return report(names.slice(1), values.get('out'));
  if (names.length > 2)
    throw new UsageError(`One detector and one folder, not also ${names.slice(2).join(' ')}.`);
  const detector = chooseDetector(names[0]);
  const folder = names[1];
  const number = (name: string, least: number): number | undefined => {
    const text = values.get(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (name !== 'rate' && !Number.isInteger(value))
      throw new UsageError(`--${name} is a whole number, got ${text}`);
    if (!(value >= least)) throw new UsageError(`--${name} is ${least} or more, got ${text}`);
    return value;
  };
  const size = parseSize(values.get('size'), detector);
  const seed = number('seed', 0);
  const limit = number('limit', 1);
  const changes: { -readonly [K in keyof Recipe]?: Recipe[K] } = { ...size };
  const [steps, batchSize, rate] = [number('steps', 1), number('batch', 1), number('rate', 0)];
  if (steps !== undefined)
    Object.assign(changes, { steps, warmupSteps: Math.min(200, Math.ceil(steps / 10)) });
  if (batchSize !== undefined) changes.batchSize = batchSize;
  if (rate !== undefined) changes.rate = rate;
  if (seed !== undefined) changes.seed = seed;

  const backend = await useBackend({ backend: values.get('backend') });
  console.log(backend.line);
  const data = await openRunData({ folder, sceneSize: size?.width ?? 128, limit, seed });
  console.log(
    `${data.source}\n${data.train.examples.length} images to train on, ${data.val.examples.length} to choose by, ` +
      `${data.test.examples.length} to measure on; classes: ${data.train.classes.join(', ')}`,
  );
  if (data.problems.length > 0) console.log(formatProblems(data.problems));
  const recipe = defaultRecipe(detector, data.train, changes);
  const out = path.resolve(values.get('out') ?? path.join('runs', `${detector}-${data.name}`));
  await fs.mkdir(out, { recursive: true });
  console.log(
    `${detector}: input ${recipe.width} x ${recipe.height}, ${recipe.steps} steps of ${recipe.batchSize} images, in ${out}`,
  );

  const started = performance.now();
  const {
    result,
    detector: trained,
    found,
  } = await trainingRun({
    data,
    recipe,
    folder: out,
    onProgress({ step, steps: all, loss, ap50 }) {
      const minutes = ((performance.now() - started) / 60_000).toFixed(1);
      const measured = ap50 === undefined ? '' : `, validation AP50 ${ap50.toFixed(3)}`;
      console.log(`step ${step} of ${all}, ${minutes} min: loss ${loss.toFixed(3)}${measured}`);
    },
    onNotice: (line) => console.log(line),
  });
  trained.model.dispose();
  const { chartSvg } = await import('../plot/render.js');
  await fs.writeFile(
    path.join(out, 'curves.svg'),
    await chartSvg(runChart([result], `${detector} on ${data.name}`)),
  );
  await fs.writeFile(path.join(out, 'detections.png'), (await detectionSheet(found, data.test)).png());
  console.log(`\n${runTable([result])}\n\n${path.join(out, 'result.json')}, curves.svg, detections.png`);
  return 0;
}

/** Finished runs, side by side. */
async function report(folders: readonly string[], out: string | undefined): Promise<number> {
  if (folders.length === 0) throw new UsageError('report: name the folders of one finished run or more');
  const results: RunResult[] = [];
  for (const folder of folders) {
    const file = folder.endsWith('.json') ? folder : path.join(folder, 'result.json');
    const text = await fs.readFile(file, 'utf8').catch(() => {
      throw new UsageError(`report: there is no ${file}; the run has not finished, or the folder is another`);
    });
    results.push(JSON.parse(text) as RunResult);
  }
  const table = runTable(results);
  console.log(table);
  if (out === undefined) return 0;
  const { chartSvg } = await import('../plot/render.js');
  const chart = `${out.replace(/\.md$/, '')}.svg`;
  await fs.writeFile(chart, await chartSvg(runChart(results)));
  await fs.writeFile(out, `${table}\n\n![Training loss and validation AP](${path.basename(chart)})\n`);
  console.log(`\n${out}, ${chart}`);
  return 0;
}

function chooseDetector(name: string): SmallDetectorName {
  const known = smallDetectorNames.find((one) => one === name);
  if (known) return known;
  const near = nearest(name, smallDetectorNames);
  throw new UsageError(
    `There is no detector '${name}'.${near ? ` Did you mean '${near}'?` : ''} There are ${smallDetectorNames.join(', ')}.`,
  );
}

function parseSize(
  text: string | undefined,
  detector: SmallDetectorName,
): { width: number; height: number } | undefined {
  if (text === undefined) return undefined;
  const parts = /^(\d+)(?:x(\d+))?$/.exec(text);
  const [width, height] = [Number(parts?.[1]), Number(parts?.[2] ?? parts?.[1])];
  if (!parts || width < 32 || height < 32)
    throw new UsageError(`--size is a number of pixels from 32, or WxH, got ${text}`);
  if (detector === 'ssd' && width !== height)
    throw new UsageError(`--size: SSD's input is a square, got ${text}`);
  return { width, height };
}
