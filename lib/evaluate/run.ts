/** Evaluates a published network on a data set: detections into a file, figures out of them. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import type { Detection } from '../boxes/types';
import { createLoader } from '../data/loader';
import { evaluateCoco } from '../eval/coco/evaluate';
import { cocoFigureNames } from '../eval/coco/figures';
import { toCocoResults } from '../eval/coco/json';
import type { CocoFigures, CocoResult } from '../eval/coco/types';
import type { PublishedNumber } from '../papers/published';
import { backendInfo } from '../tensor/backend';
import { forEachBatch } from '../train/detection-batches';
import { lockFolder, type RunLock } from '../train/run-lock';
import { importWeights } from '../weights/import-weights';
import type { EvaluationData } from './data';
import { type DetectionsFile, openDetections } from './detections-file';
import type { EvaluatedDetector, PublishedNetwork } from './network';

/** Options of `evaluateNetwork`. */
export interface EvaluateNetworkOptions {
  readonly network: PublishedNetwork;
  /** A file that `importWeights` takes. */
  readonly weights: string;
  readonly data: EvaluationData;
  /**
   * The evaluation's own folder: `detections.jsonl` (a line an image; repeated, the call goes on there), `detections.json` (COCO's results),
   * `result.json`.
   */
  readonly folder: string;
  readonly batchSize: number;
  /** What else the detections depend on, kept with them. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  /** Called after every batch; `before` images had been done by an earlier call. */
  readonly onProgress?: (progress: { done: number; before: number; images: number }) => void;
}

/** What is left of an evaluation: plain values, for a JSON file. */
export interface EvaluationSummary {
  readonly network: string;
  readonly weights: { readonly file: string; readonly sha256: string };
  readonly data: string;
  readonly split?: string;
  readonly images: number;
  readonly objects: number;
  readonly figures: CocoFigures;
  /** AP by class, `null` where there is nothing to find. */
  readonly perClass: Readonly<Record<string, number | null>>;
  /** Classes of the data set that the network does not know. */
  readonly unknown: readonly string[];
  /** Percent, on COCO val2017; nothing of it was measured here. */
  readonly published: readonly { readonly what: string; readonly ap: PublishedNumber }[];
  readonly backend: string;
}

/**
 * Detects in every image and measures. Images of which `detections.jsonl` already tells are not read again.
 * @throws what does not fit of the weights, name by name; Error where the folder is another evaluation's, or one is at work in it.
 */
export async function evaluateNetwork(
  options: EvaluateNetworkOptions,
): Promise<{ summary: EvaluationSummary; result: CocoResult }> {
  const { folder } = options;
  await fs.mkdir(folder, { recursive: true });
  const lock = await lockFolder(folder);
  try {
    return await evaluateInto(options, lock);
  } finally {
    await lock.release();
  }
}

async function evaluateInto(
  options: EvaluateNetworkOptions,
  lock: RunLock,
): Promise<{ summary: EvaluationSummary; result: CocoResult }> {
  const { network, weights, data, folder, settings } = options;
  const sha256 = await hashOf(weights);
  const file = await openDetections(path.join(folder, 'detections.jsonl'), {
    network: network.name,
    weights: sha256,
    data: data.folder,
    split: data.split ?? 'all',
    ...settings,
  });
  const { examples } = data.dataset;
  try {
    const rest = examples.filter(({ id }) => !file.found.has(id));
    if (rest.length > 0) {
      const detector = network.build();
      try {
        await load(detector, network, weights);
        await detectIn(rest, detector, options, file, lock);
      } finally {
        detector.model.dispose();
      }
    }
  } finally {
    await file.close();
  }

  const detections = examples.map(({ id }) => inClassesOf(data, file.found.get(id)!));
  const groundTruth = examples.map(({ objects }) => objects);
  const ids = data.imageIds;
  const { classes, categoryIds } = data;
  // As the official code: boxes that were cut to nothing count as detections.
  const result = evaluateCoco({ groundTruth, detections, ids, classes, invalid: 'official' });
  const found = toCocoResults({ detections, ids, categoryIds });
  await fs.writeFile(
    path.join(folder, 'detections.json'),
    `[${found.map((one) => JSON.stringify(one)).join(',\n')}]\n`,
  );
  const summary: EvaluationSummary = {
    network: network.name,
    weights: { file: path.basename(weights), sha256 },
    data: data.name,
    split: data.split,
    images: examples.length,
    objects: groundTruth.reduce((sum, { length }) => sum + length, 0),
    figures: Object.fromEntries(
      cocoFigureNames.map((name) => [name, result[name]]),
    ) as unknown as CocoFigures,
    perClass: Object.fromEntries(result.perClass.map(({ name, ap }) => [name, Number.isNaN(ap) ? null : ap])),
    unknown: data.unknown,
    published: network.published,
    backend: backendInfo()?.line ?? '',
  };
  await fs.writeFile(path.join(folder, 'result.json'), `${JSON.stringify(summary, undefined, 2)}\n`);
  return { summary, result };
}

async function detectIn(
  examples: EvaluationData['dataset']['examples'],
  detector: EvaluatedDetector,
  { network, data, batchSize, onProgress }: EvaluateNetworkOptions,
  file: DetectionsFile,
  lock: RunLock,
): Promise<void> {
  const { name, classes } = data.dataset;
  const loader = createLoader(
    { name, classes, examples },
    { ...network.input, batchSize, cacheImages: false },
  );
  const sizes = new Map(examples.map(({ id, width, height }) => [id, { width, height }]));
  const images = data.dataset.examples.length;
  const before = images - examples.length;
  let done = before;
  try {
    await forEachBatch(
      loader,
      (pixels) => detector.predict(pixels),
      async (batch, pixels, run) => {
        const found = await detector.detections(
          run(pixels),
          batch.ids.map((id) => sizes.get(id)!),
        );
        await file.add(batch.ids.map((id, i) => ({ id, detections: found[i] })));
        await lock.touch();
        done += found.length;
        onProgress?.({ done, before, images });
      },
    );
  } finally {
    await loader.close();
  }
}

/** @throws what `importWeights` throws, and what may have been meant where the file's name is another network's. */
async function load(detector: EvaluatedDetector, network: PublishedNetwork, weights: string): Promise<void> {
  try {
    await importWeights(detector.model, weights);
  } catch (error) {
    const named = /(?:tf_)?efficientdet_d\d(?:x|(?=\D|$))/.exec(path.basename(weights))?.[0];
    const hint = named !== undefined && named !== network.name ? `by its name, the file is ${named}'s. ` : '';
    throw new Error(`${weights} into ${network.name}: ${hint}${(error as Error).message}`, { cause: error });
  }
}

/** Detections with the data set's labels; those of classes that it does not have count for nothing. */
function inClassesOf({ labels }: EvaluationData, detections: readonly Detection[]): Detection[] {
  return detections.flatMap((detection) => {
    const label = labels[detection.label];
    return label === undefined ? [] : [{ ...detection, label }];
  });
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(file)) hash.update(part as Buffer);
  return hash.digest('hex');
}
