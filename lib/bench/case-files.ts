/** What all rivals of a case begin with: the same plan, weights, images and targets, in files. */
import fs from 'node:fs';
import path from 'node:path';
import type { Box, GroundTruth } from '../boxes/types';
import { encodeTargets } from '../losses/multibox-targets';
import { createRandom, type Random } from '../tensor/random';
import { buildNet, netAnchors, type NetPlan } from './nets';
import { readTensors, type StoredTensor, writeTensors } from './tensor-file';

/** What is run: whole training steps, or forward passes for inference. */
export type Work = 'training' | 'inference';

/** One case, as its file says it. */
export interface CaseFile {
  readonly plan: NetPlan;
  readonly batch: number;
  readonly work: Work;
  readonly rate: number;
  readonly momentum: number;
}

/** A case as a rival reads it: weights by their names with `model.` before, `images`, `classTargets`, `boxTargets`. */
export interface Case extends CaseFile {
  readonly tensors: Readonly<Record<string, StoredTensor>>;
}

/** The learning rate: small enough that the first losses of all rivals stay comparable. */
const rate = 0.01;

/** Writes a case into a folder. A backend of TensorFlow.js must be in use; `cpu` will do. */
export function writeCase(folder: string, plan: NetPlan, batch: number, work: Work): void {
  const random = createRandom(`bench/${batch}x${plan.inputSize}`);
  const model = buildNet(plan);
  const anchors = netAnchors(plan, model.mapSizes());
  const images = Float32Array.from({ length: batch * plan.inputSize ** 2 * 3 }, () => random.normal());
  const targets = encodeTargets(randomObjects(batch, 4, plan.classes, random, plan.inputSize), anchors);
  const tensors: Record<string, StoredTensor> = {
    images: { shape: [batch, plan.inputSize, plan.inputSize, 3], values: images },
    classTargets: { shape: [batch, targets.anchors], values: targets.classTargets },
    boxTargets: { shape: [batch, targets.anchors, 4], values: targets.boxTargets },
  };
  for (const { name, variable } of model.namedVariables())
    tensors[`model.${name}`] = { shape: variable.shape, values: variable.dataSync<'float32'>() };
  model.dispose();
  writeTensors(path.join(folder, 'tensors.bin'), tensors);
  const file: CaseFile = { plan, batch, work, rate, momentum: 0.9 };
  fs.writeFileSync(path.join(folder, 'case.json'), JSON.stringify(file));
}

/** Reads a case. */
export function readCase(folder: string): Case {
  const file = JSON.parse(fs.readFileSync(path.join(folder, 'case.json'), 'utf8')) as CaseFile;
  return { ...file, tensors: readTensors(path.join(folder, 'tensors.bin')) };
}

/** So many objects on each of so many images of `side` pixels. */
export function randomObjects(
  images: number,
  objects: number,
  classes: number,
  random: Random,
  side: number,
): GroundTruth[][] {
  return Array.from({ length: images }, () =>
    Array.from({ length: objects }, () => ({
      label: random.integer(classes),
      box: randomBox(random, side),
    })),
  );
}

/** A box of a tenth to a half of an image of `side` pixels, inside it. */
export function randomBox(random: Random, side: number): Box {
  const [w, h] = [random.uniform(0.1, 0.5) * side, random.uniform(0.1, 0.5) * side];
  const [x, y] = [random.uniform(0, side - w), random.uniform(0, side - h)];
  return [x, y, x + w, y + h];
}
