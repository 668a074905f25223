/** Trained supernets in the cache: what several runs need that differ in what they do with one. */
import path from 'node:path';
import { DetNasSupernet } from '../../search/supernet';
import { createRandom } from '../../tensor/random';
import type { StepLog } from '../../train/training-log';
import { projectRoot } from '../../tensor/packages';
import { readSafetensors, writeSafetensors } from '../../weights/safetensors';
import { loadStateDict, stateDict } from '../../weights/state-dict';
import { detectorTrunk } from '../../models/trunk-reuse';
import { Classifier } from '../../models/classifier';
import { cachedFile, makeOnce } from './cached-file';
import {
  buildDetNas,
  detectionPaths,
  detNasLoader,
  openDetNasData,
  openDetNasUpstream,
  pretrainDetNas,
  trainDetNas,
} from './experiment';
import type { DetNasDetectorKind } from './networks';
import type { DetNasRecipe } from './recipes';

/** The supernet of the default profile as a classifier, its last layer included: `npm run pretrain -- detnas` made it. */
export const shippedDetNasClassifier: string = path.join(
  projectRoot,
  'data',
  'weights',
  'detnas',
  'classifier.safetensors',
);

/** Which supernet. */
export interface DetNasSupernetChoice {
  readonly recipe: DetNasRecipe;
  /** `classifier`: after the first step. A detector of a kind: after the second. */
  readonly task: DetNasDetectorKind | 'classifier';
  /** Whether the detector's supernet was a classifier first. Default true. */
  readonly pretrained?: boolean;
  readonly seed: number;
  /** A folder of images; left out: the shipped scenes. */
  readonly images?: string;
}

/** Options of `trainedDetNasSupernet`. */
export interface TrainedDetNasSupernetOptions extends DetNasSupernetChoice {
  readonly onStep?: (phase: 'classifier' | 'detector', log: StepLog, steps: number) => void;
  readonly onNotice?: (line: string) => void;
  /** Where the files are. Default: `detnas` in the cache directory. */
  readonly cache?: string;
}

/**
 * The weights' file of a trained supernet, with its classifier's last layer or its detector. It is trained first where the cache has none, and none
 * ships; a training that was broken off goes on.
 */
export async function trainedDetNasSupernet(options: TrainedDetNasSupernetOptions): Promise<string> {
  const { recipe, task, pretrained = true, seed, images, cache } = options;
  if (task === 'classifier' && recipe.pretraining.shipped) return shippedDetNasClassifier;
  const file = cachedFile(
    task,
    { recipe, task, pretrained, seed, images },
    ['alone', 'testImages'],
    'safetensors',
    cache,
  );
  await makeOnce(file, (work) =>
    task === 'classifier'
      ? trainClassifierSupernet(options, work, file)
      : trainDetectorSupernet(options, task, work, file),
  );
  return file;
}

async function trainClassifierSupernet(
  { recipe, seed, onStep, onNotice }: TrainedDetNasSupernetOptions,
  checkpoint: string,
  file: string,
): Promise<void> {
  const trunk = new DetNasSupernet(recipe.size, createRandom(`detnas/trunk/${seed}`));
  const { train } = await openDetNasUpstream(recipe);
  const { steps } = recipe.pretraining;
  const model = await pretrainDetNas({
    recipe,
    trunk,
    images: train,
    seed,
    checkpoint,
    onNotice,
    onStep: (log) => onStep?.('classifier', log, steps),
  });
  await writeSafetensors(file, await stateDict(model));
  model.dispose();
}

async function trainDetectorSupernet(
  options: TrainedDetNasSupernetOptions,
  kind: DetNasDetectorKind,
  checkpoint: string,
  file: string,
): Promise<void> {
  const { recipe, pretrained = true, seed, images, onStep, onNotice } = options;
  const data = await openDetNasData(recipe, { folder: images });
  const detector = buildDetNas(recipe, kind, undefined, data.train.classes.length, seed);
  const trunk = detectorTrunk(detector.model) as DetNasSupernet;
  if (pretrained) {
    const classifier = new Classifier(trunk, { classes: recipe.pretraining.classes }, createRandom(0));
    const before = await trainedDetNasSupernet({ ...options, task: 'classifier', images: undefined });
    loadStateDict(classifier, (await readSafetensors(before)).tensors);
    classifier.fc.dispose();
  }
  await trainDetNas({
    recipe,
    kind,
    detector,
    batches: detNasLoader(recipe, recipe.supernet, data.train, seed),
    training: recipe.supernet,
    paths: detectionPaths(recipe, seed),
    seed,
    checkpoint,
    onNotice,
    onStep: (log) => onStep?.('detector', log, recipe.supernet.steps),
  });
  await writeSafetensors(file, await stateDict(detector.model));
  detector.model.dispose();
}
