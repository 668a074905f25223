/** One training run from images to figures: trains a small detector, chooses nothing by the test images, and measures on them once. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { createLoader, type Loader } from '../data/loader';
import { normalizations } from '../data/transforms/normalization';
import type { DetectionDataset } from '../data/types';
import { evaluateCoco } from '../eval/coco/evaluate';
import { cocoFigureNames } from '../eval/coco/figures';
import type { CocoFigures } from '../eval/coco/types';
import { createVocEvaluator, evaluateVoc } from '../eval/voc';
import type { Detector } from '../models/detector';
import { smallDetector } from '../models/small-detectors';
import { summarize } from '../nn/summary';
import { backendInfo } from '../tensor/backend';
import { RandomStream } from '../tensor/random-stream';
import { type DatasetDetections, detectAll } from '../train/evaluate';
import { cosineSchedule } from '../train/schedule';
import { trainDetector } from '../train/train-detector';
import type { RunData } from './data';
import { augmentation, type Recipe } from './recipe';

/** What a detector reached on a set of images. */
export interface Measured {
  readonly images: number;
  readonly objects: number;
  /** Pascal VOC's AP at IoU 0.5, the mean over classes: by the 11 points of VOC 2007, and by all points. */
  readonly voc07Ap50: number;
  readonly vocAp50: number;
  /** VOC 2007's, by class. */
  readonly perClass: Readonly<Record<string, number>>;
  readonly coco: CocoFigures;
  /** Wall-clock milliseconds an image, reading it included. */
  readonly msPerImage: number;
}

/** What is left of a run: plain values, for a JSON file. */
export interface RunResult {
  readonly detector: string;
  readonly data: string;
  readonly classes: readonly string[];
  readonly images: { readonly train: number; readonly val: number; readonly test: number };
  readonly recipe: Recipe;
  readonly parameters: number;
  /** Multiply-adds of the convolutions and linear layers, an image. */
  readonly multiplyAdds: number;
  readonly anchors?: number;
  readonly backend: string;
  /** Wall-clock seconds of training, its evaluations on the way included. */
  readonly seconds: number;
  /** Middle wall-clock milliseconds of a step. */
  readonly msPerStep: number;
  /** Loss and learning rate, thinned: means over stretches of steps. */
  readonly curve: readonly { readonly step: number; readonly loss: number; readonly rate: number }[];
  /** VOC 2007 AP at IoU 0.5 on the validation images, on the way. */
  readonly validation: readonly { readonly step: number; readonly ap50: number }[];
  readonly test: Measured;
  readonly others: Readonly<Record<string, Measured>>;
}

/** Options of `trainingRun`. */
export interface TrainingRunOptions {
  readonly data: RunData;
  readonly recipe: Recipe;
  /** The run's own folder: checkpoints, log, and `result.json` at the end. Repeated, the call goes on where it was broken off. */
  readonly folder: string;
  /** Called now and then. */
  readonly onProgress?: (progress: { step: number; steps: number; loss: number; ap50?: number }) => void;
  readonly onNotice?: (line: string) => void;
}

/** A finished run: its figures, and what it found in the test images. */
export interface FinishedRun {
  readonly result: RunResult;
  readonly detector: Detector;
  readonly found: DatasetDetections;
}

/** Trains, measures, writes `result.json`. The caller disposes `detector.model`. */
export async function trainingRun(options: TrainingRunOptions): Promise<FinishedRun> {
  const { data, recipe } = options;
  const { width, height, seed } = recipe;
  const detector = smallDetector(recipe.detector, {
    classes: data.train.classes.length,
    inputSize: { width, height },
    seed: `weights/${seed}`,
  });
  const random = new RandomStream(seed);
  try {
    return { detector, ...(await trainAndMeasure(detector, random, options)) };
  } catch (error) {
    detector.model.dispose();
    throw error;
  } finally {
    random.dispose();
  }
}

