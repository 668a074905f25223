/** A trained network out of a run's checkpoints. */
import fs from 'node:fs/promises';
import type { StateDict } from '../weights/host-tensor';
import { networkPart, partOf, readCheckpoint } from './checkpoint';
import { newestCheckpoint } from './checkpoint-folder';

/** Options of `readCheckpointWeights`. */
export interface CheckpointWeightsOptions {
  /** The moving average (true) or the weights as the last step left them (false). Default: the average, where there is one. */
  readonly average?: boolean;
}

/**
 * The network's weights out of a checkpoint, for `loadStateDict`.
 * @param location a checkpoint, or a run's folder: then its newest good one.
 * @throws when there is none, it is damaged, or it has no average though one is asked for.
 */
export async function readCheckpointWeights(
  location: string,
  options: CheckpointWeightsOptions = {},
): Promise<StateDict> {
  const isFolder = (await fs.stat(location)).isDirectory();
  const checkpoint = isFolder ? await newestCheckpoint(location) : await readCheckpoint(location);
  if (!checkpoint) throw new Error(`${location}: there is no checkpoint in this folder`);
  const { file, tensors } = checkpoint;
  const averages = partOf(tensors, 'average/');
  if (options.average === true && averages.size === 0) {
    throw new Error(`${file}: the run kept no average of its weights; leave out average: true`);
  }
  const weights = networkPart(tensors);
  // Integers are not averaged: they come from the weights in any case.
  return options.average === false ? weights : new Map([...weights, ...averages]);
}
