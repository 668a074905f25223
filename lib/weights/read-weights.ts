/** Weight files of either kind. */
import fs from 'node:fs/promises';
import type { StateDict } from './host-tensor';
import { openPth, type OpenPthOptions } from './pth';
import { openSafetensors } from './safetensors';
import { maximumHeader } from './safetensors-header';
import type { WeightFile } from './weight-file';

/**
 * Opens a safetensors file or a PyTorch checkpoint, whichever it is by its first bytes.
 * @throws naming the file: as `openSafetensors` and `openPth`.
 */
export async function openWeights(file: string, options: OpenPthOptions = {}): Promise<WeightFile> {
  const handle = await fs.open(file, 'r');
  const start = Buffer.alloc(8);
  try {
    await handle.read(start, 0, 8, 0);
  } finally {
    await handle.close();
  }
  return isPth(start) ? openPth(file, options) : openSafetensors(file);
}

/** A zip archive, or a pickle of a protocol in use; the latter could be a safetensors header's length, but for one that is too long. */
function isPth(start: Buffer): boolean {
  if (start.toString('latin1', 0, 4) === 'PK\x03\x04') return true;
  const pickle = start[0] === 0x80 && start[1] >= 2 && start[1] <= 5;
  return pickle && start.readBigUInt64LE(0) > BigInt(maximumHeader);
}

/**
 * Reads all tensors of a safetensors file or a PyTorch checkpoint: floats as float32, integers and booleans as int32.
 * @throws as `openWeights` and `WeightFile.read`.
 */
export async function readWeights(file: string, options: OpenPthOptions = {}): Promise<StateDict> {
  const opened = await openWeights(file, options);
  try {
    return await opened.readAll();
  } finally {
    await opened.close();
  }
}
