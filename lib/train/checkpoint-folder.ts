/** The folder of a training run: its checkpoints by step, the newest good one of which counts. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { type Checkpoint, DamagedCheckpoint, readCheckpoint } from './checkpoint';

const pattern = /^step-(\d{8,})\.safetensors$/;

/** The name of the checkpoint after so many steps. */
export function checkpointName(step: number): string {
  return `step-${String(step).padStart(8, '0')}.safetensors`;
}

/** The checkpoints' files, newest first; nothing is read. */
export async function listCheckpoints(
  folder: string,
): Promise<{ readonly step: number; readonly file: string }[]> {
  return (await fs.readdir(folder))
    .flatMap((name) => {
      const step = pattern.exec(name)?.[1];
      return step === undefined ? [] : [{ step: Number(step), file: path.join(folder, name) }];
    })
    .sort((a, b) => b.step - a.step);
}

/**
 * The newest checkpoint of a folder that is whole; `undefined` where the folder has none at all.
 * @param onDamaged hears of each newer one that is not.
 * @throws when there are checkpoints, but none is whole: to begin anew then is for people to decide.
 */
export async function newestCheckpoint(
  folder: string,
  onDamaged: (file: string, problem: string) => void | Promise<void> = () => undefined,
): Promise<Checkpoint | undefined> {
  const problems: string[] = [];
  for (const { file } of await listCheckpoints(folder)) {
    try {
      return await readCheckpoint(file);
    } catch (error) {
      if (!(error instanceof DamagedCheckpoint)) throw error;
      problems.push(error.message);
      await onDamaged(file, error.message);
    }
  }
  if (problems.length === 0) return undefined;
  throw new Error(`no checkpoint in ${folder} is whole; remove them to begin anew:\n${problems.join('\n')}`);
}

/** Deletes all but the newest `keep` checkpoints. */
export async function pruneCheckpoints(folder: string, keep: number): Promise<void> {
  for (const { file } of (await listCheckpoints(folder)).slice(keep)) await fs.rm(file, { force: true });
}

/** Deletes what runs that were killed while they wrote have left; call it while no other run can be writing. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await fs.readdir(folder)) {
    if (/^\.(step-\d+|best)\.safetensors\..+\.tmp$/.test(name))
      await fs.rm(path.join(folder, name), { force: true });
  }
}