async function trainAndMeasure(
  detector: Detector,
  random: RandomStream,
  options: TrainingRunOptions,
): Promise<Omit<FinishedRun, 'detector'>> {
  const { data, recipe, folder, onProgress, onNotice } = options;
  const { width, height, batchSize, steps, seed } = recipe;
  const { classes } = data.train;
  const pixels = { size: [height, width] as const, batchSize, ...normalizations.torchvision };
  const loader = createLoader(data.train, {
    ...pixels,
    shuffle: seed,
    augment: augmentation(recipe),
    dropLast: data.train.examples.length >= batchSize,
  });
  const valLoader = createLoader(data.val, pixels);
  const every = Math.min(Math.max(Math.ceil(steps / 12), 25), 250);
  const losses: number[] = [];
  const training = await trainWith(detector, loader, random, {
    ...options,
    every,
    evaluate: async (step) => {
      const found = await detectAll(detector, valLoader);
      const { map } = evaluateVoc({ ...found, classes, method: '11-point' });
      onProgress?.({ step, steps, loss: mean(losses.slice(-every)), ap50: map });
      return { ap50: Number.isNaN(map) ? 0 : map };
    },
    onLoss: (loss, step) => {
      losses.push(loss);
      if ((step + 1) % Math.ceil(every / 5) === 0)
        onProgress?.({ step: step + 1, steps, loss: mean(losses.slice(-every)) });
    },
    onNotice,
  });
  if (training.divergedAt !== undefined) {
    const problem = training.logs.at(-1)?.problem ?? '';
    throw new Error(`The run diverged (${problem}). Try a lower --rate than ${recipe.rate}.`);
  }

  const { found, measured: test } = await measure(detector, data.test, pixels);
  const others: Record<string, Measured> = {};
  for (const [name, set] of Object.entries(data.others))
    others[name] = (await measure(detector, set, pixels)).measured;
  const costs = summarize(detector.model, [height, width, 3]);
  const result: RunResult = {
    detector: recipe.detector,
    data: data.source,
    classes,
    images: {
      train: data.train.examples.length,
      val: data.val.examples.length,
      test: data.test.examples.length,
    },
    recipe,
    parameters: costs.parameters,
    multiplyAdds: costs.multiplyAdds,
    backend: backendInfo()?.line ?? '',
    seconds: round(training.seconds, 1),
    msPerStep: round(1000 * median(training.logs.map(({ seconds }) => seconds)), 1),
    curve: thinned(training.logs, 100),
    validation: training.evaluations.map(({ step, metrics }) => ({ step, ap50: round(metrics.ap50, 4) })),
    test,
    others,
  };
  await fs.writeFile(path.join(folder, 'result.json'), `${JSON.stringify(result, undefined, 2)}\n`);
  return { result, found };
}

function trainWith(
  detector: Detector,
  loader: Loader,
  random: RandomStream,
  options: TrainingRunOptions & {
    every: number;
    evaluate: (step: number) => Promise<Record<string, number>>;
    onLoss: (loss: number, step: number) => void;
  },
): ReturnType<typeof trainDetector> {
  const { recipe, data, folder, every, evaluate, onLoss, onNotice } = options;
  const { rate, steps, warmupSteps, momentum, weightDecay, clipNorm, averageDecay } = recipe;
  return trainDetector({
    detector,
    batches: loader,
    steps,
    schedule: cosineSchedule({ base: rate, steps, warmupSteps, warmupFrom: 0.01 }),
    optimizer: { momentum, weightDecay },
    clipNorm,
    average: { decay: averageDecay },
    random,
    checkpoint: { folder, everySeconds: 60 },
    evaluate: { everySteps: every, run: evaluate },
    settings: { ...recipe, data: data.source },
    onStep: ({ loss, step }) => onLoss(loss, step),
    onNotice,
  });
}

async function measure(
  detector: Detector,
  set: DetectionDataset,
  pixels: Omit<Parameters<typeof createLoader>[1], 'shuffle'>,
): Promise<{ found: DatasetDetections; measured: Measured }> {
  const found = await detectAll(detector, createLoader(set, { ...pixels, cacheImages: false }));
  const evaluator = createVocEvaluator(set.classes);
  found.ids.forEach((id, i) => evaluator.add(id, found.groundTruth[i], found.detections[i]));
  const seven = evaluator.result({ method: '11-point' });
  const coco = evaluateCoco({ ...found, classes: set.classes });
  const measured: Measured = {
    images: found.ids.length,
    objects: found.groundTruth.reduce((sum, { length }) => sum + length, 0),
    voc07Ap50: round(seven.map, 4),
    vocAp50: round(evaluator.result({ method: 'all-point' }).map, 4),
    perClass: Object.fromEntries(seven.perClass.map(({ name, ap }) => [name, round(ap, 4)])),
    coco: Object.fromEntries(
      cocoFigureNames.map((name) => [name, round(coco[name], 4)]),
    ) as unknown as CocoFigures,
    msPerImage: round((1000 * found.seconds) / Math.max(1, found.ids.length), 1),
  };
  return { found, measured };
}

function thinned(
  logs: readonly { step: number; loss: number; learningRate: number }[],
  points: number,
): RunResult['curve'] {
  const stretch = Math.max(1, Math.ceil(logs.length / points));
  return Array.from({ length: Math.ceil(logs.length / stretch) }, (_, i) => {
    const part = logs.slice(i * stretch, (i + 1) * stretch);
    const { step, learningRate } = part[part.length - 1];
    return {
      step: step + 1,
      loss: round(mean(part.map(({ loss }) => loss)), 4),
      rate: round(learningRate, 6),
    };
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
