/** DetNAS's last step: a network of the space on its own, as a classifier and then as a detector. */
import fs from 'node:fs/promises';
import type { Architecture } from '../../models/architecture';
import { detectorTrunk } from '../../models/trunk-reuse';
import type { StepLog } from '../../train/training-log';
import type { TrainResult } from '../../train/train';
import { writeAtomically } from '../../weights/atomic-file';
import type { DetectorEvaluation } from '../evaluation';
import { cachedFile, makeOnce } from './cached-file';
import {
  buildDetNas,
  type DetNasData,
  detNasLoader,
  evaluateDetNas,
  openDetNasUpstream,
  pretrainDetNas,
  trainDetNas,
} from './experiment';
import type { DetNasDetector, DetNasDetectorKind } from './networks';
import type { DetNasRecipe } from './recipes';

/** Options of `trainDetNasAlone`. */
export interface TrainDetNasAloneOptions {
  readonly recipe: DetNasRecipe;
  readonly kind: DetNasDetectorKind;
  readonly architecture: Architecture;
  readonly data: DetNasData;
  readonly seed: number;
  /** A folder: a training that was broken off goes on. */
  readonly checkpoint?: string;
  readonly onStep?: (phase: 'classifier' | 'detector', log: StepLog, steps: number) => void;
  readonly onNotice?: (line: string) => void;
}

/** A network that was trained on its own. */
export interface DetNasAlone {
  /** The caller disposes its model. */
  readonly detector: DetNasDetector;
  readonly training: TrainResult;
  /** On the test images; `undefined` where it diverged. */
  readonly test: DetectorEvaluation | undefined;
}

/** Trains a network from random weights: nothing of a supernet goes into it. It learns from all training images, those of the search, too. */
export async function trainDetNasAlone(options: TrainDetNasAloneOptions): Promise<DetNasAlone> {
  const { recipe, kind, architecture, data, seed, checkpoint, onStep, onNotice } = options;
  const images = { ...data.train, examples: [...data.train.examples, ...data.search.examples] };
  const detector = buildDetNas(recipe, kind, architecture, images.classes.length, seed);
  const { pretrainingSteps, training } = recipe.alone;
  if (pretrainingSteps > 0) {
    const { train } = await openDetNasUpstream(recipe);
    const classifier = await pretrainDetNas({
      recipe,
      trunk: detectorTrunk(detector.model),
      images: train,
      seed,
      checkpoint: checkpoint && `${checkpoint}/classifier`,
      onNotice,
      onStep: (log) => onStep?.('classifier', log, pretrainingSteps),
    });
    classifier.fc.dispose();
  }
  const result = await trainDetNas({
    recipe,
    kind,
    detector,
    batches: detNasLoader(recipe, training, images, seed),
    training,
    seed,
    checkpoint: checkpoint && `${checkpoint}/detector`,
    onNotice,
    onStep: (log) => onStep?.('detector', log, training.steps),
  });
  return { detector, training: result, test: await evaluateDetNas(recipe, detector, data.test) };
}

/** What a network on its own detects, percent. */
export interface DetNasAloneFigures {
  /** COCO's, IoU 0.5 to 0.95. */
  readonly ap: number;
  /** VOC's, IoU 0.5. */
  readonly map: number;
}

/** Options of `aloneFigures`. */
export interface AloneFiguresOptions extends Omit<TrainDetNasAloneOptions, 'checkpoint'> {
  /** The folder that `data` is of; left out: the shipped scenes. */
  readonly images?: string;
  /** Where the figures are. Default: `detnas` in the cache directory. */
  readonly cache?: string;
}

/** Figures of a network on its own, from the cache, or from a training that leaves them there: 0 where it diverged. */
export async function aloneFigures(options: AloneFiguresOptions): Promise<DetNasAloneFigures> {
  const { recipe, kind, architecture, seed, images, cache } = options;
  const file = cachedFile('alone', { recipe, kind, architecture, seed, images }, ['supernet'], 'json', cache);
  await makeOnce(file, async (checkpoint) => {
    const { detector, test } = await trainDetNasAlone({ ...options, checkpoint });
    detector.model.dispose();
    const figures = { ap: 100 * (test?.coco.ap ?? 0), map: 100 * (test?.voc.map ?? 0) };
    await writeAtomically(file, (handle) => handle.writeFile(JSON.stringify(figures)));
  });
  return JSON.parse(await fs.readFile(file, 'utf8')) as DetNasAloneFigures;
}
