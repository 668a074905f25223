/**
 * A checkpoint: one safetensors file with all that a training run is made of. The network's parameters and buffers have PyTorch's names and
 * layouts, as in any other weight file; beside them are, under names with a slash that no network has,
 *
 *     average/NAME          the weights' moving average, laid out like the weights
 *     optimizer/NAME.SLOT   the optimiser's momentum, moments and count
 *     gradient/NAME         the last gradient, where its change is measured
 *     run/…                 random numbers, the average's count
 *
 * and, as texts, what else the run must know and a checksum over all of it.
 */
import { createHash } from 'node:crypto';
import type { StateDict } from '../weights/host-tensor';
import { readSafetensors, writeSafetensors } from '../weights/safetensors';
import type { BatchIds } from './batch-source';
import type { RunSettings } from './fingerprint';
import { hashTensors } from './state-hash';

/** What a checkpoint says besides its tensors. */
export interface CheckpointFacts {
  /** Of this description; a reader refuses what is newer than itself. */
  readonly format: number;
  /** The same in all of a run's checkpoints and in its log. */
  readonly run: string;
  /** Steps done. */
  readonly step: number;
  /** Version of the library. */
  readonly detlab: string;
  readonly backend: string;
  readonly settings: RunSettings;
  /** The last batch, to find its place among the batches again. */
  readonly lastBatch: BatchIds | null;
  /** Bytes of the log up to here; null without one. */
  readonly log: number | null;
  /** Wall-clock time of the steps up to here. */
  readonly seconds: number;
  readonly skipped: readonly number[];
  readonly divergedAt: number | null;
  /** The best evaluation so far. */
  readonly best: { readonly metric: string; readonly step: number; readonly value: number } | null;
  /** Evaluations since the best one. */
  readonly worse: number;
}

/** A checkpoint, read and found whole. */
export interface Checkpoint {
  readonly file: string;
  readonly facts: CheckpointFacts;
  readonly tensors: StateDict;
}

/** A file that is no whole checkpoint: cut short, changed, or of another kind. */
export class DamagedCheckpoint extends Error {}

/** The format that is written, and the newest that is read. */
export const checkpointFormat: number = 1;
const factsKey = 'detlab.run';
const checksumKey = 'detlab.sha256';

/** Writes a checkpoint: after a crash at any moment the file is there whole, or not at all. @throws the system's errors. */
export async function writeCheckpoint(
  file: string,
  facts: CheckpointFacts,
  tensors: StateDict,
): Promise<void> {
  const text = JSON.stringify(facts);
  const metadata = { [factsKey]: text, [checksumKey]: checksum(text, tensors) };
  await writeSafetensors(file, tensors, { metadata });
}

/**
 * Reads a checkpoint and checks it to the last bit.
 * @throws DamagedCheckpoint saying what is wrong with the file, an Error where a newer detlab wrote it.
 */
export async function readCheckpoint(file: string): Promise<Checkpoint> {
  const { tensors, metadata } = await readSafetensors(file).catch((error: Error) => {
    const { code = '' } = (error.cause ?? error) as NodeJS.ErrnoException;
    // Rights and memory are no word about the file.
    if (['EACCES', 'EPERM', 'EMFILE', 'ENFILE', 'ENOMEM'].includes(code)) throw error;
    throw new DamagedCheckpoint(error.message, { cause: error });
  });
  const text = metadata[factsKey] as string | undefined;
  const sum = metadata[checksumKey] as string | undefined;
  if (text === undefined || sum === undefined) {
    throw new DamagedCheckpoint(`${file}: this is a weight file, but no checkpoint of a training run`);
  }
  if (checksum(text, tensors) !== sum) {
    throw new DamagedCheckpoint(
      `${file}: the checksum does not fit: the file was changed since it was written`,
    );
  }
  const facts = JSON.parse(text) as CheckpointFacts;
  if (facts.format > checkpointFormat) {
    throw new Error(
      `${file}: detlab ${facts.detlab} wrote it in a newer format (${facts.format}); resume with that version`,
    );
  }
  return { file, facts, tensors };
}

/** The tensors whose names begin with `prefix`, without it. */
export function partOf(tensors: StateDict, prefix: string): StateDict {
  const own = [...tensors].filter(([name]) => name.startsWith(prefix));
  return new Map(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** The network's own tensors. */
export function networkPart(tensors: StateDict): StateDict {
  return new Map([...tensors].filter(([name]) => !name.includes('/')));
}

/** Over the facts and each tensor's name, type, shape and values. */
function checksum(text: string, tensors: StateDict): string {
  return hashTensors(tensors, createHash('sha256').update(text));
}
