/** One short number for all tensors of a state: equal where every bit is. */
import { createHash, type Hash } from 'node:crypto';
import type { StateDict } from '../weights/host-tensor';

/** Over each tensor's name, type, shape and values, whatever their order. */
export function hashTensors(tensors: StateDict, hash: Hash = createHash('sha256')): string {
  for (const name of [...tensors.keys()].sort((a, b) => (a < b ? -1 : 1))) {
    const { shape, values } = tensors.get(name)!;
    hash.update(JSON.stringify([name, values instanceof Float32Array ? 'F32' : 'I32', shape]));
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return hash.digest('hex');
}
